//! Trouble in one place that must not stop the work in another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_protocol::ChannelId;
use toll_settler::{SettlerConfig, Step};

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

#[tokio::test]
async fn a_forced_close_is_seen_while_the_launch_of_another_hangs() {
    let mut world = World::new();
    let (hanging, forced) = (world.opened(1, 1_000).await, world.opened(2, 1_000).await);
    world.pay(&hanging, 160).await;
    world.pay(&forced, 160).await;
    world.ledger.request_close(&hanging, CloseReason::Requested, None).await.unwrap();
    let chain = FlakyChain::of(&world);
    let config = SettlerConfig { drain_timeout: Duration::from_secs(3), ..world.config() };
    let settler = chain.settler(&world, config).await;
    let (began, mut launching) = tokio::sync::mpsc::unbounded_channel();
    let settler = settler.on_step(move |_, _| {
        let _ = began.send(());
    });
    chain.trouble(Trouble { hangs: &["simulate"], ..Default::default() });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(settler.run(async move { stopped.await.unwrap_or(()) }));
    launching.recv().await.expect("the launch begins");

    world.send(&[world.channel(&forced).await.request_close()], &[&world.payer]);

    let seen = async {
        while world.record(&forced).await.closure_started_at.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("it is seen");
    assert_eq!(world.submissions(&hanging, SubmissionKind::Close).await, []);

    // The node is well again, and nothing was planned twice.
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    chain.trouble(Trouble::default());
    world.drive(&world.settler().await).await;
    for id in [&hanging, &forced] {
        assert_eq!(world.submissions(id, SubmissionKind::Close).await.len(), 1);
        assert_eq!(world.record(id).await.state, ChannelState::Closed);
    }
}

#[tokio::test]
async fn a_node_that_tells_no_costs_keeps_no_fate_from_being_learned() {
    let world = World::new();
    let (early, late) = (world.opened(1, 1_000).await, world.opened(2, 1_000).await);
    let chain = FlakyChain::of(&world);
    let config = SettlerConfig { drain_timeout: Duration::from_secs(3), ..world.config() };
    let settler = chain.settler(&world, config).await;
    chain.trouble(Trouble { hangs: &["cost"], ..Default::default() });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(settler.run(async move { stopped.await.unwrap_or(()) }));

    for id in [&early, &late] {
        world.ledger.request_close(id, CloseReason::Requested, None).await.unwrap();
        let closed = async {
            while world.record(id).await.state != ChannelState::Closed {
                world.chain.advance(1, 0);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), closed).await.expect("it closes");
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();

    // What nobody could tell is entered by the next run, once.
    assert!(!world.ledger.without_cost(0, 100).await.unwrap().is_empty());
    chain.trouble(Trouble::default());
    let settler = chain.settler(&world, world.config()).await;
    world.drive(&settler).await;
    assert_eq!(world.ledger.without_cost(0, 100).await.unwrap(), []);
}

#[tokio::test]
async fn looking_ahead_plans_no_channel_twice() {
    let world = World::new();
    let settler = world.settler().await;
    for salt in 0..60 {
        world.record_open(salt, 100).await;
    }
    world.drive(&settler).await;
    settler.close_all(CloseReason::Requested).await.unwrap();
    drop(settler);
    let chain = FlakyChain::of(&world);
    let config = SettlerConfig { in_flight: 8, channels_per_transaction: 3, ..world.config() };
    let settler = chain.settler(&world, config).await;
    // Launching takes longer than looking, so that looks fall into it.
    chain.trouble(Trouble { latency: Duration::from_millis(3), ..Default::default() });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(settler.run(async move { stopped.await.unwrap_or(()) }));

    let closed = async {
        while world.ledger.count_channels(&[ChannelState::Closed]).await.unwrap() < 60 {
            world.chain.advance(1, 0);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), closed).await.expect("all of them close");
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();

    for record in world.ledger.channels(&[ChannelState::Closed]).await.unwrap() {
        let closes = world.submissions(&record.id, SubmissionKind::Close).await;
        assert_eq!(closes.len(), 1, "{}", record.id);
        assert_eq!(closes[0].state, SubmissionState::Landed);
    }
}

#[tokio::test]
async fn so_many_transactions_are_started_at_once() {
    for (concurrency, expected) in [(1, 1..=1), (3, 2..=3)] {
        let world = World::new();
        let chain = FlakyChain::of(&world);
        let config = SettlerConfig { concurrency, channels_per_transaction: 1, ..world.config() };
        let settler = chain.settler(&world, config).await;
        for salt in 0..6 {
            world.record_open(salt, 1_000).await;
        }
        world.drive(&settler).await;
        for record in world.ledger.channels(&[ChannelState::Open]).await.unwrap() {
            world.ledger.request_close(&record.id, CloseReason::Requested, None).await.unwrap();
        }
        let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, most) = (Arc::clone(&now), Arc::clone(&peak));
        let settler = settler.on_step(move |_, step| match step {
            Step::Planned => {
                most.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            }
            Step::Submitted => {
                counted.fetch_sub(1, Ordering::SeqCst);
            }
            _ => {}
        });
        // Long enough for one to meet another.
        chain.trouble(Trouble { latency: Duration::from_millis(20), ..Default::default() });

        settler.pass(false).await.unwrap();

        let peak = peak.load(Ordering::SeqCst);
        assert!(expected.contains(&peak), "{peak} at once");
    }
}
