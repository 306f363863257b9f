//! More channels than can be closed.

use futures::future::join_all;
use toll_ledger::SpendingKind;

use crate::attacker::Attacker;
use crate::report::Row;
use crate::scene::Scene;

/// Many payers open at once while the sponsor's free balance is good for a few channels: so many are opened, and
/// each of them can be closed.
pub async fn more_opens_than_can_be_closed() -> Row {
    const PAYERS: u64 = 10;
    const DEPOSIT: u64 = 1_000;
    // Room for some three channels beside what is kept: rents, fees and a refund account each.
    const ROOM: u64 = 26_000_000;
    let scene = Scene::set(|config, balance| config.settler.purse.minimum_reserve = balance - ROOM).await;
    let mut attackers = Vec::new();
    for _ in 0..PAYERS {
        attackers.push(Attacker::with_tokens(&scene.world, DEPOSIT).await);
    }
    let opened = join_all(attackers.iter().map(|attacker| attacker.open(DEPOSIT))).await;
    let granted = opened.iter().filter(|opened| opened.is_ok()).count() as u64;
    assert!(granted > 0 && granted < PAYERS / 2, "{granted} opened");
    let charge = scene.open_charge().await;
    let losses = scene.end(0).await;
    assert_eq!(losses.granted(SpendingKind::Open), granted);
    Row {
        attack: "opens in flight beyond the reserve",
        asked: PAYERS,
        granted,
        risked: PAYERS * DEPOSIT,
        paid: 0,
        lost: losses.lost,
        bound: granted * charge,
    }
}
