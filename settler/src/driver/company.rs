//! Idle channels that wait for others, so that they share a transaction: what is saved by sharing is the fee payer's and
//! the payee's signature for all but one. They sell on while they wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many are waited for, and how long.
pub(super) struct Company {
    enough: AtomicUsize,
    patience: i64,
    /// Since when some have waited, in unix seconds.
    since: Mutex<Option<i64>>,
}

impl Company {
    /// Waits for `enough` channels, and for `patience` at most.
    pub(super) fn new(enough: usize, patience: Duration) -> Self {
        let patience = i64::try_from(patience.as_secs()).unwrap_or(i64::MAX);
        Self { enough: AtomicUsize::new(enough), patience, since: Mutex::default() }
    }

    /// Whoever comes last waits for nobody.
    pub(super) fn stop_waiting(&self) {
        self.enough.store(0, Ordering::Relaxed);
    }

    /// Whether `count` idle channels wait for more at `now` (unix seconds).
    pub(super) fn is_awaited(&self, count: usize, now: i64) -> bool {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if count == 0 {
            *since = None;
            return false;
        }
        let waited = now.saturating_sub(*since.get_or_insert(now));
        let awaited = count < self.enough.load(Ordering::Relaxed) && waited < self.patience;
        if !awaited {
            *since = None;
        }
        awaited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_wait_until_they_are_enough_or_have_waited_enough() {
        let company = Company::new(3, Duration::from_secs(30));
        assert!(!company.is_awaited(0, 100));
        assert!(company.is_awaited(1, 100));
        assert!(company.is_awaited(2, 129));
        assert!(!company.is_awaited(2, 130), "the first has waited enough");
        assert!(company.is_awaited(1, 140), "the next ones wait anew");
        assert!(!company.is_awaited(3, 141), "they are enough");
    }

    #[test]
    fn nobody_waits_without_patience() {
        assert!(!Company::new(10, Duration::ZERO).is_awaited(1, 100));
    }
}
