//! The file: what opens, what is refused, who reads it.

use rusqlite::Connection;
use tempfile::TempDir;
use toll_ledger::{ChannelFixture, Ledger, LedgerError, ManualClock};

use crate::START;

fn open(directory: &TempDir) -> Result<Ledger, LedgerError> {
    Ledger::open(directory.path().join("ledger.db"), ManualClock::new(START))
}

/// The ledger's file as SQLite sees it.
fn raw(directory: &TempDir) -> Connection {
    Connection::open(directory.path().join("ledger.db")).unwrap()
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

#[tokio::test]
async fn one_settler_holds_the_lock_until_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (open(&directory).unwrap(), open(&directory).unwrap());
    let lock = first.try_lock_settler().await.unwrap();
    assert!(lock.is_some());
    assert!(second.try_lock_settler().await.unwrap().is_none());
    assert!(first.try_lock_settler().await.unwrap().is_none());
    drop(lock);
    assert!(second.try_lock_settler().await.unwrap().is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn link_to_a_ledger_leads_to_the_same_lock() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory).unwrap();
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(ledger.path(), &link).unwrap();
    let linked = Ledger::open(link, ManualClock::new(START)).unwrap();
    let _lock = ledger.try_lock_settler().await.unwrap().unwrap();
    assert!(linked.try_lock_settler().await.unwrap().is_none());
}
