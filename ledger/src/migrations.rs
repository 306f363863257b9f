//! The schema's history: `migrations/*.sql`, embedded, applied in order and counted in `user_version`.

mod intents;

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::LedgerError;

/// Marks a file as a ledger (`PRAGMA application_id`): "toll" in ASCII.
const APPLICATION_ID: i32 = 0x746f_6c6c;

/// One step of the schema. Its version is its place in [`MIGRATIONS`], from 1.
struct Migration {
    name: &'static str,
    up: &'static str,
    /// What a server runs instead, where SQLite's words do not do.
    on_server: Option<&'static str>,
    #[cfg_attr(not(test), expect(dead_code, reason = "kept in the binary for whoever must go back"))]
    down: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            up: include_str!(concat!("../../migrations/", $name, ".up.sql")),
            on_server: None,
            down: include_str!(concat!("../../migrations/", $name, ".down.sql")),
        }
    };
    ($name:literal, server) => {
        Migration {
            on_server: Some(include_str!(concat!("../../migrations/postgres/", $name, ".up.sql"))),
            ..migration!($name)
        }
    };
}

/// Landed migrations never change; a new need is a new entry.
const MIGRATIONS: &[Migration] = &[
    migration!("0001_cluster"),
    migration!("0002_chain"),
    migration!("0003_channels"),
    migration!("0004_vouchers"),
    migration!("0005_submissions"),
    migration!("0006_challenges"),
    migration!("0007_replays"),
    migration!("0008_housekeeping"),
    migration!("0009_spending"),
    migration!("0010_sponsor"),
    migration!("0011_archive"),
    migration!("0012_published"),
    migration!("0013_watch"),
    migration!("0014_answers"),
    migration!("0015_intents"),
    migration!("0016_shared_holds"),
    migration!("0017_sponsored_opens"),
    migration!("0018_rearm"),
    migration!("0019_operator"),
    migration!("0020_kept_deposits"),
    migration!("0021_kinds"),
    migration!("0022_lease"),
    migration!("0023_journal"),
    migration!("0024_append_only", server),
    migration!("0025_tail"),
    migration!("0026_serving"),
    migration!("0027_earmarks"),
    migration!("0028_replays_by_channel", server),
    migration!("0029_payments"),
];

/// The newest schema version this binary knows.
pub(crate) const KNOWN_VERSION: u32 = MIGRATIONS.len() as u32;

/// The migrations after `version`: their names, and what they do on a server.
pub(crate) fn since(version: u32) -> impl Iterator<Item = (&'static str, &'static str)> {
    let later = MIGRATIONS[version as usize..].iter();
    later.map(|migration| (migration.name, migration.on_server.unwrap_or(migration.up)))
}

/// The version that writes down what a transaction is meant to do.
const INTENTS: u32 = 15;

/// Brings the database at `path` to [`KNOWN_VERSION`], as one transaction.
///
/// Safe when several processes start at once: the version is read under the write lock.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    // A table that is replaced by one of the same name is still what others refer to. The setting can only be
    // changed between transactions.
    let enforced: bool = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
    connection.pragma_update(None, "foreign_keys", false)?;
    let migrated = apply_all(connection, path);
    connection.pragma_update(None, "foreign_keys", enforced)?;
    migrated
}

fn apply_all(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = recognize(&transaction, path)?;
    if found > KNOWN_VERSION {
        return Err(LedgerError::SchemaTooNew { found, known: KNOWN_VERSION });
    }
    for migration in &MIGRATIONS[found as usize..] {
        apply(&transaction, migration.name, migration.up)?;
    }
    if found < INTENTS {
        intents::fill(&transaction)?;
    }
    if found < KNOWN_VERSION {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", KNOWN_VERSION)?;
    }
    Ok(transaction.commit()?)
}

