//! PostgreSQL, or what speaks its language: one database for many processes.
//!
//! Transactions that write are serializable. One that the database takes back because of another is a
//! [`DatabaseErrorKind::Conflict`], to be done again from its first statement. A connection that fails is made anew
//! with the next transaction. Nothing here needs a lock by number, a notification or anything else that
//! CockroachDB or YugabyteDB lack.

mod address;
mod arrays;
mod dialect;
mod link;
mod migrate;
mod tls;
pub(super) mod value;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use super::error::{DatabaseError, DatabaseErrorKind};
use super::given::Given;
use super::value::{Parameter, Row};
use crate::error::LedgerError;

pub(crate) use self::address::{Address, fault};
use self::link::Link;

/// How long the tables of a large ledger may take to change.
const MIGRATION: Duration = Duration::from_secs(600);

/// A connection to a server, made when it is needed.
pub(crate) struct Postgres {
    address: Arc<Address>,
    link: RefCell<Option<Link>>,
    /// What goes ahead of the next statement, in the same message.
    ahead: RefCell<String>,
    /// Whether a transaction is open, or about to be.
    open: Cell<bool>,
    /// Why the transaction cannot go on.
    failure: RefCell<Option<DatabaseError>>,
    changes: Cell<u64>,
}

impl Postgres {
    /// Connects and brings the schema up to date.
    pub(crate) fn open(address: &Arc<Address>) -> Result<Self, LedgerError> {
        let postgres = Self::at(address);
        let unreachable = |cause| LedgerError::Unreachable { server: address.shown().to_owned(), cause };
        postgres.connect().map_err(unreachable)?;
        postgres.wait_for(MIGRATION);
        migrate::migrate(&postgres, address)?;
        postgres.wait_for(address.patience());
        Ok(postgres)
    }

    fn wait_for(&self, patience: Duration) {
        if let Some(link) = self.link.borrow().as_ref() {
            link.wait_for(patience);
        }
    }

    /// A connection that is made when it is first needed.
    pub(crate) fn at(address: &Arc<Address>) -> Self {
        Self {
            address: Arc::clone(address),
            link: RefCell::default(),
            ahead: RefCell::default(),
            open: Cell::default(),
            failure: RefCell::default(),
            changes: Cell::default(),
        }
    }

    pub(super) fn execute(
        &self,
        sql: &'static str,
        parameters: &[&dyn Parameter],
    ) -> Result<usize, DatabaseError> {
        let rows = self.run(|link, ahead| link.execute(ahead, sql, parameters))?;
        self.changes.set(self.changes.get() + rows);
        Ok(rows as usize)
    }

    pub(super) fn first<T>(
        &self,
        sql: &'static str,
        parameters: &[&dyn Parameter],
        read: impl FnOnce(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Option<T>, DatabaseError> {
        let rows = self.query(sql, parameters)?;
        rows.first().map(|row| read(&Row::Postgres(row))).transpose()
    }

    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        parameters: &[&dyn Parameter],
        mut read: impl FnMut(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Vec<T>, DatabaseError> {
        let rows = self.query(sql, parameters)?;
        rows.iter().map(|row| read(&Row::Postgres(row))).collect()
    }

    pub(super) fn execute_each(
        &self,
        work: &[(&'static str, &Given<'_>)],
    ) -> Result<Vec<usize>, DatabaseError> {
        if work.iter().all(|(_, given)| given.is_empty()) {
            return Ok(vec![0; work.len()]);
        }
        let touched = self.run(|link, ahead| link.execute_each(ahead, work))?;
        self.changes.set(self.changes.get() + touched.iter().sum::<u64>());
        Ok(touched.into_iter().map(|rows| rows as usize).collect())
    }

    pub(super) fn update_each(
        &self,
        sql: &'static str,
        given: &Given<'_>,
    ) -> Result<Vec<bool>, DatabaseError> {
        let mut changed: Vec<bool> = given.rows().map(|_| false).collect();
        for place in self.all_of_each(sql, given, |row| row.get::<_, usize>("nth"))? {
            let place = place.checked_sub(1).and_then(|place| changed.get_mut(place));
            *place.ok_or_else(|| DatabaseError::undecodable("nth"))? = true;
            self.changes.set(self.changes.get() + 1);
        }
        Ok(changed)
    }

    pub(super) fn all_of_each<T>(
        &self,
        sql: &'static str,
        given: &Given<'_>,
        mut read: impl FnMut(&Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Vec<T>, DatabaseError> {
        if given.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.run(|link, ahead| link.query_each(ahead, sql, given))?;
        rows.iter().map(|row| read(&Row::Postgres(row))).collect()
    }

    fn query(
        &self,
        sql: &'static str,
        parameters: &[&dyn Parameter],
    ) -> Result<Vec<tokio_postgres::Row>, DatabaseError> {
        let (rows, changed) = self.run(|link, ahead| link.query(ahead, sql, parameters))?;
        self.changes.set(self.changes.get() + changed);
        Ok(rows)
    }

    /// Begins a transaction, with the first statement that follows.
    pub(super) fn begin(&self, how: &'static str) -> Result<(), DatabaseError> {
        self.failure.take();
        self.connect()?;
        self.open.set(true);
        self.ahead.replace(how.to_owned());
        Ok(())
    }

    /// Sends `command` with the next statement.
    pub(super) fn send_ahead(&self, command: &'static str) -> Result<(), DatabaseError> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        self.ahead.borrow_mut().push_str(command);
        Ok(())
    }

    pub(super) fn commit(&self) -> Result<(), DatabaseError> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        self.send_ahead("COMMIT;")?;
        let ended = self.batch("");
        self.open.set(ended.is_err() && self.link.borrow().is_some());
        ended
    }

    pub(super) fn roll_back(&self) {
        self.ahead.take();
        if self.open.replace(false)
            && self.link.borrow().is_some()
            && self.run(|link, _| link.batch("ROLLBACK")).is_err()
        {
            self.link.take();
        }
    }

    /// Runs statements without parameters.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), DatabaseError> {
        self.run(|link, ahead| link.batch(&format!("{ahead}{sql}")))
    }

    /// Why the open transaction cannot go on, if it cannot.
    pub(super) fn failure(&self) -> Option<DatabaseError> {
        self.failure.borrow().clone()
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    /// How often an answer was waited for.
    #[cfg(feature = "testing")]
    pub(super) fn round_trips(&self) -> u64 {
        self.link.borrow().as_ref().map_or(0, Link::round_trips)
    }

    /// Connects unless it is connected.
    pub(crate) fn connect(&self) -> Result<(), DatabaseError> {
        let mut link = self.link.borrow_mut();
        if link.as_ref().is_none_or(Link::is_closed) {
            *link = None;
            *link = Some(Link::connect(&self.address)?);
        }
        Ok(())
    }

    fn run<T>(&self, work: impl FnOnce(&Link, &str) -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        let outcome = {
            let link = self.link.borrow();
            let Some(link) = link.as_ref() else {
                return Err(self.failure().unwrap_or_else(DatabaseError::not_connected));
            };
            work(link, &self.ahead.take())
        };
        if let Err(error) = &outcome {
            match error.kind() {
                DatabaseErrorKind::Disconnected => {
                    self.link.take();
                    self.failure.replace(Some(error.clone()));
                }
                DatabaseErrorKind::Conflict => drop(self.failure.replace(Some(error.clone()))),
                _ => {}
            }
        }
        outcome
    }
}
