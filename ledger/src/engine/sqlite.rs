//! SQLite: one file, in write-ahead mode, synced at every commit.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags};

use super::error::{DatabaseError, DatabaseErrorKind};
use super::given::Given;
use super::value::{Parameter, Row, Value};
use crate::error::LedgerError;
use crate::migrations;

/// How long SQLite waits for another process's write before giving up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements each connection keeps prepared.
const STATEMENTS: usize = 128;

/// A connection to a file.
pub(crate) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens the file at `path` to write, creating and migrating it as needed.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        keep_from_others(path);
        // Changing the journal's mode asks for the whole file and fails at once where SQLite fears a deadlock with
        // another connection that does the same: the busy timeout does not cover it.
        let patience = Instant::now() + BUSY_TIMEOUT;
        loop {
            match open_writer(path) {
                Err(LedgerError::Database { cause, .. })
                    if cause.kind() == DatabaseErrorKind::Busy && Instant::now() < patience =>
                {
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => {
                    let connection = opened.map_err(|error| name_the_file(error, path))?;
                    return Ok(Self { connection });
                }
            }
        }
    }

    /// Opens the file at `path` to read.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, LedgerError> {
        let connection = open_reader(path).map_err(|error| name_the_file(error.into(), path))?;
        Ok(Self { connection })
    }

    /// Any connection.
    #[cfg(test)]
    pub(crate) fn of(connection: Connection) -> Self {
        Self { connection }
    }

    /// What only SQLite can be asked.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn execute(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<usize, DatabaseError> {
        let mut statement = self.bound(sql, parameters)?;
        if statement.column_count() > 0 {
            return Ok(count(statement.raw_query())?);
        }
        Ok(statement.raw_execute()?)
    }

    pub(super) fn first<T>(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
        read: impl FnOnce(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Option<T>, DatabaseError> {
        let mut statement = self.bound(sql, parameters)?;
        let mut rows = statement.raw_query();
        let Some(row) = rows.next()? else { return Ok(None) };
        read(&Row::Sqlite(row)).map(Some)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
        mut read: impl FnMut(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Vec<T>, DatabaseError> {
        let mut statement = self.bound(sql, parameters)?;
        let mut rows = statement.raw_query();
        let mut values = Vec::new();
        while let Some(row) = rows.next()? {
            values.push(read(&Row::Sqlite(row))?);
        }
        Ok(values)
    }

    pub(super) fn execute_each(&self, sql: &str, given: &Given<'_>) -> Result<usize, DatabaseError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut touched = 0;
        for row in given.rows() {
            bind(&mut statement, row)?;
            touched += statement.raw_execute()?;
        }
        Ok(touched)
    }

    pub(super) fn update_each(&self, sql: &str, given: &Given<'_>) -> Result<Vec<bool>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut changed = Vec::new();
        for row in given.rows() {
            bind(&mut statement, row)?;
            changed.push(statement.raw_execute()? > 0);
        }
        Ok(changed)
    }

    pub(super) fn all_of_each<T>(
        &self,
        sql: &str,
        given: &Given<'_>,
        mut read: impl FnMut(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Vec<T>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut values = Vec::new();
        for row in given.rows() {
            bind(&mut statement, row)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                values.push(read(&Row::Sqlite(row))?);
            }
        }
        Ok(values)
    }

    /// A full disk or an I/O error makes SQLite roll back everything at once.
    pub(super) fn is_over(&self) -> bool {
        self.connection.is_autocommit()
    }

    pub(super) fn changes(&self) -> u64 {
        self.connection.total_changes()
    }

    pub(super) fn wait_for_disk(&self, wait: bool) -> Result<(), DatabaseError> {
        // Not as a kept statement: it acts when it is prepared.
        Ok(self.connection.pragma_update(None, "synchronous", if wait { "FULL" } else { "NORMAL" })?)
    }

    fn bound(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<CachedStatement<'_>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        for (index, parameter) in parameters.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, Bound(parameter.value()))?;
        }
        Ok(statement)
    }
}

fn bind(statement: &mut CachedStatement<'_>, row: &[Value<'_>]) -> Result<(), DatabaseError> {
    for (index, value) in row.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, Bound(*value))?;
    }
    Ok(())
}

fn count(mut rows: rusqlite::Rows<'_>) -> Result<usize, rusqlite::Error> {
    let mut count = 0;
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

struct Bound<'a>(Value<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(value),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub(super) fn value(value: ValueRef<'_>) -> Result<Value<'_>, DatabaseError> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(value) => Ok(Value::Integer(value)),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|_| DatabaseError::undecodable("of text"))?;
            Ok(Value::Text(text))
        }
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes)),
        ValueRef::Real(_) => Err(DatabaseError::undecodable("of no integer")),
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(cause: rusqlite::Error) -> Self {
        let kind = match cause.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => DatabaseErrorKind::Constraint,
            Some(ErrorCode::DatabaseBusy) => DatabaseErrorKind::Busy,
            Some(ErrorCode::DiskFull) => DatabaseErrorKind::Full,
            Some(ErrorCode::NotADatabase) => DatabaseErrorKind::NotADatabase,
            _ => DatabaseErrorKind::Other,
        };
        Self::new(kind, cause.to_string())
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(cause: rusqlite::Error) -> Self {
        DatabaseError::from(cause).into()
    }
}

fn open_writer(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    migrations::migrate(&mut connection, path)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(LedgerError::NoWriteAheadLog { path: path.to_owned() });
    }
    // In write-ahead mode FULL is what makes a commit survive power loss, not only a crash.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // Kibibytes. What is posted lies all over the file, and a page that is not here is read and copied again.
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(connection)
}

fn open_reader(path: &Path) -> Result<Connection, DatabaseError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Makes a missing database readable by its owner only: it holds vouchers and signed transactions. SQLite gives its
/// own files beside it the same permissions, and says why when a file cannot be made.
fn keep_from_others(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(path));
}

/// Turns SQLite's reasons for not opening a file into ours.
fn name_the_file(error: LedgerError, path: &Path) -> LedgerError {
    match error {
        LedgerError::Database { cause, .. } if cause.kind() == DatabaseErrorKind::NotADatabase => {
            LedgerError::NotADatabase { path: path.to_owned() }
        }
        LedgerError::Database { cause, .. } => LedgerError::Open { path: path.to_owned(), cause },
        other => other,
    }
}
