//! Whole sessions on the embedded chain.

use toll_tests::world::AtShutdown;
use toll_tests::{TestChain, World, scenario};

mod charge;
mod crash_recovery;
mod examples;
mod one_by_one;
mod renewal;
mod search;
mod self_funded;
mod unsponsored;

async fn world(at_shutdown: AtShutdown) -> World {
    World::start(TestChain::embedded().await, at_shutdown).await
}

#[tokio::test(flavor = "multi_thread")]
async fn session_from_open_to_reclaim_pays_everyone_to_the_unit() {
    scenario::session_from_open_to_reclaim(world(AtShutdown::Close).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_close_within_grace_pays_the_payee() {
    scenario::payer_leaves_and_the_payee_loses_nothing(world(AtShutdown::Close).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_recovers_the_deposit_without_the_server() {
    scenario::server_vanishes_and_the_payer_loses_nothing(world(AtShutdown::LeaveOpen).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_closes_open_channels() {
    scenario::shutdown_settles_what_was_accepted(world(AtShutdown::Close).await).await;
}