/// The schema version of a ledger, 0 for a blank file; refuses databases of other programs.
fn recognize(connection: &Connection, path: &Path) -> Result<u32, LedgerError> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let blank = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !blank {
        return Err(LedgerError::ForeignDatabase { path: path.to_owned() });
    }
    Ok(version)
}

fn apply(connection: &Connection, name: &'static str, sql: &str) -> Result<(), LedgerError> {
    connection.execute_batch(sql).map_err(|cause| LedgerError::Migration { name, cause: cause.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name")
            .unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn migrated() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("test")).unwrap();
        connection
    }

    fn version(connection: &Connection) -> u32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_migration_goes_up_down_and_up_again() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS {
            let before = schema(&connection);
            apply(&connection, migration.name, migration.up).unwrap();
            let after = schema(&connection);
            assert_ne!(after, before, "{} adds nothing", migration.name);
            apply(&connection, migration.name, migration.down).unwrap();
            assert_eq!(schema(&connection), before, "{} leaves something behind", migration.name);
            apply(&connection, migration.name, migration.up).unwrap();
            assert_eq!(schema(&connection), after);
        }
    }

    #[test]
    fn all_migrations_undone_leave_a_blank_database() {
        let connection = migrated();
        for migration in MIGRATIONS.iter().rev() {
            apply(&connection, migration.name, migration.down).unwrap();
        }
        assert!(schema(&connection).is_empty());
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = migrated();
        let before = schema(&connection);
        migrate(&mut connection, Path::new("test")).unwrap();
        assert_eq!(schema(&connection), before);
        assert_eq!(version(&connection), KNOWN_VERSION);
    }

    #[test]
    fn older_schema_is_brought_up_from_where_it_stands() {
        let mut connection = Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS[..3] {
            apply(&connection, migration.name, migration.up).unwrap();
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", 3).unwrap();

        migrate(&mut connection, Path::new("test")).unwrap();

        assert_eq!(schema(&connection), schema(&migrated()));
        assert_eq!(version(&connection), KNOWN_VERSION);
    }

    #[test]
    fn answers_that_a_header_called_gone_are_called_so_by_a_word() {
        let connection = Connection::open_in_memory().unwrap();
        let answers = MIGRATIONS.iter().position(|migration| migration.name.ends_with("_answers")).unwrap();
        for migration in &MIGRATIONS[..answers] {
            apply(&connection, migration.name, migration.up).unwrap();
        }
        let insert = |key: &str, answer: &str| {
            let sql = format!("PRAGMA foreign_keys = OFF; INSERT INTO replays VALUES (CAST(printf('%032s', '{key}') AS BLOB),
                zeroblob(32), zeroblob(32), '', 1, 1, 1, 1, {answer})");
            connection.execute_batch(&sql).unwrap();
        };
        insert("1", "NULL, NULL, NULL");
        insert("2", r#"200, '[[":body","gone"]]', x''"#);
        insert("3", "200, '[]', x'0102'");

        apply(&connection, MIGRATIONS[answers].name, MIGRATIONS[answers].up).unwrap();

        let sql = "SELECT answer, answer_bytes, response_status FROM replays ORDER BY replay_key";
        let mut statement = connection.prepare(sql).unwrap();
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let found: Vec<(String, i64, Option<u16>)> = found.map(Result::unwrap).collect();
        assert_eq!(
            found,
            [("unserved".into(), 0, None), ("not_kept".into(), 0, None), ("kept".into(), 4, Some(200))]
        );
        let bytes = "SELECT bytes FROM answer_bytes WHERE channel_id = x''";
        assert_eq!(connection.query_row(bytes, [], |row| row.get(0)), Ok(4));
    }

    #[test]
    fn newer_schema_is_refused_and_left_alone() {
        let mut connection = migrated();
        connection.pragma_update(None, "user_version", KNOWN_VERSION + 1).unwrap();

        let error = migrate(&mut connection, Path::new("test")).unwrap_err();

        assert!(
            matches!(error, LedgerError::SchemaTooNew { found, known } if found == known + 1 && known == KNOWN_VERSION)
        );
        assert_eq!(version(&connection), KNOWN_VERSION + 1);
    }

    #[test]
    fn file_names_are_numbered_in_order_of_application() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert!(migration.name.starts_with(&format!("{:04}_", index + 1)), "{}", migration.name);
        }
    }

    /// A ledger of before migration 15 with a close, a settle and a request, and what refers to them.
    fn before_intents(transaction: &[u8]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for migration in &MIGRATIONS[..INTENTS as usize - 1] {
            apply(&connection, migration.name, migration.up).unwrap();
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", INTENTS - 1).unwrap();
        let key = |byte: u8| vec![byte; 32];
        connection
            .execute(
                "INSERT INTO channels (channel_id, payer, payee, mint, authorized_signer, salt, open_slot, program,
                        bump, token_program, rent_payer, grace_period, splits, price, idle_timeout,
                        opening_challenge_id, state, deposit, accepted, created_at, last_activity_at)
                 VALUES (?1, ?1, ?1, ?1, ?1, '1', 1, ?2, 255, ?1, ?1, 900, x'', 1, 600, 'c', 'closing', 1000, 160,
                         1, 1)",
                rusqlite::params![key(1), toll_protocol::PROGRAM_ID.to_bytes()],
            )
            .unwrap();
        for (id, kind, state, bytes) in [
            (3, "close", "recorded", transaction),
            (5, "settle", "landed", &b""[..]),
            (9, "open", "landed", &b"an open"[..]),
        ] {
            connection
                .execute(
                    "INSERT INTO submissions
                            (submission_id, kind, state, transaction_bytes, signature, created_at, updated_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, 1, 1)",
                    rusqlite::params![id, kind, state, bytes, vec![id as u8; 64]],
                )
                .unwrap();
            connection
                .execute(
                    "INSERT INTO submission_channels (channel_id, submission_id) VALUES (?1, ?2)",
                    rusqlite::params![key(1), id],
                )
                .unwrap();
        }
        connection
            .execute(
                "INSERT INTO challenges (challenge_id, submission_id, expires_at) VALUES ('c', 9, 1)",
                [],
            )
            .unwrap();
        connection.execute("DELETE FROM submission_channels WHERE submission_id = 5", []).unwrap();
        connection.execute("DELETE FROM submissions WHERE submission_id = 5", []).unwrap();
        connection.execute("UPDATE sqlite_sequence SET seq = 12 WHERE name = 'submissions'", []).unwrap();
        connection
    }

    #[test]
    fn older_transactions_are_read_once_for_what_they_were_meant_to_do() {
        let mut connection = before_intents(&intents::tests::close(160));

        migrate(&mut connection, Path::new("test")).unwrap();

        let mut read = connection
            .prepare(
                "SELECT submission_id, publishes, pays_out FROM submission_channels ORDER BY submission_id",
            )
            .unwrap();
        let rows = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let found: Vec<(i64, Option<i64>, bool)> = rows.map(Result::unwrap).collect();
        assert_eq!(found, [(3, Some(160), true), (9, None, false)]);
    }

    #[test]
    fn table_that_is_replaced_keeps_its_rows_numbers_and_references() {
        let mut connection = before_intents(b"unreadable");

        migrate(&mut connection, Path::new("test")).unwrap();

        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
        assert_eq!(count("SELECT count(*) FROM submissions JOIN challenges USING (submission_id)"), 1);
        assert_eq!(count("SELECT seq FROM sqlite_sequence WHERE name = 'submissions'"), 12);
        assert_eq!(count("SELECT foreign_keys FROM pragma_foreign_keys"), 1);
        let orphan = "INSERT INTO challenges (challenge_id, submission_id, expires_at) VALUES ('d', 77, 1)";
        assert!(connection.execute(orphan, []).is_err());
    }
}
