//! The one thread that writes.
//!
//! Jobs queue up while a commit is on its way to disk; the next transaction takes them all. Each runs in
//! a savepoint, so one that fails takes back only its own changes, and each is answered after the commit
//! that holds it has returned. If that commit fails, so does every job in it. The vouchers of a transaction are one
//! job: see [`vouchers`].

mod vouchers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, trace};

use self::vouchers::{Offered, Vouchers};
use crate::acceptance::{Acceptance, Offer};
use crate::book::Book;
use crate::engine::{DatabaseError, DatabaseErrorKind, Tx};
use crate::error::LedgerError;

/// Jobs that may wait before callers do.
const QUEUE: usize = 1_024;

/// Most jobs in one transaction: bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// Hands jobs to the writer thread. Dropping it lets the queue drain, then ends and joins the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Entry>>,
    thread: Option<JoinHandle<()>>,
    commits: watch::Receiver<u64>,
}

impl Writer {
    /// Starts the thread that owns `tx` from here on, and enters in `book` what vouchers raise.
    pub(crate) fn start(tx: Tx, book: Arc<Book>) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (committed, commits) = watch::channel(0);
        let thread = std::thread::Builder::new()
            .name("toll-ledger".to_owned())
            .spawn(move || run(&tx, &book, jobs, &committed))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), commits })
    }

    /// Runs `work` in the next transaction and returns once that is durable.
    ///
    /// A caller that goes away before its turn is passed over; after that, its work stands.
    pub(crate) async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx) -> Result<T, LedgerError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work { name, work: Some(work), outcome: None, reply });
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

/// What waits for the next transaction.
enum Entry {
    Job(Box<dyn Job>),
    Voucher(Offered),
}

impl Entry {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Job(job) => job.is_abandoned(),
            Self::Voucher(offered) => offered.is_abandoned(),
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
    fn run(&mut self, tx: &Tx) -> bool;
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
    F: FnOnce(&Tx) -> Result<T, LedgerError> + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, tx: &Tx) -> bool {
        let Some(work) = self.work.take() else { return true };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(tx)))
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

fn run(tx: &Tx, book: &Arc<Book>, mut queue: mpsc::Receiver<Entry>, committed: &watch::Sender<u64>) {
    let mut waiting = Vec::new();
    loop {
        if waiting.is_empty() {
            match queue.blocking_recv() {
                Some(entry) => waiting.push(entry),
                None => return,
            }
        }
        while waiting.len() < GROUP
            && let Ok(entry) = queue.try_recv()
        {
            waiting.push(entry);
        }
        waiting.retain(|entry| !entry.is_abandoned());
        let left = run_group(tx, group(book, waiting), committed);
        waiting = left.into_iter().map(Entry::Job).collect();
    }
}

/// The jobs of a group: whatever the order in which they came, the vouchers are one, and the first.
fn group(book: &Arc<Book>, entries: Vec<Entry>) -> Vec<Box<dyn Job>> {
    let (mut offered, mut jobs) = (Vec::with_capacity(entries.len()), Vec::new());
    for entry in entries {
        match entry {
            Entry::Voucher(voucher) => offered.push(voucher),
            Entry::Job(job) => jobs.push(job),
        }
    }
    if !offered.is_empty() {
        jobs.insert(0, Box::new(Vouchers::new(offered, Arc::clone(book))));
    }
    jobs
}

/// Runs jobs in one transaction and answers them; returns those that must run in another.
fn run_group(tx: &Tx, jobs: Vec<Box<dyn Job>>, committed: &watch::Sender<u64>) -> Vec<Box<dyn Job>> {
    if jobs.is_empty() {
        return jobs;
    }
    let changes = tx.changes();
    if let Err(error) = tx.begin() {
        // Nothing should be open here; if something is, the next group must not find it.
        tx.abandon();
        answer(jobs, &Err(error.into()));
        return Vec::new();
    }
    let mut done = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter();
    let mut lost = None;
    for mut job in jobs.by_ref() {
        let ran = run_one(tx, job.as_mut());
        done.push(job);
        if let Err(error) = ran {
            lost = Some(error);
            break;
        }
    }
    let result = match lost {
        Some(error) => {
            tx.abandon();
            Err(error)
        }
        None => commit(tx),
    };
    trace!(jobs = done.len(), committed = result.is_ok(), "group");
    if result.is_ok() && tx.changes() != changes {
        committed.send_modify(|count| *count += 1);
    }
    answer(done, &result.map_err(LedgerError::from));
    jobs.collect()
}

/// Runs one job in a savepoint. An error means that the whole transaction is lost.
fn run_one(tx: &Tx, job: &mut dyn Job) -> Result<(), DatabaseError> {
    tx.begin_job()?;
    let keep = job.run(tx);
    // The database may have taken back everything at once; going on would write outside of any transaction.
    if tx.is_over() {
        error!(job = job.name(), "transaction lost");
        let text = format!("transaction was rolled back during {}", job.name());
        return Err(DatabaseError::new(DatabaseErrorKind::Other, text));
    }
    tx.end_job(keep)
}

fn commit(tx: &Tx) -> Result<(), DatabaseError> {
    let result = tx.commit();
    if let Err(error) = &result {
        error!(%error, "commit");
        // A failed COMMIT may leave the transaction open.
        tx.abandon();
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
