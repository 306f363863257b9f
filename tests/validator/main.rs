//! The same sessions on `solana-test-validator`, where its binary is to be had.

use tokio::sync::{Mutex, MutexGuard};
use toll_tests::world::AtShutdown;
use toll_tests::{TestChain, World, scenario};

/// A fresh validator with a server on it, or `None` with a word on standard error.
async fn world(at_shutdown: AtShutdown) -> Option<(World, MutexGuard<'static, ()>)> {
    // A validator takes a whole core: one at a time.
    static ONE: Mutex<()> = Mutex::const_new(());
    let turn = ONE.lock().await;
    match TestChain::validator().await {
        Some(chain) => Some((World::start(chain, at_shutdown).await, turn)),
        None => {
            eprintln!("SKIPPED: no solana-test-validator on PATH, and SOLANA_TEST_VALIDATOR names none");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_from_open_to_reclaim_pays_everyone_to_the_unit() {
    if let Some((world, _turn)) = world(AtShutdown::Close).await {
        scenario::session_from_open_to_reclaim(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_close_within_grace_pays_the_payee() {
    if let Some((world, _turn)) = world(AtShutdown::Close).await {
        scenario::payer_leaves_and_the_payee_loses_nothing(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_recovers_the_deposit_without_the_server() {
    if let Some((world, _turn)) = world(AtShutdown::LeaveOpen).await {
        scenario::server_vanishes_and_the_payer_loses_nothing(world).await;
    }
}
