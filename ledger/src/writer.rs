//! The one thread that writes.
//!
//! Jobs queue up while a commit is on its way to disk; the next transaction takes them all. Each runs in
//! a savepoint, so one that fails takes back only its own changes, and each is answered after the commit
//! that holds it has returned. If that commit fails, so does every job in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, trace};

use crate::error::LedgerError;

/// Jobs that may wait before callers do.
const QUEUE: usize = 1_024;

/// Most jobs in one transaction: bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// Hands jobs to the writer thread. Dropping it lets the queue drain, then ends and joins the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    commits: watch::Receiver<u64>,
}

impl Writer {
    /// Starts the thread that owns `connection` from here on.
    pub(crate) fn start(connection: Connection) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (committed, commits) = watch::channel(0);
        let thread = std::thread::Builder::new()
            .name("toll-ledger".to_owned())
            .spawn(move || run(&connection, jobs, &committed))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), commits })
    }

    /// Runs `work` in the next transaction and returns once that is durable.
    ///
    /// A caller that goes away before its turn is passed over; after that, its work stands.
    pub(crate) async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work { name, work: Some(work), outcome: None, reply });
        let queue = self.queue.as_ref().ok_or(LedgerError::Stopped)?;
        queue.send(job).await.map_err(|_| LedgerError::Stopped)?;
        answer.await.map_err(|_| LedgerError::Stopped)?
    }

    /// How many jobs wait.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn queued(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Counts the commits that changed something.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has already failed every caller.
            let _ = thread.join();
        }
    }
}

/// A piece of work with its caller.
trait Job: Send {
    /// What the work is called.
    fn name(&self) -> &'static str;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Does the work and keeps its outcome. False asks for its changes to be taken back.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Tells the caller: its own outcome, or why nothing was committed.
    fn answer(self: Box<Self>, committed: Result<(), LedgerError>);
}

struct Work<T, F> {
    name: &'static str,
    work: Option<F>,
    outcome: Option<Result<T, LedgerError>>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, LedgerError> + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        let Some(work) = self.work.take() else { return true };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(connection)))
            .unwrap_or(Err(LedgerError::Panicked { operation: self.name }))
            .map_err(|error| error.during(self.name));
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn answer(self: Box<Self>, committed: Result<(), LedgerError>) {
        let outcome = match (self.outcome, committed) {
            // Its own failure says more than that of the group.
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.during(self.name)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(LedgerError::Stopped),
        };
        let _ = self.reply.send(outcome);
    }
}

fn run(connection: &Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>, committed: &watch::Sender<u64>) {
    let mut waiting = Vec::new();
    loop {
        if waiting.is_empty() {
            match jobs.blocking_recv() {
                Some(job) => waiting.push(job),
                None => return,
            }
        }
        while waiting.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            waiting.push(job);
        }
        waiting.retain(|job| !job.is_abandoned());
        waiting = run_group(connection, waiting, committed);
    }
}

/// Runs jobs in one transaction and answers them; returns those that must run in another.
fn run_group(
    connection: &Connection,
    jobs: Vec<Box<dyn Job>>,
    committed: &watch::Sender<u64>,
) -> Vec<Box<dyn Job>> {
    if jobs.is_empty() {
        return jobs;
    }
    let changes = connection.total_changes();
    if let Err(error) = execute(connection, "-- begin_group\nBEGIN IMMEDIATE") {
        // Nothing should be open here; if something is, the next group must not find it.
        let _ = execute(connection, "-- abandon_group\nROLLBACK");
        answer(jobs, &Err(error));
        return Vec::new();
    }
    let mut done = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter();
    let mut lost = None;
    for mut job in jobs.by_ref() {
        let ran = run_one(connection, job.as_mut());
        done.push(job);
        if let Err(error) = ran {
            lost = Some(error);
            break;
        }
    }
    let result = match lost {
        Some(error) => {
            // SQLite may have rolled back by itself, in which case there is nothing left to undo.
            let _ = execute(connection, "-- abandon_group\nROLLBACK");
            Err(error)
        }
        None => commit(connection),
    };
    trace!(jobs = done.len(), committed = result.is_ok(), "group");
    if result.is_ok() && connection.total_changes() != changes {
        committed.send_modify(|count| *count += 1);
    }
    answer(done, &result);
    jobs.collect()
}

/// Runs one job in a savepoint. An error means that the whole transaction is lost.
fn run_one(connection: &Connection, job: &mut dyn Job) -> Result<(), LedgerError> {
    execute(connection, "-- begin_job\nSAVEPOINT job")?;
    let keep = job.run(connection);
    // A full disk or an I/O error makes SQLite roll back everything at once; going on would write
    // outside of any transaction.
    if connection.is_autocommit() {
        error!(job = job.name(), "transaction lost");
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK),
            Some(format!("transaction was rolled back during {}", job.name())),
        )
        .into());
    }
    if !keep {
        execute(connection, "-- undo_job\nROLLBACK TO job")?;
    }
    execute(connection, "-- end_job\nRELEASE job")
}

fn commit(connection: &Connection) -> Result<(), LedgerError> {
    let result = execute(connection, "-- commit_group\nCOMMIT");
    if let Err(error) = &result {
        error!(%error, "commit");
        // A failed COMMIT leaves the transaction open.
        if !connection.is_autocommit() {
            let _ = execute(connection, "-- abandon_group\nROLLBACK");
        }
    }
    result
}

fn execute(connection: &Connection, sql: &str) -> Result<(), LedgerError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn answer(jobs: Vec<Box<dyn Job>>, result: &Result<(), LedgerError>) {
    for job in jobs {
        job.answer(result.clone());
    }
}

#[cfg(test)]
mod tests;
