//! Rent that is held for free.

use std::time::{Duration, Instant};

use reqwest::Method;
use toll_ledger::{ChannelState, SpendingKind};

use crate::attacker::Attacker;
use crate::report::Row;
use crate::scene::Scene;

/// `HEAD` raises the watermark for requests to come and is free: it keeps nothing open.
pub async fn free_requests_that_hold_rent() -> Row {
    const TIMEOUT: u32 = 4;
    let scene = Scene::set(|config, _| config.session.idle_timeout_seconds = TIMEOUT).await;
    let attacker = Attacker::with_tokens(&scene.world, 10_000).await;
    let channel = attacker.open(10_000).await.expect("the sponsor opens");
    let opened = Instant::now();
    let mut asked = 0;
    // One base unit twice a second, well within the timeout each time.
    while attacker.pay(Method::HEAD, &channel, asked + 1, 0).await.is_ok() {
        asked += 1;
        assert!(opened.elapsed() < Duration::from_secs(60), "kept open by what is free");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let record = scene.ledger().channel(&channel.id).await.expect("the ledger answers").expect("known");
    assert_ne!(record.state, ChannelState::Open);
    // Nothing was delivered, so the smallest voucher is the one that is settled.
    let paid = 1;
    let bound = scene.open_charge().await;
    let losses = scene.end(paid).await;
    assert_eq!(losses.granted(SpendingKind::Open), 1);
    Row {
        attack: "HEAD of one unit to hold rent",
        asked,
        granted: 0,
        risked: 10_000,
        paid,
        lost: losses.lost,
        bound,
    }
}
