//! What the writer's thread does: takes groups off the queue, and posts the tail in between.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::error;

use super::{Entry, GROUP, group, run_group};
use crate::acceptance::Tail;
use crate::book::Book;
use crate::engine::{DatabaseError, Tx};
use crate::error::LedgerError;

/// How long a group waits for company when the one before had some: a sync costs the same whatever it is for, and
/// callers that come together come again together.
const GATHERING: Duration = Duration::from_micros(200);

pub(super) type SharedTail = Arc<Mutex<Tail>>;

/// What the thread works with.
pub(super) struct Thread {
    pub(super) tx: Tx,
    pub(super) book: Arc<Book>,
    pub(super) tail: Option<SharedTail>,
    pub(super) committed: watch::Sender<u64>,
    /// Whether commits wait for the disk.
    pub(super) waits: Cell<bool>,
}

impl Thread {
    pub(super) fn run(&self, mut queue: mpsc::Receiver<Entry>) {
        let mut waiting = Vec::new();
        // Entries of the last group.
        let mut company = 0;
        loop {
            take_waiting(&mut queue, &mut waiting);
            if (1..company).contains(&waiting.len()) {
                std::thread::sleep(GATHERING);
                take_waiting(&mut queue, &mut waiting);
            }
            let is_idle = waiting.is_empty();
            if self.tail().is_some_and(|tail| tail.is_long(is_idle)) {
                // Whoever needs the rows will say if this goes on failing.
                if let Err(error) = self.post(|tail, tx| tail.post_some(tx, company)) {
                    error!(%error, "post");
                }
            }
            if waiting.is_empty() {
                match queue.try_recv().ok().or_else(|| queue.blocking_recv()) {
                    Some(entry) => waiting.push(entry),
                    None => break,
                }
                continue;
            }
            waiting.retain(|entry| !entry.is_abandoned());
            company = waiting.len();
            let (jobs, posts) = group(self, waiting);
            let left = run_group(self, jobs);
            if !posts.is_empty() {
                let posted = self.post(Tail::post_all);
                for reply in posts {
                    let _ = reply.send(posted.clone());
                }
            }
            waiting = left.into_iter().map(Entry::Job).collect();
        }
        if self.tail().is_some_and(|tail| tail.has_entries())
            && let Err(error) = self.post(Tail::post_all)
        {
            error!(%error, "post");
        }
    }

    pub(super) fn tail(&self) -> Option<MutexGuard<'_, Tail>> {
        self.tail.as_ref().map(|tail| tail.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes back what was begun.
    pub(super) fn abandon(&self) {
        self.tx.abandon();
        if let Some(mut tail) = self.tail() {
            tail.forget();
        }
    }

    /// Posts in a transaction of its own. It does not wait for the disk: until it is there, the tail is.
    fn post(&self, work: impl FnOnce(&mut Tail, &Tx) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        if self.tail.is_none() {
            return Ok(());
        }
        self.wait_for_disk(false)?;
        let posted = self.tx.begin().map_err(LedgerError::from).and_then(|()| {
            if let Some(mut tail) = self.tail() {
                tail.begin(&self.tx, false)?;
                work(&mut tail, &self.tx)?;
            }
            Ok(self.tx.commit()?)
        });
        if posted.is_err() {
            self.abandon();
        }
        posted
    }

    /// Lets commits from here on wait for the disk, or not. Called before every transaction, so none that must wait
    /// does not.
    pub(super) fn wait_for_disk(&self, wait: bool) -> Result<(), DatabaseError> {
        if self.waits.get() != wait {
            self.tx.wait_for_disk(wait)?;
            self.waits.set(wait);
        }
        Ok(())
    }
}

/// Takes what waits, up to a whole group.
fn take_waiting(queue: &mut mpsc::Receiver<Entry>, waiting: &mut Vec<Entry>) {
    while waiting.len() < GROUP
        && let Ok(entry) = queue.try_recv()
    {
        waiting.push(entry);
    }
}
