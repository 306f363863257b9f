//! A fee for every base unit.

use toll_ledger::SpendingKind;

use crate::attacker::Attacker;
use crate::report::Row;
use crate::scene::Scene;

/// Top-ups of one unit are the payer's to pay; those of the minimum go on until the payer's budget is spent.
pub async fn smallest_top_ups() -> Row {
    const BUDGET: u64 = 200_000;
    let scene = Scene::set(|config, _| config.settler.purse.payer_budget_per_day = BUDGET).await;
    let attacker = Attacker::with_tokens(&scene.world, 100_000).await;
    let channel = attacker.open(1_000).await.expect("the sponsor opens");
    let (mut asked, mut granted, mut escrowed) = (0, 0, 1_000);
    for amount in 1..=5 {
        asked += 1;
        let refused = attacker.top_up(&channel, amount).await.expect_err("too small to be sponsored");
        assert_eq!((refused.status, refused.code.as_str()), (402, "unsponsored"));
    }
    for nth in 0..25 {
        asked += 1;
        // Another amount each time: equal ones under one blockhash are one transaction.
        if attacker.top_up(&channel, 1_000 + nth).await.is_ok() {
            (granted, escrowed) = (granted + 1, escrowed + 1_000 + nth);
        }
    }
    assert!(granted > 0 && granted < 25, "the budget ends it, after {granted}");
    let losses = scene.end(0).await;
    assert_eq!(losses.granted(SpendingKind::TopUp), granted);
    let lost = losses.lost;
    Row {
        attack: "top-ups of the smallest size",
        asked,
        granted,
        risked: escrowed,
        paid: 0,
        lost,
        bound: BUDGET,
    }
}
