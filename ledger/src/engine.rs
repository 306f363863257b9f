//! The databases: one door for whoever reads and writes, whatever is behind it.
//!
//! A [`Tx`] is one connection with a transaction open on it. Statements are SQLite's text, kept to what other databases
//! have as well; where they spell something differently, the engine that needs it rewrites the statement once.
//! Stored are integers of 64 bits with sign, text and bytes. An unsigned amount above `i64::MAX` is refused by
//! [`integer`](crate::column::integer) before it gets here.

mod error;
pub(crate) mod sqlite;
mod value;

use self::sqlite::Sqlite;

pub use self::error::{DatabaseError, DatabaseErrorKind};
pub(crate) use self::value::{FromValue, Parameter, Row, Value, params};

/// A connection, and what is done on it.
pub(crate) enum Tx {
    /// A file.
    Sqlite(Sqlite),
}

impl Tx {
    /// Runs a statement. Returns how many rows it touched.
    pub(crate) fn execute(
        &self,
        sql: &'static str,
        parameters: &[&dyn Parameter],
    ) -> Result<usize, DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.execute(sql, parameters),
        }
    }

    /// The first row that a statement returns, if any.
    pub(crate) fn first<T>(
        &self,
        sql: &'static str,
        parameters: &[&dyn Parameter],
        read: impl FnOnce(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Option<T>, DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.first(sql, parameters, read),
        }
    }

    /// The first row that a statement returns, which always returns one.
    pub(crate) fn one<T>(
        &self,
        sql: &'static str,
        parameters: &[&dyn Parameter],
        read: impl FnOnce(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.first(sql, parameters, read)?.ok_or_else(DatabaseError::no_row)
    }

    /// Every row that a statement returns.
    pub(crate) fn all<T>(
        &self,
        sql: &'static str,
        parameters: &[&dyn Parameter],
        read: impl FnMut(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Vec<T>, DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.all(sql, parameters, read),
        }
    }

    /// Begins a transaction that writes.
    pub(crate) fn begin(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(_) => self.command("-- begin_group\nBEGIN IMMEDIATE"),
        }
    }

    /// Begins a transaction that sees one snapshot and writes nothing.
    pub(crate) fn begin_read(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(_) => self.command("-- begin_read\nBEGIN DEFERRED"),
        }
    }

    /// Makes everything since [`Tx::begin`] durable.
    pub(crate) fn commit(&self) -> Result<(), DatabaseError> {
        self.command("-- commit_group\nCOMMIT")
    }

    /// Takes everything since [`Tx::begin`] back, unless the database has done so already.
    pub(crate) fn abandon(&self) {
        if !self.is_over() {
            let _ = self.command("-- abandon_group\nROLLBACK");
        }
    }

    /// Begins a part that can be taken back by itself.
    pub(crate) fn begin_job(&self) -> Result<(), DatabaseError> {
        self.command("-- begin_job\nSAVEPOINT job")
    }

    /// Ends the part; what it did stays if `keep`.
    pub(crate) fn end_job(&self, keep: bool) -> Result<(), DatabaseError> {
        if !keep {
            self.command("-- undo_job\nROLLBACK TO SAVEPOINT job")?;
        }
        self.command("-- end_job\nRELEASE SAVEPOINT job")
    }

    /// Whether no transaction is open: none was begun, or the database has ended it by itself.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_over(),
        }
    }

    /// How many rows were ever changed on this connection.
    pub(crate) fn changes(&self) -> u64 {
        match self {
            Self::Sqlite(sqlite) => sqlite.changes(),
        }
    }

    /// What only SQLite can be asked.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn connection(&self) -> &rusqlite::Connection {
        match self {
            Self::Sqlite(sqlite) => sqlite.connection(),
        }
    }

    fn command(&self, sql: &'static str) -> Result<(), DatabaseError> {
        self.execute(sql, &[]).map(drop)
    }
}
