//! Trouble in one place that must not stop the work in another.

use std::time::Duration;

use tokio::sync::oneshot;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_protocol::ChannelId;
use toll_settler::SettlerConfig;

use crate::flaky::{FlakyChain, Trouble};
use crate::world::World;

/// A channel with 160 of 1000 accepted that is to close, and one that is to open.
async fn closing_and_opening() -> (World, ChannelId, ChannelId) {
    let mut world = World::new();
    let closing = world.opened(1, 1_000).await;
    world.pay(&closing, 160).await;
    let opening = world.record_open(2, 1_000).await;
    (world, closing, opening)
}

#[tokio::test]
async fn close_goes_out_while_the_fate_of_another_transaction_cannot_be_asked_for() {
    let (world, closing, opening) = closing_and_opening().await;
    let chain = FlakyChain::of(&world);
    let settler = chain.settler(&world, world.config()).await;
    settler.pass(true).await.unwrap();
    assert_eq!(world.count(&opening, SubmissionKind::Open, SubmissionState::Recorded).await, 1);
    world.ledger.request_close(&closing, CloseReason::Requested, None).await.unwrap();
    chain.trouble(Trouble { fails: &["statuses"], ..Default::default() });

    settler.pass(false).await.unwrap_err();

    assert_eq!(world.submissions(&closing, SubmissionKind::Close).await.len(), 1);
    world.assert_paid_out_on_chain(&closing);
}

#[tokio::test]
async fn close_goes_out_while_opens_meet_errors() {
    let (world, closing, opening) = closing_and_opening().await;
    world.ledger.request_close(&closing, CloseReason::Requested, None).await.unwrap();
    // The blockhash of the open is unknown to this process, so it asks.
    world.chain.advance(1, 1);
    let chain = FlakyChain::of(&world);
    let settler = chain.settler(&world, world.config()).await;
    chain.trouble(Trouble { fails: &["is_blockhash_valid"], ..Default::default() });

    settler.pass(false).await.unwrap();

    world.assert_paid_out_on_chain(&closing);
    assert_eq!(world.record(&opening).await.state, ChannelState::Opening, "asked again later");
}

// A node answers for a hundred accounts at a time.
#[tokio::test]
async fn hundred_channels_that_cannot_be_looked_at_leave_the_others_in_sight() {
    let world = World::new();
    let settler = world.settler().await;
    for salt in 0..105 {
        world.record_open(salt, 100).await;
    }
    world.drive(&settler).await;
    settler.close_all(CloseReason::Requested).await.unwrap();
    drop(settler);
    let closing = world.ledger.channels(&[ChannelState::Closing]).await.unwrap();
    assert_eq!(closing.len(), 105);
    let chain = FlakyChain::of(&world);
    let settler = chain.settler(&world, world.config()).await;
    chain.trouble(Trouble { hidden: Some(closing[0].id.pubkey()), ..Default::default() });

    settler.pass(false).await.unwrap_err();
    settler.pass(false).await.unwrap_err();

    assert_eq!(world.record(&closing[0].id).await.state, ChannelState::Closing);
    assert_eq!(world.ledger.channels(&[ChannelState::Closed]).await.unwrap().len(), 6);

    chain.trouble(Trouble::default());
    world.drive(&settler).await;
    assert_eq!(world.ledger.channels(&[ChannelState::Closed]).await.unwrap().len(), 105);
}

#[tokio::test]
async fn tip_is_published_while_closes_and_opens_hang() {
    let (world, closing, opening) = closing_and_opening().await;
    world.ledger.request_close(&closing, CloseReason::Requested, None).await.unwrap();
    let chain = FlakyChain::of(&world);
    let config = SettlerConfig { drain_timeout: Duration::from_secs(3), ..world.config() };
    let settler = chain.settler(&world, config).await;
    chain.trouble(Trouble { hangs: &["simulate"], ..Default::default() });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(settler.run(async move { stopped.await.unwrap_or(()) }));
    world.chain.advance(50, 20);

    let slot = world.chain.slot();
    let published = async {
        while world.ledger.latest_tip().await.unwrap().unwrap().slot != slot {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), published).await.expect("the tip is published");
    assert_eq!(world.record(&opening).await.state, ChannelState::Opening);

    // What hangs does not keep the process from ending either.
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), running)
        .await
        .expect("it ends in its time")
        .unwrap()
        .unwrap();
}
