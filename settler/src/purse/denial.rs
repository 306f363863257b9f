//! Why lamports stay where they are.

use std::fmt;

use toll_ledger::SpendingKind;

/// Why lamports stay where they are. All in lamports, but for refund accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The day's budget for the purpose is spent.
    KindBudget {
        /// The purpose.
        kind: SpendingKind,
        /// The budget.
        budget: u64,
        /// What is left of it.
        left: u64,
    },
    /// What may be spent on this payer in a day is spent.
    PayerBudget {
        /// The budget.
        budget: u64,
        /// What is left of it.
        left: u64,
    },
    /// The day's budget is spent.
    DayBudget {
        /// The budget.
        budget: u64,
        /// What is left of it.
        left: u64,
    },
    /// The whole budget is spent.
    Budget {
        /// The budget.
        budget: u64,
        /// What is left of it.
        left: u64,
    },
    /// So many token accounts were created for refunds today.
    RefundAccounts {
        /// How many a day.
        limit: u64,
    },
    /// What would be left is less than what the closes of open channels need.
    Reserve {
        /// What is there and not held.
        available: u64,
        /// What has to stay.
        reserve: u64,
    },
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KindBudget { kind, budget, left } => {
                write!(f, "the sponsor's budget of {budget} lamports a day for {kind} has {left} left")
            }
            Self::PayerBudget { budget, left } => {
                write!(f, "the sponsor's budget of {budget} lamports a day for this payer has {left} left")
            }
            Self::DayBudget { budget, left } => {
                write!(f, "the sponsor's budget of {budget} lamports a day has {left} left")
            }
            Self::Budget { budget, left } => {
                write!(f, "the sponsor's budget of {budget} lamports in all has {left} left")
            }
            Self::RefundAccounts { limit } => {
                write!(f, "the sponsor has created {limit} token accounts for refunds today, its limit")
            }
            Self::Reserve { available, reserve } => write!(
                f,
                "the sponsor is out of SOL: of {available} lamports, {reserve} are kept for closing channels"
            ),
        }
    }
}
