//! Transactions of unknown fate, as far as this process knows them, and how many there may be.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use toll_ledger::{Submission, SubmissionId, SubmissionKind};

/// The window of transactions in flight. The ledger has the transactions themselves.
pub(crate) struct InFlight {
    most: usize,
    sent: Mutex<HashMap<SubmissionId, Sent>>,
    resolved: watch::Sender<u64>,
}

struct Sent {
    kind: SubmissionKind,
    /// When it was last sent; `None` before the first time by this process.
    at: Option<Instant>,
}

/// Transactions that take turns with each other, and with no others: a flood of opens keeps no close waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What payers ask for.
    Requested,
    /// Our own.
    Own,
}

impl Lane {
    fn of(kind: SubmissionKind) -> Self {
        match kind {
            SubmissionKind::Open | SubmissionKind::TopUp | SubmissionKind::Charge => Self::Requested,
            _ => Self::Own,
        }
    }
}

impl InFlight {
    /// At most `most` in each lane.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, sent: Mutex::default(), resolved: watch::Sender::new(0) }
    }

    /// Takes over what an earlier process left.
    pub(crate) fn resume(&self, unresolved: &[Submission]) {
        let sent = unresolved.iter().map(|one| (one.id, Sent { kind: one.kind, at: None }));
        self.lock().extend(sent);
    }

    /// How many more transactions may be sent in a lane.
    pub(crate) fn room(&self, lane: Lane) -> usize {
        let taken = self.lock().values().filter(|sent| Lane::of(sent.kind) == lane).count();
        self.most.saturating_sub(taken)
    }

    /// How many transactions may be in flight in one lane.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether a transaction of this kind is on its way.
    pub(crate) fn has(&self, kind: SubmissionKind) -> bool {
        self.lock().values().any(|sent| sent.kind == kind)
    }

    /// Notes that a transaction is being sent.
    pub(crate) fn sent(&self, id: SubmissionId, kind: SubmissionKind) {
        self.lock().insert(id, Sent { kind, at: Some(Instant::now()) });
    }

    /// Whether a transaction was not sent within the last `every`; if so, notes that it is now. One from before
    /// this process is due at once; one that is just being sent for the first time is not.
    pub(crate) fn is_due(&self, submission: &Submission, every: Duration) -> bool {
        let now = Instant::now();
        let mut sent = self.lock();
        let mut unknown = false;
        let known = sent.entry(submission.id).or_insert_with(|| {
            unknown = true;
            Sent { kind: submission.kind, at: Some(now) }
        });
        let due = !unknown && known.at.is_none_or(|at| now.duration_since(at) >= every);
        if due {
            known.at = Some(now);
        }
        due
    }

    /// Notes that a transaction's fate is known: there is room for another.
    pub(crate) fn resolved(&self, id: SubmissionId) {
        self.lock().remove(&id);
        self.resolved.send_modify(|count| *count += 1);
    }

    /// Changes whenever there is more room.
    pub(crate) fn more_room(&self) -> watch::Receiver<u64> {
        self.resolved.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SubmissionId, Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
