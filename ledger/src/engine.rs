//! The databases: one door for whoever reads and writes, whatever is behind it.
//!
//! A [`Tx`] is one connection with a transaction open on it. Statements are SQLite's text, kept to what other databases
//! have as well; where they spell something differently, the engine that needs it rewrites the statement once.
//! Stored are integers of 64 bits with sign, text and bytes. An unsigned amount above `i64::MAX` is refused by
//! [`integer`](crate::column::integer) before it gets here.

mod error;
mod given;
pub(crate) mod postgres;
pub(crate) mod sqlite;
mod value;

use std::time::{Duration, Instant};

use self::postgres::Postgres;
use self::sqlite::Sqlite;

use crate::config::LedgerConfig;
use crate::error::LedgerError;

pub use self::error::{DatabaseError, DatabaseErrorKind};
pub(crate) use self::given::Given;
pub(crate) use self::value::{FromValue, Parameter, Row, Value, params};

/// How often a read is begun that others get in the way of.
const READ_ATTEMPTS: u32 = 8;

/// A connection that was gone before anything was asked shows it as soon as that.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(1);

/// A connection, and what is done on it.
pub(crate) enum Tx {
    /// A file.
    Sqlite(Sqlite),
    /// A server.
    Postgres(Box<Postgres>),
}

impl Tx {
    /// Opens the ledger of `config`: a connection to write, and `readers` that only read.
    pub(crate) fn open(config: &LedgerConfig, readers: usize) -> Result<(Self, Vec<Self>), LedgerError> {
        let Some(file) = config.file() else { return Self::open_server(config, readers) };
        let writer = Self::Sqlite(Sqlite::open(file)?);
        let readers = (0..readers).map(|_| Sqlite::open_to_read(file).map(Self::Sqlite));
        Ok((writer, readers.collect::<Result<_, _>>()?))
    }

    fn open_server(config: &LedgerConfig, readers: usize) -> Result<(Self, Vec<Self>), LedgerError> {
        let url = config.url.as_ref().map_or("", |url| url.reveal());
        let address = postgres::Address::parse(url, config.server_patience()).map_err(|reason| {
            let cause = DatabaseError::new(DatabaseErrorKind::Other, format!("ledger.url {reason}"));
            LedgerError::Unreachable { server: "ledger.url".to_owned(), cause }
        })?;
        let address = std::sync::Arc::new(address);
        // A connection waits for its answers, which a thread that runs tasks must not.
        let opened = std::thread::scope(|scope| scope.spawn(|| Postgres::open(&address)).join());
        let writer = opened.map_err(|_| LedgerError::Panicked { operation: "open" })??;
        let writer = Self::Postgres(Box::new(writer));
        let readers = (0..readers).map(|_| Self::Postgres(Box::new(Postgres::at(&address))));
        Ok((writer, readers.collect()))
    }

    /// Reads one snapshot. Done again where a connection turns out to be gone.
    pub(crate) fn read<T>(
        &self,
        mut work: impl FnMut(&Self) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        for attempt in 1.. {
            let begun = Instant::now();
            let outcome = self.read_once(&mut work);
            let again = match &outcome {
                Err(LedgerError::Database { cause, .. }) => match cause.kind() {
                    DatabaseErrorKind::Conflict => attempt < READ_ATTEMPTS,
                    DatabaseErrorKind::Disconnected => attempt == 1 && begun.elapsed() < AT_ONCE,
                    _ => false,
                },
                _ => false,
            };
            if !again {
                return outcome;
            }
            self.abandon();
        }
        Err(LedgerError::Stopped)
    }

    fn read_once<T>(&self, work: &mut impl FnMut(&Self) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.begin_read()?;
        let value = work(self)?;
        self.commit()?;
        Ok(value)
    }

