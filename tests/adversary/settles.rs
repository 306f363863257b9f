//! Settles that are not worth their fee.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use toll_ledger::SpendingKind;
use toll_tests::world::PRICE;

use crate::attacker::Attacker;
use crate::report::Row;
use crate::scene::Scene;

/// Vouchers about to expire are settled when enough has come together, not one by one.
pub async fn vouchers_that_expire() -> Row {
    const REQUESTS: u64 = 24;
    let scene = Scene::set(|config, _| {
        config.settler.settle_before_expiry_seconds = 600;
        config.settler.purse.settle_worth = 10 * PRICE.get();
    })
    .await;
    let attacker = Attacker::with_tokens(&scene.world, 50_000).await;
    let channel = attacker.open(50_000).await.expect("the sponsor opens");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    for nth in 1..=REQUESTS {
        // Just long enough to be taken, and within the time in which the settler settles early.
        let expires_at = i64::try_from(now + 110).expect("seconds") + i64::try_from(nth).expect("small");
        attacker.pay(Method::GET, &channel, nth * PRICE.get(), expires_at).await.expect("served");
        // The settler looks around in between.
        tokio::time::sleep(Duration::from_millis(350)).await;
    }
    let charge = scene.open_charge().await;
    let losses = scene.end(REQUESTS * PRICE.get()).await;
    let granted = losses.granted(SpendingKind::Settle);
    assert!((1..=REQUESTS / 10).contains(&granted), "settled {granted} times");
    Row {
        attack: "vouchers that expire at once",
        asked: REQUESTS,
        granted,
        risked: 50_000,
        paid: REQUESTS * PRICE.get(),
        lost: losses.lost,
        bound: charge + REQUESTS / 10 * 10_000,
    }
}
