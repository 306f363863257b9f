//! Bringing a server's schema up to date.
//!
//! A blank database gets the whole schema of version [`FIRST`] at once; every later migration is the file that
//! SQLite runs as well.

use super::{Address, Postgres, dialect};
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::value::params;
use crate::error::LedgerError;
use crate::migrations::{KNOWN_VERSION, since};

/// The version of the schema that a blank database begins with.
const FIRST: u32 = 21;

const SCHEMA: &str = include_str!("../../../../migrations/postgres/0021_ledger.up.sql");

/// How often processes that start at once may get in each other's way.
const ATTEMPTS: usize = 20;

/// Brings the database to [`KNOWN_VERSION`], as one transaction.
pub(super) fn migrate(postgres: &Postgres, address: &Address) -> Result<(), LedgerError> {
    for attempt in 1.. {
        let outcome = apply_all(postgres, address);
        postgres.roll_back();
        match outcome {
            Err(LedgerError::Database { cause, .. } | LedgerError::Migration { cause, .. })
                if attempt < ATTEMPTS && is_of_another(&cause) =>
            {
                std::thread::sleep(std::time::Duration::from_millis(20 * attempt as u64));
            }
            outcome => return outcome,
        }
    }
    Ok(())
}

/// Whether another process was making the same tables.
fn is_of_another(cause: &DatabaseError) -> bool {
    matches!(cause.kind(), DatabaseErrorKind::Conflict | DatabaseErrorKind::Constraint)
        || ["42P07", "42710", "XX000"].iter().any(|code| cause.to_string().contains(code))
}

fn apply_all(postgres: &Postgres, address: &Address) -> Result<(), LedgerError> {
    postgres.begin("BEGIN ISOLATION LEVEL SERIALIZABLE;")?;
    let found = recognize(postgres, address)?;
    if found > KNOWN_VERSION {
        return Err(LedgerError::SchemaTooNew { found, known: KNOWN_VERSION });
    }
    if found == KNOWN_VERSION {
        return Ok(());
    }
    let apply = |name, sql: &str| {
        let failed = |cause| LedgerError::Migration { name, cause };
        postgres.batch(&dialect::migration(sql)).map_err(failed)
    };
    if found == 0 {
        apply("postgres/0021_ledger", SCHEMA)?;
    }
    for (name, sql) in since(found.max(FIRST)) {
        apply(name, sql)?;
    }
    postgres.execute("UPDATE schema_version SET version = ?1", params![KNOWN_VERSION])?;
    Ok(postgres.commit()?)
}

/// The schema version of a ledger, 0 for a blank database; refuses databases of other programs.
fn recognize(postgres: &Postgres, address: &Address) -> Result<u32, LedgerError> {
    let tables = postgres.all(
        "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema()",
        &[],
        |row| row.get::<_, String>(0),
    )?;
    if tables.iter().any(|table| table == "schema_version") && tables.iter().any(|table| table == "channels")
    {
        let version =
            postgres.first("SELECT version FROM schema_version", &[], |row| row.get::<_, u32>(0))?;
        return version.ok_or_else(|| DatabaseError::no_row().into());
    }
    if tables.is_empty() {
        return Ok(0);
    }
    Err(LedgerError::ForeignDatabase { path: address.shown().into() })
}