    /// Runs a statement. Returns how many rows it touched.
    pub(crate) fn execute(
        &self,
        sql: &'static str,
        parameters: &[&dyn Parameter],
    ) -> Result<usize, DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.execute(sql, parameters),
            Self::Postgres(postgres) => postgres.execute(sql, parameters),
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
            Self::Postgres(postgres) => postgres.first(sql, parameters, read),
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
            Self::Postgres(postgres) => postgres.all(sql, parameters, read),
        }
    }

    /// Runs each statement once for every row that it is given. Returns how many rows each touched.
    ///
    /// All of it is sent at once, so on a server this waits for one answer. No run of a statement may depend on another
    /// of the same one.
    pub(crate) fn execute_each(
        &self,
        work: &[(&'static str, &Given<'_>)],
    ) -> Result<Vec<usize>, DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => work.iter().map(|(sql, given)| sqlite.execute_each(sql, given)).collect(),
            Self::Postgres(postgres) => postgres.execute_each(work),
        }
    }

    /// Runs an `UPDATE` of one row once for every row that it is given, each of which must name another. Returns, in
    /// order, whether they changed theirs.
    pub(crate) fn update_each(
        &self,
        sql: &'static str,
        given: &Given<'_>,
    ) -> Result<Vec<bool>, DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.update_each(sql, given),
            Self::Postgres(postgres) => postgres.update_each(sql, given),
        }
    }

    /// Every row that a `SELECT` returns for any row that it is given, in no order.
    pub(crate) fn all_of_each<T>(
        &self,
        sql: &'static str,
        given: &Given<'_>,
        read: impl FnMut(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Vec<T>, DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.all_of_each(sql, given, read),
            Self::Postgres(postgres) => postgres.all_of_each(sql, given, read),
        }
    }

    /// Begins a transaction that writes.
    pub(crate) fn begin(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(_) => self.command("-- begin_group\nBEGIN IMMEDIATE"),
            Self::Postgres(postgres) => postgres.begin("BEGIN ISOLATION LEVEL SERIALIZABLE;"),
        }
    }

    /// Begins a transaction that sees one snapshot and writes nothing.
    pub(crate) fn begin_read(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(_) => self.command("-- begin_read\nBEGIN DEFERRED"),
            Self::Postgres(postgres) => postgres.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"),
        }
    }

    /// Makes everything since [`Tx::begin`] durable.
    pub(crate) fn commit(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(_) => self.command("-- commit_group\nCOMMIT"),
            Self::Postgres(postgres) => postgres.commit(),
        }
    }

    /// Takes everything since [`Tx::begin`] back, unless the database has done so already.
    pub(crate) fn abandon(&self) {
        match self {
            Self::Sqlite(sqlite) if sqlite.is_over() => {}
            Self::Sqlite(_) => drop(self.command("-- abandon_group\nROLLBACK")),
            Self::Postgres(postgres) => postgres.roll_back(),
        }
    }

    /// Begins a part that can be taken back by itself.
    pub(crate) fn begin_job(&self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(_) => self.command("-- begin_job\nSAVEPOINT job"),
            Self::Postgres(postgres) => postgres.send_ahead("SAVEPOINT job;"),
        }
    }

    /// Ends the part; what it did stays if `keep`.
    pub(crate) fn end_job(&self, keep: bool) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(_) => {
                if !keep {
                    self.command("-- undo_job\nROLLBACK TO SAVEPOINT job")?;
                }
                self.command("-- end_job\nRELEASE SAVEPOINT job")
            }
            Self::Postgres(postgres) if keep => postgres.send_ahead("RELEASE SAVEPOINT job;"),
            Self::Postgres(postgres) => {
                postgres.send_ahead("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job;")
            }
        }
    }

    /// Why the open transaction cannot go on, if the database has ended it by itself.
    pub(crate) fn failure(&self) -> Option<DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_over().then(|| {
                DatabaseError::new(DatabaseErrorKind::Other, "the database rolled the transaction back")
            }),
            Self::Postgres(postgres) => postgres.failure(),
        }
    }

    /// How many rows were ever changed on this connection.
    pub(crate) fn changes(&self) -> u64 {
        match self {
            Self::Sqlite(sqlite) => sqlite.changes(),
            Self::Postgres(postgres) => postgres.changes(),
        }
    }

    /// How often this connection waited for an answer of a server.
    #[cfg(feature = "testing")]
    pub(crate) fn round_trips(&self) -> u64 {
        match self {
            Self::Sqlite(_) => 0,
            Self::Postgres(postgres) => postgres.round_trips(),
        }
    }

    /// Runs statements in the words of the database itself.
    #[cfg(feature = "testing")]
    pub(crate) fn batch(&self, sql: &str) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => Ok(sqlite.connection().execute_batch(sql)?),
            Self::Postgres(postgres) => postgres.batch(sql),
        }
    }

    /// What only SQLite can be asked.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn connection(&self) -> &rusqlite::Connection {
        match self {
            Self::Sqlite(sqlite) => sqlite.connection(),
            Self::Postgres(_) => panic!("a question for SQLite"),
        }
    }

    /// The database's word for what others have written: another one than before when they have. A server has none.
    pub(crate) fn version(&self) -> Result<i64, DatabaseError> {
        match self {
            Self::Sqlite(_) => self.one("-- version\nPRAGMA data_version", &[], |row| row.get(0)),
            Self::Postgres(_) => Ok(0),
        }
    }

    /// Whether accepted vouchers are on record that the rows have not.
    pub(crate) fn has_tail(&self) -> Result<bool, DatabaseError> {
        match self {
            Self::Sqlite(_) => {
                self.one("-- has_tail\nSELECT EXISTS (SELECT 1 FROM tail)", &[], |row| row.get(0))
            }
            Self::Postgres(_) => Ok(false),
        }
    }

    /// Whether commits from here on wait until they are on disk, as they do unless told. One that does not is there
    /// once a later one is that does. Between transactions only.
    pub(crate) fn wait_for_disk(&self, wait: bool) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.wait_for_disk(wait),
            Self::Postgres(_) => Ok(()),
        }
    }

    fn command(&self, sql: &'static str) -> Result<(), DatabaseError> {
        self.execute(sql, &[]).map(drop)
    }
}
