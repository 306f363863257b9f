//! Token accounts that are created for refunds at our expense.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many were created lately. A payer can close its own and keep the rent, again and again.
#[derive(Default)]
pub(crate) struct RefundAccounts(Mutex<Vec<Instant>>);

impl RefundAccounts {
    /// Whether one more may be created, `per_day` being what is spent on that; if so, notes that it is.
    pub(crate) fn may_create(&self, per_day: usize) -> bool {
        let mut created = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        created.retain(|at| at.elapsed() < DAY);
        let may = created.len() < per_day;
        if may {
            created.push(Instant::now());
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refund_accounts_are_counted_by_the_day() {
        let created = RefundAccounts::default();
        assert!(!created.may_create(0));
        assert!(created.may_create(2) && created.may_create(2));
        assert!(!created.may_create(2));
        assert!(created.may_create(3));
    }
}
