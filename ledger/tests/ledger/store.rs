//! The store: what survives, whom it belongs to, who sees what.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use solana_pubkey::Pubkey;
use toll_ledger::{ChannelFixture, ChannelState, Charge, ClusterIdentity, Ledger, LedgerError, ManualClock};
use toll_protocol::Network;

use crate::{START, World, amount};

fn cluster(network: Network, genesis_hash: &str, program: u8) -> ClusterIdentity {
    ClusterIdentity { network, genesis_hash: genesis_hash.to_owned(), program: Pubkey::from([program; 32]) }
}

#[tokio::test]
async fn reopened_ledger_has_everything() {
    let clock = ManualClock::new(START);
    let channel = ChannelFixture::new(1, 1_000);
    let ledger = Ledger::temporary(clock.clone());
    channel.open(&ledger).await.unwrap();
    ledger.accept(&channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    let before = ledger.dump();
    let ledger = ledger.again(clock);
    assert_eq!(ledger.dump(), before);
    let record = ledger.channel(&channel.id()).await.unwrap().unwrap();
    assert_eq!((record.state, record.watermarks.accepted), (ChannelState::Open, amount(16)));
}

#[test]
fn many_processes_may_create_one_ledger_at_once() {
    for _ in 0..10 {
        let blank = Ledger::nowhere();
        let barrier = Arc::new(Barrier::new(6));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                let (barrier, config) = (Arc::clone(&barrier), blank.config());
                scope.spawn(move || {
                    barrier.wait();
                    Ledger::with(config, ManualClock::new(START)).unwrap();
                });
            }
        });
    }
}

#[tokio::test]
async fn bound_cluster_is_remembered() {
    let clock = ManualClock::new(START);
    let localnet = cluster(Network::Localnet, "5eykt4", 1);
    let ledger = Ledger::temporary(clock.clone());
    ledger.bind_cluster(&localnet).await.unwrap();
    let ledger = ledger.again(clock);
    ledger.bind_cluster(&localnet).await.unwrap();
    assert_eq!(ledger.cluster().await.unwrap(), Some(localnet));
}

#[tokio::test]
async fn other_network_genesis_or_program_is_the_wrong_cluster() {
    let ledger = Ledger::temporary(ManualClock::new(START));
    let bound = cluster(Network::Localnet, "5eykt4", 1);
    ledger.bind_cluster(&bound).await.unwrap();
    let before = ledger.dump();
    let others = [
        cluster(Network::Devnet, "5eykt4", 1),
        cluster(Network::Localnet, "EtWTRA", 1),
        cluster(Network::Localnet, "5eykt4", 2),
    ];
    for other in others {
        let error = ledger.bind_cluster(&other).await.unwrap_err();
        assert!(matches!(error, LedgerError::WrongCluster { .. }), "{error}");
        assert_eq!(ledger.dump(), before);
    }
}

#[tokio::test]
async fn committed_change_wakes_who_waits() {
    let world = World::with_deposit(1_000).await;
    let mut changes = world.ledger.changes();
    world.ledger.mark_channels_observed(START).await.unwrap();
    assert!(changes.changed(Duration::from_secs(60)).await);
}

#[tokio::test(start_paused = true)]
async fn refusals_wake_nobody() {
    let world = World::with_deposit(1_000).await;
    let mut changes = world.ledger.changes();
    world.ledger.accept(&world.channel.voucher(1_001), Charge::of(16, 1)).await.unwrap();
    assert!(!changes.changed(Duration::from_secs(60)).await);
    assert!(!world.ledger.changed(Duration::from_secs(60)).await);
}

#[tokio::test]
async fn other_process_sees_what_was_committed() {
    let clock = ManualClock::new(START);
    let gateway = Ledger::temporary(clock.clone());
    let settler = gateway.again(clock);
    let channel = ChannelFixture::new(1, 1_000);
    channel.record(&gateway).await.unwrap();
    assert_eq!(settler.requested().await.unwrap().len(), 1);
    settler.open_landed(&channel.id(), &channel.account(), 100).await.unwrap();
    let record = gateway.channel(&channel.id()).await.unwrap().unwrap();
    assert_eq!(record.state, ChannelState::Open);
}

#[tokio::test]
async fn channels_are_listed_by_state_oldest_first() {
    let world = World::with_deposit(1_000).await;
    world.clock.advance(1);
    let second = ChannelFixture::new(2, 1_000);
    second.record(&world.ledger).await.unwrap();
    let listed = |records: Vec<toll_ledger::ChannelRecord>| records.iter().map(|r| r.id).collect::<Vec<_>>();
    let ledger = &world.ledger;
    assert_eq!(listed(ledger.channels(&[ChannelState::Open]).await.unwrap()), [world.id]);
    assert_eq!(listed(ledger.channels(ChannelState::LIVE).await.unwrap()), [world.id, second.id()]);
    assert_eq!(listed(ledger.channels(ChannelState::ALL).await.unwrap()), [world.id, second.id()]);
    assert!(ledger.channels(&[ChannelState::Gone]).await.unwrap().is_empty());
}
