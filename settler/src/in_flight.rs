//! Transactions of unknown fate, as far as this process knows them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use toll_ledger::SubmissionId;

/// When each transaction was last sent. The ledger has the transactions themselves.
#[derive(Default)]
pub(crate) struct InFlight(Mutex<HashMap<SubmissionId, Instant>>);

impl InFlight {
    /// Notes that a transaction is being sent.
    pub(crate) fn sent(&self, id: SubmissionId) {
        self.lock().insert(id, Instant::now());
    }

    /// Whether a transaction was not sent within the last `every`; if so, notes that it is now. One from
    /// before this process started is due at once.
    pub(crate) fn is_due(&self, id: SubmissionId, every: Duration) -> bool {
        let mut sent_at = self.lock();
        let due = sent_at.get(&id).is_none_or(|sent| sent.elapsed() >= every);
        if due {
            sent_at.insert(id, Instant::now());
        }
        due
    }

    /// Notes that a transaction's fate is known.
    pub(crate) fn resolved(&self, id: SubmissionId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SubmissionId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
