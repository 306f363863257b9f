//! One connection to a server, and the thread of work on it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use super::address::Address;
use super::arrays::over_arrays;
use super::dialect;
use super::value::Bound;
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::given::Given;
use crate::engine::value::Parameter;

/// A connection. Its traffic moves only while somebody waits for an answer.
pub(super) struct Link {
    // Taken when it goes: a runtime must not be waited for where others run.
    runtime: Option<Runtime>,
    client: Client,
    patience: Cell<Duration>,
    statements: RefCell<HashMap<&'static str, Statement>>,
    /// The same over arrays.
    over_arrays: RefCell<HashMap<&'static str, Statement>>,
    /// How often an answer was waited for.
    round_trips: Cell<u64>,
}

impl Link {
    pub(super) fn connect(address: &Address) -> Result<Self, DatabaseError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| lost(&cause))?;
        let patience = address.patience();
        let connected = runtime.block_on(async {
            let (client, connection) = match tokio::time::timeout(patience, address.connect()).await {
                Ok(connected) => connected?,
                Err(_) => return Err(silent(patience)),
            };
            tokio::spawn(connection);
            Ok(client)
        });
        let client = match connected {
            Ok(client) => client,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let link = Self {
            runtime: Some(runtime),
            client,
            patience: Cell::new(patience),
            statements: RefCell::default(),
            over_arrays: RefCell::default(),
            round_trips: Cell::default(),
        };
        link.prepare_session()?;
        Ok(link)
    }

    /// Commits wait for the disk, and what a dead process left open ends by itself.
    fn prepare_session(&self) -> Result<(), DatabaseError> {
        let idle = self.patience.get().as_millis();
        self.batch(&format!("SET idle_in_transaction_session_timeout = {idle}"))?;
        let setting = "SELECT coalesce(current_setting('synchronous_commit', true), '')";
        let rows = self.wait(self.client.simple_query(setting))?;
        let commits = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        if commits.as_deref() == Some("off") {
            self.batch("SET synchronous_commit = on")?;
        }
        Ok(())
    }

    /// From here on any answer is waited for as long as this.
    pub(super) fn wait_for(&self, patience: Duration) {
        self.patience.set(patience);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), DatabaseError> {
        self.wait(self.client.batch_execute(sql))
    }

    pub(super) fn execute(
        &self,
        ahead: &str,
        sql: &'static str,
        parameters: &[&dyn Parameter],
    ) -> Result<u64, DatabaseError> {
        let statement = self.statement(sql)?;
        let bound = bind(parameters);
        let bound = refer(&bound);
        self.after(ahead, self.client.execute(&statement, &bound))
    }

    /// The rows, and how many of them a change returned.
    pub(super) fn query(
        &self,
        ahead: &str,
        sql: &'static str,
        parameters: &[&dyn Parameter],
    ) -> Result<(Vec<Row>, u64), DatabaseError> {
        let statement = self.statement(sql)?;
        let bound = bind(parameters);
        let bound = refer(&bound);
        let rows = self.after(ahead, self.client.query(&statement, &bound))?;
        let changed = if sql.contains("RETURNING") { rows.len() as u64 } else { 0 };
        Ok((rows, changed))
    }

    /// Sends all of `work` at once. Returns how many rows each touched.
    pub(super) fn execute_each(
        &self,
        ahead: &str,
        work: &[(&'static str, &Given<'_>)],
    ) -> Result<Vec<u64>, DatabaseError> {
        let mut statements = Vec::with_capacity(work.len());
        for (sql, given) in work {
            let statement = if given.is_empty() { None } else { Some(self.statement_over_arrays(sql)?) };
            statements.push(statement);
        }
        let arrays: Vec<_> = work.iter().map(|(_, given)| arrays(given)).collect();
        let parameters: Vec<_> = arrays.iter().map(|arrays| refer(arrays)).collect();
        let answers =
            statements.iter().zip(&parameters).map(async |(statement, parameters)| match statement {
                Some(statement) => self.client.execute(statement, parameters).await,
                None => Ok(0),
            });
        self.after(ahead, together(answers))
    }

    /// What `sql` finds, or changes, for all that is given.
    pub(super) fn query_each(
        &self,
        ahead: &str,
        sql: &'static str,
        given: &Given<'_>,
    ) -> Result<Vec<Row>, DatabaseError> {
        let statement = self.statement_over_arrays(sql)?;
        let arrays = arrays(given);
        self.after(ahead, self.client.query(&statement, &refer(&arrays)))
    }

    /// How often an answer was waited for.
    #[cfg(feature = "testing")]
    pub(super) fn round_trips(&self) -> u64 {
        self.round_trips.get()
    }

    /// The server knows the types of parameters by where they are, those of arrays only by their names.
    fn statement_over_arrays(&self, sql: &'static str) -> Result<Statement, DatabaseError> {
        if let Some(statement) = self.over_arrays.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let spelled = dialect::statement(sql);
        let one = self.wait(self.client.prepare(&spelled))?;
        let types: Vec<&str> = one.params().iter().map(Type::name).collect();
        let many = self.wait(self.client.prepare(&over_arrays(&spelled, &types)))?;
        self.over_arrays.borrow_mut().insert(sql, many.clone());
        Ok(many)
    }

    fn statement(&self, sql: &'static str) -> Result<Statement, DatabaseError> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wait(self.client.prepare(&dialect::statement(sql)))?;
        self.statements.borrow_mut().insert(sql, statement.clone());
        Ok(statement)
    }

    /// Sends both at once: the answer to what goes ahead is back before that of `statement`.
    fn after<T>(
        &self,
        ahead: &str,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DatabaseError> {
        if ahead.is_empty() {
            return self.wait(statement);
        }
        self.wait(async {
            let (went_ahead, answered) = tokio::join!(self.client.batch_execute(ahead), statement);
            went_ahead?;
            answered
        })
    }

    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DatabaseError> {
        let runtime = self.runtime.as_ref().ok_or_else(DatabaseError::not_connected)?;
        self.round_trips.set(self.round_trips.get() + 1);
        match runtime.block_on(async { tokio::time::timeout(self.patience.get(), answer).await }) {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(silent(self.patience.get())),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn bind<'a>(parameters: &'a [&'a dyn Parameter]) -> Vec<Bound<'a>> {
    parameters.iter().map(|parameter| Bound(parameter.value())).collect()
}

/// An array for each parameter.
fn arrays<'a>(given: &Given<'a>) -> Vec<Vec<Bound<'a>>> {
    given.columns().map(|values| values.map(Bound).collect()).collect()
}

fn refer<T: ToSql + Sync>(bound: &[T]) -> Vec<&(dyn ToSql + Sync)> {
    bound.iter().map(|bound| bound as &(dyn ToSql + Sync)).collect()
}

/// Begins all of `work` before it waits for any. Of several failures the first is told: the others follow from it.
async fn together<T>(
    work: impl Iterator<Item = impl Future<Output = Result<T, tokio_postgres::Error>>>,
) -> Result<Vec<T>, tokio_postgres::Error> {
    let mut work: Vec<_> = work.map(|each| (Box::pin(each), None)).collect();
    poll_fn(|context| {
        for (each, answer) in work.iter_mut().filter(|(_, answer)| answer.is_none()) {
            if let Poll::Ready(ready) = each.as_mut().poll(context) {
                *answer = Some(ready);
            }
        }
        if work.iter().all(|(_, answer)| answer.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    work.into_iter().filter_map(|(_, answer)| answer).collect()
}

fn lost(cause: &dyn std::fmt::Display) -> DatabaseError {
    DatabaseError::new(DatabaseErrorKind::Disconnected, cause.to_string())
}

fn silent(patience: Duration) -> DatabaseError {
    DatabaseError::new(DatabaseErrorKind::Disconnected, format!("no answer within {} s", patience.as_secs()))
}
