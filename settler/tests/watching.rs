//! Looking for forced closes: found at once, at the same cost however many channels are open. And comparing every
//! channel now and then, at the same cost as well.

use std::time::Duration;

use toll_chain::DEVNET_GENESIS;
use toll_ledger::{ChannelState, CloseReason};
use toll_protocol::{ChannelId, Network};
use toll_settler::{Settler, SettlerConfig};

use crate::chain::{Faults, NOW};
use crate::flaky::{FlakyChain, Trouble};
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

/// Compares one channel in turn at every poll, and each within ten seconds.
fn timely(world: &World) -> SettlerConfig {
    SettlerConfig { comparisons_per_poll: 1, compare_within: Duration::from_secs(10), ..world.config() }
}

struct Asked {
    calls: usize,
    listed: usize,
}

/// How often the node was asked anything, and for a list of all channels.
fn asked(world: &World) -> Asked {
    let chain = world.chain.lock();
    Asked { calls: chain.calls, listed: chain.listed }
}

async fn oldest_comparison(world: &World) -> i64 {
    world.ledger.oldest_comparison().await.unwrap().unwrap() - NOW
}

#[tokio::test]
async fn every_channel_is_compared_within_its_time_by_one_question_however_many_there_are() {
    let world = World::new();
    let settler = world.start(world.keys(), timely(&world)).await.unwrap();
    let (mut costs, mut now) = (Vec::new(), 0);
    for salts in [0..8, 8..24] {
        open_many(&world, &settler, salts).await;
        for _ in 0..14 {
            world.clock.advance(1);
            now += 1;
            let before = asked(&world);
            settler.pass(true).await.unwrap();
            let after = asked(&world);
            if after.listed > before.listed {
                costs.push(after.calls - before.calls);
            }
            let age = now - oldest_comparison(&world).await;
            assert!(age <= 10, "not compared for {age} s");
        }
    }
    assert!(costs.len() >= 4 && costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
}

#[tokio::test]
async fn forced_close_that_the_search_misses_is_found_when_all_channels_are_compared() {
    let world = World::new();
    let settler = world.start(world.keys(), timely(&world)).await.unwrap();
    let ids = open_many(&world, &settler, 0..8).await;
    world.chain.fault(Faults { blind_search: true, ..Default::default() });
    force_close(&world, &ids[7]).await;
    settler.pass(true).await.unwrap();
    assert_eq!(world.record(&ids[7]).await.state, ChannelState::Open, "its turn has not come");

    world.clock.advance(6);
    settler.pass(true).await.unwrap();

    assert_eq!(world.record(&ids[7]).await.close_reason, Some(CloseReason::Forced));
    assert_eq!(asked(&world).listed, 1);
}

#[tokio::test]
async fn few_channels_come_around_in_time_without_a_list() {
    let world = World::new();
    let settler = world.start(world.keys(), timely(&world)).await.unwrap();
    open_many(&world, &settler, 0..4).await;
    for _ in 0..30 {
        world.clock.advance(1);
        settler.pass(true).await.unwrap();
    }
    assert_eq!((asked(&world).listed, oldest_comparison(&world).await), (0, 27));
}

#[tokio::test]
async fn channels_that_waited_for_too_long_are_compared_hundreds_at_a_time_where_no_list_comes() {
    let world = World::new();
    let chain = FlakyChain::of(&world);
    let settler = chain.settler(&world, timely(&world)).await;
    open_many(&world, &settler, 0..8).await;
    chain.trouble(Trouble { fails: &["list_channels"], ..Default::default() });
    world.clock.advance(10);
    settler.pass(true).await.unwrap();
    assert_eq!(oldest_comparison(&world).await, 0, "not late yet");

    world.clock.advance(1);
    settler.pass(true).await.unwrap();

    assert_eq!(oldest_comparison(&world).await, 11);
}

#[tokio::test]
async fn node_that_is_too_slow_for_the_search_costs_its_timeout_and_no_more() {
    let world = World::new();
    let chain = FlakyChain::of(&world);
    let config = SettlerConfig {
        query_timeout: Duration::from_millis(50),
        poll_interval: Duration::from_secs(5),
        ..timely(&world)
    };
    let settler = chain.settler(&world, config).await;
    let ids = open_many(&world, &settler, 0..3).await;
    chain.trouble(Trouble { hangs: &["find_channels"], ..Default::default() });
    for id in &ids {
        force_close(&world, id).await;
    }

    let pass = tokio::time::timeout(Duration::from_secs(5), settler.pass(true)).await;

    pass.expect("the node is not waited for").unwrap();
    for id in &ids {
        assert_eq!(world.record(id).await.close_reason, Some(CloseReason::Forced));
    }
}

// With a clock that was set back, what was compared before seems to have been compared in a time to come.
#[tokio::test]
async fn forced_close_is_found_without_the_search_although_the_hosts_clock_was_set() {
    for jump in [-590, 590] {
        let world = World::new();
        world.chain.lock().genesis_hash = DEVNET_GENESIS.to_owned();
        let config = SettlerConfig { network: Network::Devnet, ..world.config() };
        let settler = world.start(world.keys(), config).await.unwrap();
        let ids = open_many(&world, &settler, 0..2).await;
        world.chain.fault(Faults { no_queries: true, ..Default::default() });
        settler.pass(true).await.unwrap();

        world.clock.advance(jump);
        force_close(&world, &ids[1]).await;
        // Whatever is looked at shows the chain's clock.
        world.chain.advance(150, 61);
        open_many(&world, &settler, 2..3).await;
        settler.pass(true).await.unwrap();

        assert_eq!(world.record(&ids[1]).await.close_reason, Some(CloseReason::Forced), "{jump}");
        let observed = world.ledger.channels_observed_at().await.unwrap().unwrap();
        assert!((observed - NOW - 61).abs() <= 60, "{jump}: {}", observed - NOW);
    }
}

// The limit of a node without the search: what is sold goes by the channel that was compared longest ago.
#[tokio::test]
async fn without_the_search_the_ledger_is_as_fresh_as_its_oldest_comparison() {
    let world = World::new();
    // A look that has no time but for one channel's turn.
    let config = SettlerConfig { comparisons_per_poll: 1, poll_interval: Duration::ZERO, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    open_many(&world, &settler, 0..3).await;
    world.chain.fault(Faults { no_queries: true, ..Default::default() });
    for (second, observed_at) in [(1, NOW), (2, NOW), (3, NOW + 1), (4, NOW + 2)] {
        world.clock.advance(1);
        settler.pass(true).await.unwrap();
        let observed = world.ledger.channels_observed_at().await.unwrap();
        assert_eq!(observed, Some(observed_at), "after {second} s");
    }
}
