//! Channels that are opened for nothing.

use futures::future::join_all;
use toll_ledger::{ChannelState, SpendingKind};

use crate::attacker::Attacker;
use crate::report::Row;
use crate::scene::Scene;

/// Tokens that a channel needs, which come back.
const DEPOSIT: u64 = 1_000;

/// One payer opens, pays a base unit and closes, again and again, until its budget is spent.
pub async fn open_and_close_by_one_payer() -> Row {
    const BUDGET: u64 = 250_000;
    const ROUNDS: u64 = 12;
    let scene = Scene::set(|config, _| config.settler.purse.payer_budget_per_day = BUDGET).await;
    let attacker = Attacker::with_tokens(&scene.world, DEPOSIT + ROUNDS).await;
    let mut granted = 0;
    for _ in 0..ROUNDS {
        match attacker.open(DEPOSIT).await {
            Ok(channel) => {
                granted += 1;
                attacker.close(&channel, 1).await.expect("the close is answered");
            }
            Err(refused) => assert_eq!(refused.code, "unsponsored"),
        }
    }
    assert!(granted > 0 && granted < ROUNDS, "the budget ends it, after {granted}");
    let losses = scene.end(granted).await;
    assert_eq!(losses.granted(SpendingKind::Open), granted);
    Row {
        attack: "open and close of nothing, one payer",
        asked: ROUNDS,
        granted,
        risked: DEPOSIT,
        paid: granted,
        lost: losses.lost,
        bound: BUDGET,
    }
}

/// The same by payers that nobody has seen before: the day's budget is what stands.
pub async fn open_and_close_by_many_payers() -> Row {
    const BUDGET: u64 = 400_000;
    const PAYERS: u64 = 14;
    let scene = Scene::set(|config, _| config.settler.purse.budget_per_day = Some(BUDGET)).await;
    let mut granted = 0;
    for _ in 0..PAYERS {
        let attacker = Attacker::with_tokens(&scene.world, DEPOSIT).await;
        match attacker.open(DEPOSIT).await {
            Ok(channel) => {
                granted += 1;
                attacker.close(&channel, 1).await.expect("the close is answered");
            }
            Err(refused) => assert_eq!(refused.code, "unsponsored"),
        }
    }
    assert!(granted > 0 && granted < PAYERS, "the budget ends it, after {granted}");
    let losses = scene.end(granted).await;
    assert_eq!(losses.granted(SpendingKind::Open), granted);
    Row {
        attack: "open and close of nothing, many payers",
        asked: PAYERS,
        granted,
        risked: PAYERS * DEPOSIT,
        paid: granted,
        lost: losses.lost,
        bound: BUDGET,
    }
}

/// Opens by payers without tokens cost the sponsor nothing, and nobody else their service.
pub async fn opens_that_cannot_be_funded() -> Row {
    const OPENS: u64 = 80;
    let mut scene = Scene::set(|_, _| ()).await;
    let attackers: Vec<_> = (0..OPENS).map(|_| Attacker::without_tokens(&scene.world)).collect();
    let flood = join_all(attackers.iter().map(|attacker| attacker.open(DEPOSIT)));
    let (opened, ()) = tokio::join!(flood, scene.buy(1));
    for refused in opened {
        assert_eq!(refused.err().expect("nothing opens").code, "transaction-failed");
    }
    let failed = scene.ledger().count_channels(&[ChannelState::Failed]).await.expect("the ledger answers");
    assert_eq!(failed, OPENS);
    let losses = scene.end(0).await;
    assert_eq!(losses.granted(SpendingKind::Open), 0);
    Row {
        attack: "flood of opens that cannot be funded",
        asked: OPENS,
        granted: 0,
        risked: 0,
        paid: 0,
        lost: losses.lost,
        // The reclaim of the honest payer's channel: reclaims are told apart by no payer.
        bound: 5_000,
    }
}
