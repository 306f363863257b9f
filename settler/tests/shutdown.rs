//! A settler that is stopped with many channels open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_settler::{Settler, SettlerConfig, Step, Summary};

use crate::flaky::{FlakyChain, Trouble};
use crate::world::World;

/// Channels that are open when the settler is stopped.
const CHANNELS: u64 = 200;

/// Transactions of ours that may be in flight.
const WINDOW: usize = 8;

/// `count` open channels, of which each later one owes more.
async fn many_open(count: u64) -> World {
    let mut world = World::new();
    let settler = world.settler().await;
    let mut ids = Vec::new();
    for salts in (0..count).collect::<Vec<_>>().chunks(200) {
        for salt in salts {
            ids.push(world.record_open(*salt, 10_000).await);
        }
        world.drive(&settler).await;
    }
    drop(settler);
    for (number, id) in ids.iter().enumerate() {
        world.pay(id, 10 + number as u64).await;
    }
    assert_eq!(world.ledger.channels(&[ChannelState::Open]).await.unwrap().len() as u64, count);
    world
}

/// Runs a settler that is asked to stop at once.
async fn stopped(settler: Settler, within: Duration) -> Summary {
    let (stop, asked) = oneshot::channel::<()>();
    stop.send(()).unwrap();
    let run = settler.run(async move { asked.await.unwrap_or(()) });
    tokio::time::timeout(within, run).await.expect("it ends within its time").expect("it ends well")
}

#[tokio::test]
async fn shutdown_resolves_what_it_sent_most_exposed_first_and_the_next_start_finishes() {
    let world = many_open(CHANNELS).await;
    let chain = FlakyChain::of(&world);
    let drain_timeout = Duration::from_secs(6);
    let config =
        SettlerConfig { drain_timeout, in_flight: WINDOW, channels_per_transaction: 1, ..world.config() };
    let settler = chain.settler(&world, config.clone()).await;
    let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, most) = (Arc::clone(&now), Arc::clone(&peak));
    let settler = settler.on_step(move |_, step| match step {
        Step::Recorded => {
            most.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        }
        Step::Marked => {
            counted.fetch_sub(1, Ordering::SeqCst);
        }
        _ => {}
    });
    // Slow enough that not all of them can be closed in time.
    chain.trouble(Trouble { latency: Duration::from_millis(40), ..Default::default() });

    let summary = stopped(settler, drain_timeout + Duration::from_secs(4)).await;

    let closed = summary.landed(SubmissionKind::Close);
    assert!(closed > 0 && closed < CHANNELS as usize, "{closed} closed");
    assert_eq!(world.ledger.unresolved().await.unwrap(), [], "everything that was sent is resolved");
    assert!((1..=WINDOW).contains(&peak.load(Ordering::SeqCst)), "{peak:?} in flight");
    let owed = |state| {
        let ledger = world.ledger.clone();
        async move {
            let found = ledger.channels(&[state]).await.unwrap();
            found.iter().map(|record| record.watermarks.accepted.get()).collect::<Vec<_>>()
        }
    };
    let (paid, open) = (owed(ChannelState::Closed).await, owed(ChannelState::Open).await);
    assert_eq!(paid.len(), closed);
    assert!(paid.iter().min() > open.iter().max(), "the most exposed were closed");
    // What was not reached goes on selling, but for the few that were next.
    assert!(open.len() + closed + WINDOW >= CHANNELS as usize, "{} open, {closed} closed", open.len());

    chain.trouble(Trouble::default());
    let settler =
        chain.settler(&world, SettlerConfig { drain_timeout: Duration::from_secs(120), ..config }).await;
    settler.close_all(CloseReason::Shutdown).await.unwrap();
    let rest = settler.once().await.unwrap();
    assert_eq!(rest.landed(SubmissionKind::Close), CHANNELS as usize - closed);
    assert_eq!(owed(ChannelState::Closed).await.len(), CHANNELS as usize);
}

#[tokio::test]
async fn shutdown_that_closes_nothing_sends_nothing() {
    let world = many_open(3).await;
    let waiting = world.record_open(100, 1_000).await;
    let config = SettlerConfig { close_on_shutdown: false, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    let sent = world.chain.lock().submitted.len();

    stopped(settler, Duration::from_secs(5)).await;

    assert_eq!(world.chain.lock().submitted.len(), sent);
    assert_eq!(world.ledger.channels(&[ChannelState::Open]).await.unwrap().len(), 3);
    assert_eq!(world.count(&waiting, SubmissionKind::Open, SubmissionState::Requested).await, 1);
}

#[tokio::test]
async fn restart_is_no_reason_to_close_unless_asked_to() {
    let world = World::new();
    let defaults = SettlerConfig::new(
        toll_protocol::Network::Localnet,
        toll_protocol::PROGRAM_ID,
        toll_protocol::TREASURY_OWNER,
        vec![world.listed()],
    );
    assert!(!defaults.close_on_shutdown);
}

#[tokio::test]
async fn what_is_on_its_way_at_shutdown_is_resolved() {
    let world = World::new();
    let config = SettlerConfig { close_on_shutdown: false, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    let id = world.record_open(1, 1_000).await;
    settler.pass(false).await.unwrap();
    assert_eq!(world.ledger.unresolved().await.unwrap().len(), 1);

    stopped(settler, Duration::from_secs(5)).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Open);
    assert_eq!(world.ledger.unresolved().await.unwrap(), []);
}

#[tokio::test]
async fn flood_of_opens_stays_within_the_window() {
    let world = World::new();
    let config = SettlerConfig { in_flight: WINDOW, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    for salt in 0..3 * WINDOW as u64 {
        world.record_open(salt, 1_000).await;
    }

    let pass = settler.pass(false).await.unwrap();

    assert_eq!((pass.sent, pass.waiting), (WINDOW, 2 * WINDOW));
    world.drive(&settler).await;
    assert_eq!(world.ledger.channels(&[ChannelState::Open]).await.unwrap().len(), 3 * WINDOW);
}
