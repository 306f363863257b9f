//! The one thread that writes.
//!
//! Jobs queue up while a commit is on its way to disk; the next transaction takes them all. Each runs in
//! a savepoint, so one that fails takes back only its own changes, and each is answered after the commit
//! that holds it has returned. If that commit fails, so does every job in it, unless the database says that another
//! process was in the way and nothing happened: then the whole group is done again, so jobs may run more than once. The
//! vouchers of a transaction are one job: see [`vouchers`].

mod thread;
mod vouchers;

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, trace};

use self::thread::{SharedTail, Thread};
use self::vouchers::{Offered, Vouchers};
use crate::acceptance::{Acceptance, Offer, Tail};
use crate::book::Book;
use crate::engine::{AT_ONCE, DatabaseError, DatabaseErrorKind, Tx};
use crate::error::LedgerError;

/// Jobs that may wait before callers do.
const QUEUE: usize = 1_024;

/// Most jobs in one transaction: bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// How often a group is begun that other processes get in the way of.
const ATTEMPTS: u32 = 12;

/// After so many attempts jobs go one by one, so that less is in the way of others.
const TOGETHER: u32 = 4;

/// Hands jobs to the writer thread. Dropping it lets the queue drain, then ends and joins the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Entry>>,
    thread: Option<JoinHandle<()>>,
    commits: watch::Receiver<u64>,
}

impl Writer {
    /// Starts the thread that owns `tx` from here on, and enters in `book` what vouchers raise. With a `tail`, vouchers
    /// are written behind it.
    pub(crate) fn start(tx: Tx, book: Arc<Book>, tail: Option<Tail>) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (committed, commits) = watch::channel(0);
        let thread = std::thread::Builder::new().name("toll-ledger".to_owned()).spawn(move || {
            let tail = tail.map(|tail| Arc::new(Mutex::new(tail)));
            Thread { tx, book, tail, committed, waits: Cell::new(true) }.run(jobs);
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), commits })
    }

    /// Runs `work` in the next transaction and returns once that is durable.
    ///
    /// A caller that goes away before its turn is passed over; after that, its work stands.
    pub(crate) async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnMut(&Tx) -> Result<T, LedgerError> + Send + 'static,
    {
        self.work(name, work, true).await
    }

    /// The same for `work` that vouchers have nothing to do with: accepted ones may be missing in the rows.
    pub(crate) async fn write_beside<T, F>(&self, name: &'static str, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnMut(&Tx) -> Result<T, LedgerError> + Send + 'static,
    {
        self.work(name, work, false).await
    }

    async fn work<T, F>(&self, name: &'static str, work: F, needs_rows: bool) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnMut(&Tx) -> Result<T, LedgerError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work { name, work, needs_rows, outcome: None, reply });
        let queue = self.queue.as_ref().ok_or(LedgerError::Stopped)?;
        queue.send(Entry::Job(job)).await.map_err(|_| LedgerError::Stopped)?;
        answer.await.map_err(|_| LedgerError::Stopped)?
    }

    /// Decides on a voucher in the next transaction, with all others that are in it, and returns once that is durable.
    pub(crate) async fn offer(&self, offer: Offer) -> Result<Acceptance, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(LedgerError::Stopped)?;
        let entry = Entry::Voucher(Offered::new(offer, reply));
        queue.send(entry).await.map_err(|_| LedgerError::Stopped)?;
        answer.await.map_err(|_| LedgerError::Stopped)?
    }

    /// Returns once the rows have every voucher that was accepted before.
    pub(crate) async fn post(&self) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(LedgerError::Stopped)?;
        queue.send(Entry::Post(reply)).await.map_err(|_| LedgerError::Stopped)?;
        answer.await.map_err(|_| LedgerError::Stopped)?
    }

    /// How many jobs wait.
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

/// Who waits for the rows.
type Posted = oneshot::Sender<Result<(), LedgerError>>;

/// What waits for the next transaction.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are vouchers, and a box would be an allocation each"
)]
enum Entry {
    Job(Box<dyn Job>),
    Voucher(Offered),
    Post(Posted),
}

impl Entry {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Job(job) => job.is_abandoned(),
            Self::Voucher(offered) => offered.is_abandoned(),
            Self::Post(reply) => reply.is_closed(),
        }
    }
}

/// A piece of work with its caller.
trait Job: Send {
    /// What the work is called.
    fn name(&self) -> &'static str;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Whether the rows must be whole for it: every voucher that was accepted is in them.
    fn needs_rows(&self) -> bool;
    /// Does the work and keeps its outcome, of the last time when it is done again. False asks for its changes to
    /// be taken back.
    fn run(&mut self, tx: &Tx) -> bool;
    /// Tells the caller: its own outcome, or why nothing was committed.
    fn answer(self: Box<Self>, committed: Result<(), LedgerError>);
}

struct Work<T, F> {
    name: &'static str,
    work: F,
    needs_rows: bool,
    outcome: Option<Result<T, LedgerError>>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: FnMut(&Tx) -> Result<T, LedgerError> + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn needs_rows(&self) -> bool {
        self.needs_rows
    }

    fn run(&mut self, tx: &Tx) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)))
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

