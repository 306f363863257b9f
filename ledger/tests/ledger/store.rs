//! The file: what opens, what is refused, what survives.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use rusqlite::Connection;
use solana_pubkey::Pubkey;
use tempfile::TempDir;
use toll_ledger::{ChannelFixture, ChannelState, Charge, ClusterIdentity, Ledger, LedgerError, ManualClock};
use toll_protocol::Network;

use crate::{START, World, amount};

fn open(directory: &TempDir) -> Result<Ledger, LedgerError> {
    Ledger::open(directory.path().join("ledger.db"), ManualClock::new(START))
}

/// The ledger's file as SQLite sees it.
fn raw(directory: &TempDir) -> Connection {
    Connection::open(directory.path().join("ledger.db")).unwrap()
}

fn cluster(network: Network, genesis_hash: &str, program: u8) -> ClusterIdentity {
    ClusterIdentity { network, genesis_hash: genesis_hash.to_owned(), program: Pubkey::from([program; 32]) }
}

#[tokio::test]
async fn reopened_ledger_has_everything() {
    let directory = tempfile::tempdir().unwrap();
    let channel = ChannelFixture::new(1, 1_000);
    let before = {
        let ledger = open(&directory).unwrap();
        channel.open(&ledger).await.unwrap();
        ledger.accept(&channel.voucher(16), Charge::of(16, 1)).await.unwrap();
        crate::dump::dump(&ledger)
    };
    let ledger = open(&directory).unwrap();
    assert_eq!(crate::dump::dump(&ledger), before);
    let record = ledger.channel(&channel.id()).await.unwrap().unwrap();
    assert_eq!((record.state, record.watermarks.accepted), (ChannelState::Open, amount(16)));
}

#[tokio::test]
async fn ledger_is_in_write_ahead_mode() {
    let directory = tempfile::tempdir().unwrap();
    let _ledger = open(&directory).unwrap();
    let mode: String = raw(&directory).pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_ledger_and_the_files_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory).unwrap();
    ChannelFixture::new(1, 1_000).open(&ledger).await.unwrap();
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let permissions = std::fs::metadata(directory.path().join(file)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn newer_schema_is_refused_with_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory).unwrap());
    let known: u32 = raw(&directory).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    raw(&directory).pragma_update(None, "user_version", known + 3).unwrap();

    let error = open(&directory).unwrap_err();

    assert!(
        matches!(error, LedgerError::SchemaTooNew { found, known: k } if (found, k) == (known + 3, known))
    );
    assert_eq!(
        error.to_string(),
        format!("ledger schema is version {}, but this binary knows versions up to {known}", known + 3)
    );
}

#[test]
fn file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = "not a database\n".repeat(100);
    std::fs::write(directory.path().join("ledger.db"), &text).unwrap();

    let error = open(&directory).unwrap_err();

    assert!(matches!(error, LedgerError::NotADatabase { .. }), "{error}");
    assert!(error.to_string().ends_with("ledger.db is not a database"), "{error}");
    assert_eq!(std::fs::read_to_string(directory.path().join("ledger.db")).unwrap(), text);
}

#[test]
fn database_of_another_program_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    raw(&directory).execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();

    let error = open(&directory).unwrap_err();

    assert!(matches!(error, LedgerError::ForeignDatabase { .. }), "{error}");
    let tables: i64 =
        raw(&directory).query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn missing_directory_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("absent").join("ledger.db");
    let error = Ledger::open(&path, ManualClock::new(START)).unwrap_err();
    assert!(matches!(&error, LedgerError::Open { path: named, .. } if *named == path), "{error}");
}

#[test]
fn directory_in_place_of_the_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = Ledger::open(directory.path(), ManualClock::new(START)).unwrap_err();
    assert!(matches!(error, LedgerError::Open { .. }), "{error}");
}

#[test]
fn many_processes_may_create_one_ledger_at_once() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let barrier = Arc::new(Barrier::new(6));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                let (barrier, directory) = (Arc::clone(&barrier), &directory);
                scope.spawn(move || {
                    barrier.wait();
                    open(directory).unwrap();
                });
            }
        });
    }
}

#[tokio::test]
async fn bound_cluster_is_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let localnet = cluster(Network::Localnet, "5eykt4", 1);
    open(&directory).unwrap().bind_cluster(&localnet).await.unwrap();
    let ledger = open(&directory).unwrap();
    ledger.bind_cluster(&localnet).await.unwrap();
    assert_eq!(ledger.cluster().await.unwrap(), Some(localnet));
}

#[tokio::test]
async fn other_network_genesis_or_program_is_the_wrong_cluster() {
    let ledger = Ledger::temporary(ManualClock::new(START));
    let bound = cluster(Network::Localnet, "5eykt4", 1);
    ledger.bind_cluster(&bound).await.unwrap();
    let before = crate::dump::dump(&ledger);
    let others = [
        cluster(Network::Devnet, "5eykt4", 1),
        cluster(Network::Localnet, "EtWTRA", 1),
        cluster(Network::Localnet, "5eykt4", 2),
    ];
    for other in others {
        let error = ledger.bind_cluster(&other).await.unwrap_err();
        assert!(matches!(error, LedgerError::WrongCluster { .. }), "{error}");
        assert_eq!(crate::dump::dump(&ledger), before);
    }
}

#[test]
fn one_settler_holds_the_lock_until_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (open(&directory).unwrap(), open(&directory).unwrap());
    let lock = first.try_lock_settler().unwrap();
    assert!(lock.is_some());
    assert!(second.try_lock_settler().unwrap().is_none());
    assert!(first.try_lock_settler().unwrap().is_none());
    drop(lock);
    assert!(second.try_lock_settler().unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn link_to_a_ledger_leads_to_the_same_lock() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory).unwrap();
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(ledger.path(), &link).unwrap();
    let linked = Ledger::open(link, ManualClock::new(START)).unwrap();
    let _lock = ledger.try_lock_settler().unwrap().unwrap();
    assert!(linked.try_lock_settler().unwrap().is_none());
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
    let directory = tempfile::tempdir().unwrap();
    let (gateway, settler) = (open(&directory).unwrap(), open(&directory).unwrap());
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
