//! The loop: what wakes it, what stops it, and one round of it for cron.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use toll_chain::DEVNET_GENESIS;
use toll_ledger::{ChannelState, Charge, CloseReason, Ledger, REPLAY_RETENTION, SubmissionKind};
use toll_protocol::Network;
use toll_settler::{Settler, SettlerConfig, SettlerError, Summary};

use crate::chain::Faults;
use crate::world::World;

/// A settler in its loop, and the means to stop it.
pub struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Summary, SettlerError>>,
}

impl Running {
    pub fn start(settler: Settler) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { stopped.await.unwrap_or(()) };
        Self { stop, task: tokio::spawn(settler.run(shutdown)) }
    }

    pub async fn stop(self) -> Summary {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("it does not panic").expect("it ends well")
    }
}

/// Waits until a channel is in a state.
pub async fn until(world: &World, id: &toll_protocol::ChannelId, state: ChannelState) {
    for _ in 0..500 {
        if world.record(id).await.state == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{id} never becomes {state}");
}

fn lazy(world: &World) -> SettlerConfig {
    let hour = Duration::from_secs(3_600);
    SettlerConfig { poll_interval: hour, tip_interval: hour, ..world.config() }
}

#[tokio::test]
async fn recorded_open_and_close_land_without_waiting_for_a_poll() {
    let world = World::new();
    let settler = world.start(world.keys(), lazy(&world)).await.unwrap();
    let running = Running::start(settler);

    let id = world.record_open(1, 1_000).await;
    until(&world, &id, ChannelState::Open).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    until(&world, &id, ChannelState::Closed).await;

    running.stop().await;
}

#[tokio::test]
async fn open_recorded_by_another_process_is_found_too() {
    let mut world = World::new();
    let settler = world.start(world.keys(), lazy(&world)).await.unwrap();
    let running = Running::start(settler);

    // A second handle on the file commits where the settler's watch does not see it.
    world.ledger = Ledger::open(world.ledger_path(), world.clock.clone()).unwrap();
    let id = world.record_open(1, 1_000).await;
    until(&world, &id, ChannelState::Open).await;

    running.stop().await;
}

#[tokio::test]
async fn shutdown_closes_every_open_channel() {
    let mut world = World::new();
    let settler = world.settler().await;
    let first = world.open(&settler, 1, 1_000).await;
    let second = world.open(&settler, 2, 1_000).await;
    world.pay(&first, 160).await;
    world.pay(&second, 320).await;

    let summary = Running::start(settler).stop().await;

    let closes = summary.reports.iter().filter(|report| report.kind == SubmissionKind::Close);
    assert_eq!(closes.map(|report| report.channels.len()).sum::<usize>(), 2);
    for id in [first, second] {
        let record = world.record(&id).await;
        assert_eq!((record.state, record.close_reason), (ChannelState::Closed, Some(CloseReason::Shutdown)));
    }
    assert_eq!(world.tokens(&solana_signer::Signer::pubkey(&world.payee)), 480);
}

#[tokio::test]
async fn shutdown_leaves_channels_open_when_told_to() {
    let world = World::new();
    let config = SettlerConfig { close_on_shutdown: false, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    let id = world.open(&settler, 1, 1_000).await;

    Running::start(settler).stop().await;

    assert_eq!(world.record(&id).await.state, ChannelState::Open);
}

#[tokio::test]
async fn open_recorded_just_before_shutdown_is_left_to_the_next_start() {
    let world = World::new();
    let settler = world.start(world.keys(), lazy(&world)).await.unwrap();
    let id = world.record_open(1, 1_000).await;

    Running::start(settler).stop().await;

    assert_eq!(world.record(&id).await.state, ChannelState::Opening);
    assert_eq!(world.chain.lock().submitted.len(), 0);
    world.drive(&world.settler().await).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Open);
}

#[tokio::test]
async fn outage_is_waited_out() {
    let world = World::new();
    let running = Running::start(world.settler().await);
    world.chain.fault(Faults { unreachable: true, ..Default::default() });
    let id = world.record_open(1, 1_000).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Opening);

    world.chain.fault(Default::default());
    until(&world, &id, ChannelState::Open).await;

    running.stop().await;
}

#[tokio::test]
async fn tip_and_comparison_with_the_chain_are_renewed() {
    let world = World::new();
    let running = Running::start(world.settler().await);
    world.chain.advance(50, 20);
    world.clock.advance(20);

    let expected = (world.chain.slot(), Some(crate::chain::NOW + 20));
    for _ in 0..500 {
        let slot = world.ledger.latest_tip().await.unwrap().unwrap().slot;
        if (slot, world.ledger.channels_observed_at().await.unwrap()) == expected {
            running.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never renewed");
}

#[tokio::test]
async fn comparison_is_not_renewed_while_the_cluster_is_out_of_reach() {
    let world = World::new();
    let settler = world.settler().await;
    world.open(&settler, 1, 1_000).await;
    world.clock.advance(20);
    world.chain.fault(Faults { unreachable: true, ..Default::default() });

    settler.pass(true).await.unwrap_err();

    assert_eq!(world.ledger.channels_observed_at().await.unwrap(), Some(crate::chain::NOW));
}

#[tokio::test]
async fn once_does_all_there_is_to_do_and_returns() {
    let mut world = World::new();
    let id = world.opened(1, 1_000).await;
    world.pay(&id, 160).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    let fresh = world.record_open(2, 500).await;

    let summary = world.settler().await.once().await.unwrap();

    assert_eq!(summary.landed(SubmissionKind::Close), 1);
    assert_eq!(summary.landed(SubmissionKind::Open), 1);
    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
    assert_eq!(world.record(&fresh).await.state, ChannelState::Open);
}

#[tokio::test]
async fn once_with_nothing_to_do_sends_nothing() {
    let world = World::new();
    let summary = world.settler().await.once().await.unwrap();
    assert_eq!(summary, Summary::default());
    assert_eq!(world.chain.lock().submitted.len(), 0);
}

// A node that hangs answers as fast as ever, and a forced close goes unseen behind it.
#[tokio::test]
async fn comparison_with_a_lagging_node_counts_for_the_time_it_shows() {
    let world = World::new();
    world.chain.lock().genesis_hash = DEVNET_GENESIS.to_owned();
    let config = SettlerConfig { network: Network::Devnet, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    world.open(&settler, 1, 1_000).await;

    for (wait, observed_at) in [(60, 60), (30, 60), (300, 60)] {
        world.clock.advance(wait);
        settler.pass(true).await.unwrap();
        let expected = Some(crate::chain::NOW + observed_at);
        assert_eq!(world.ledger.channels_observed_at().await.unwrap(), expected);
    }

    world.chain.advance(900, 390);
    settler.pass(true).await.unwrap();
    assert_eq!(world.ledger.channels_observed_at().await.unwrap(), Some(crate::chain::NOW + 390));
}

#[tokio::test]
async fn ledger_is_purged_by_the_loop_and_by_a_single_round() {
    for once in [false, true] {
        let mut world = World::new();
        let id = world.opened(1, 1_000).await;
        world.pay(&id, 160).await;
        let request = Charge::of(160, 1).replay;
        assert!(world.ledger.replay(&id, &request).await.unwrap().is_some());
        world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
        world.settler().await.once().await.unwrap();
        world.clock.advance(REPLAY_RETENTION);

        let settler = world.settler().await;
        if once {
            settler.once().await.unwrap();
        } else {
            Running::start(settler).stop().await;
        }

        assert!(world.ledger.replay(&id, &request).await.unwrap().is_none(), "once: {once}");
    }
}