/// The jobs of a group: whatever the order in which they came, the vouchers are one, and the first.
fn group(thread: &Thread, entries: Vec<Entry>) -> (Vec<Box<dyn Job>>, Vec<Posted>) {
    let (mut offered, mut jobs, mut posts) = (Vec::with_capacity(entries.len()), Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Voucher(voucher) => offered.push(voucher),
            Entry::Job(job) => jobs.push(job),
            Entry::Post(reply) => posts.push(reply),
        }
    }
    if !offered.is_empty() {
        let vouchers = Vouchers::new(offered, Arc::clone(&thread.book), thread.tail.clone());
        jobs.insert(0, Box::new(vouchers));
    }
    (jobs, posts)
}

/// Runs jobs in one transaction and answers them; returns those that must run in another.
fn run_group(thread: &Thread, mut jobs: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let committed = &thread.committed;
    if jobs.is_empty() {
        return jobs;
    }
    let mut rest = Vec::new();
    for attempt in 1.. {
        let begun = Instant::now();
        let (ran, outcome) = attempt_group(thread, &mut jobs);
        let failed = match &outcome {
            Ok(_) => None,
            Err(failed) if attempt < ATTEMPTS && failed.may_be_repeated(attempt, begun.elapsed()) => {
                Some(failed)
            }
            Err(_) => None,
        };
        if failed.is_some() {
            if attempt == TOGETHER {
                rest = jobs.split_off(1);
            }
            pause(attempt);
            continue;
        }
        trace!(jobs = ran, attempt, committed = outcome.is_ok(), "group");
        if matches!(outcome, Ok(true)) {
            committed.send_modify(|count| *count += 1);
        }
        let mut unrun = jobs.split_off(ran);
        answer(jobs, &outcome.map(drop).map_err(|failed| failed.cause));
        unrun.append(&mut rest);
        return unrun;
    }
    rest
}

/// Why a group was not committed.
struct Failed {
    cause: LedgerError,
    /// Whether the commit was asked for: then it may have happened.
    at_commit: bool,
}

impl Failed {
    fn may_be_repeated(&self, attempt: u32, after: Duration) -> bool {
        let LedgerError::Database { cause, .. } = &self.cause else { return false };
        match cause.kind() {
            DatabaseErrorKind::Conflict => true,
            DatabaseErrorKind::Disconnected => !self.at_commit && attempt == 1 && after < AT_ONCE,
            _ => false,
        }
    }
}

/// Lets others finish, each for another time.
fn pause(attempt: u32) {
    let spread = RandomState::new().hash_one(attempt) % 8;
    std::thread::sleep(Duration::from_millis((1 << attempt.min(7)) / 2 + spread));
}

/// Runs jobs in one transaction. Returns how many ran, and when that was committed, whether they changed anything.
fn attempt_group(thread: &Thread, jobs: &mut [Box<dyn Job>]) -> (usize, Result<bool, Failed>) {
    let tx = &thread.tx;
    let failed = |at_commit| move |cause| Failed { cause, at_commit };
    if let Err(cause) = begin(thread, jobs) {
        // Nothing should be open here; if something is, the next group must not find it.
        thread.abandon();
        return (jobs.len(), Err(failed(false)(cause)));
    }
    let changes = tx.changes();
    for (index, job) in jobs.iter_mut().enumerate() {
        if let Err(cause) = run_one(tx, job.as_mut()) {
            thread.abandon();
            return (index + 1, Err(failed(false)(cause.into())));
        }
    }
    let committed = commit(tx);
    if committed.is_err() {
        // A failed COMMIT may leave the transaction open.
        thread.abandon();
    }
    let changed = tx.changes() != changes;
    (jobs.len(), committed.map(|()| changed).map_err(|cause| failed(true)(cause.into())))
}

/// Begins a transaction, with the rows made whole for jobs that need them.
fn begin(thread: &Thread, jobs: &[Box<dyn Job>]) -> Result<(), LedgerError> {
    thread.wait_for_disk(true)?;
    thread.tx.begin()?;
    match thread.tail() {
        Some(mut tail) => tail.begin(&thread.tx, jobs.iter().any(|job| job.needs_rows())),
        None => Ok(()),
    }
}

/// Runs one job in a savepoint. An error means that the whole transaction is lost.
fn run_one(tx: &Tx, job: &mut dyn Job) -> Result<(), DatabaseError> {
    tx.begin_job()?;
    let keep = job.run(tx);
    // The database may have taken back everything at once; going on would write outside of any transaction.
    if let Some(failure) = tx.failure() {
        if failure.kind() != DatabaseErrorKind::Conflict {
            error!(job = job.name(), %failure, "transaction lost");
        }
        return Err(failure);
    }
    tx.end_job(keep)
}

fn commit(tx: &Tx) -> Result<(), DatabaseError> {
    let result = tx.commit();
    if let Err(error) = &result
        && error.kind() != DatabaseErrorKind::Conflict
    {
        error!(%error, "commit");
    }
    result
}

fn answer(jobs: Vec<Box<dyn Job>>, result: &Result<(), LedgerError>) {
    for job in jobs {
        job.answer(result.clone());
    }
}

#[cfg(test)]
mod tests;
