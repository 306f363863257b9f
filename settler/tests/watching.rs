//! Looking for forced closes: found at once, at the same cost however many channels are open.

use std::time::Duration;

use toll_ledger::{ChannelState, CloseReason};
use toll_protocol::ChannelId;
use toll_settler::{Settler, SettlerConfig};

use crate::chain::{Faults, NOW};
use crate::running::{Running, until};
use crate::world::World;

/// A settler that compares one channel in turn at every poll.
async fn slow(world: &World) -> Settler {
    let config = SettlerConfig { comparisons_per_poll: 1, ..world.config() };
    world.start(world.keys(), config).await.unwrap()
}

async fn force_close(world: &World, id: &ChannelId) {
    world.send(&[world.channel(id).await.request_close()], &[&world.payer]);
}

async fn open_many(world: &World, settler: &Settler, salts: std::ops::Range<u64>) -> Vec<ChannelId> {
    let mut ids = Vec::new();
    for salt in salts {
        ids.push(world.record_open(salt, 1_000).await);
    }
    world.drive(settler).await;
    ids
}

async fn calls_of_a_poll(world: &World, settler: &Settler) -> usize {
    settler.pass(true).await.unwrap();
    let before = world.chain.lock().calls;
    settler.pass(true).await.unwrap();
    world.chain.lock().calls - before
}

#[tokio::test]
async fn poll_asks_the_node_no_more_when_more_channels_are_open() {
    let world = World::new();
    let settler = slow(&world).await;
    open_many(&world, &settler, 0..2).await;
    let few = calls_of_a_poll(&world, &settler).await;

    open_many(&world, &settler, 2..12).await;

    assert_eq!(calls_of_a_poll(&world, &settler).await, few);
}

#[tokio::test]
async fn forced_close_is_found_long_before_its_channel_comes_around() {
    let world = World::new();
    let settler = slow(&world).await;
    let ids = open_many(&world, &settler, 0..6).await;
    settler.pass(true).await.unwrap();
    world.clock.advance(1);
    for id in &ids {
        force_close(&world, id).await;
    }

    settler.pass(true).await.unwrap();

    for id in &ids {
        assert_eq!(world.record(id).await.close_reason, Some(CloseReason::Forced));
    }
}

#[tokio::test]
async fn channels_are_compared_in_turn_and_all_of_them() {
    let mut world = World::new();
    let settler = slow(&world).await;
    let ids = open_many(&world, &settler, 0..4).await;
    world.pay(&ids[3], 160).await;
    let voucher = world.voucher(&ids[3], 160, 0);
    let settle = world.channel(&ids[3]).await.settle();
    world.send(&[toll_protocol::ed25519_verify(voucher.signed()), settle], &[]);

    for _ in 0..4 {
        world.clock.advance(1);
        settler.pass(true).await.unwrap();
    }

    assert_eq!(world.record(&ids[3]).await.watermarks.settled.get(), 160);
}

#[tokio::test]
async fn node_that_does_not_search_has_every_channel_compared() {
    let world = World::new();
    let config =
        SettlerConfig { comparisons_per_poll: 1, poll_interval: Duration::from_secs(5), ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    let ids = open_many(&world, &settler, 0..6).await;
    world.chain.fault(Faults { no_queries: true, ..Default::default() });
    for id in &ids {
        force_close(&world, id).await;
    }
    world.clock.advance(9);

    settler.pass(true).await.unwrap();

    for id in &ids {
        assert_eq!(world.record(id).await.close_reason, Some(CloseReason::Forced));
    }
    assert_eq!(world.ledger.channels_observed_at().await.unwrap(), Some(NOW + 9));
}

#[tokio::test]
async fn forced_close_on_a_channel_that_we_are_closing_is_seen() {
    let world = World::new();
    let id = world.opened(1, 1_000).await;
    let settler = slow(&world).await;
    world.ledger.request_close(&id, CloseReason::Idle, None).await.unwrap();
    force_close(&world, &id).await;

    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
}

#[tokio::test]
async fn hint_brings_the_next_look_forward() {
    let world = World::new();
    let config = SettlerConfig { poll_interval: Duration::from_secs(3_600), ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    let id = world.open(&settler, 1, 1_000).await;
    let running = Running::start(settler);
    tokio::time::sleep(Duration::from_millis(100)).await;
    force_close(&world, &id).await;

    world.chain.lock().hints.send_modify(|hints| *hints += 1);

    until(&world, &id, ChannelState::Closed).await;
    running.stop().await;
}
