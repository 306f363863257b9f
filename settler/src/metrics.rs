//! What the settler counts, for whoever scrapes it, and what its purse has left.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use toll_ledger::SubmissionKind;

use crate::purse::Purse;
use crate::summary::Report;

type KindAndOutcome = [(&'static str, &'static str); 2];

/// The settler's counters. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    transactions: Family<KindAndOutcome, Counter>,
    expired: Counter,
    fees: Counter,
}

impl Metrics {
    /// Adds everything to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "toll_transactions",
            "Transactions that came on chain, by what they do and whether they took effect",
            self.transactions.clone(),
        );
        registry.register(
            "toll_transactions_expired",
            "Transactions that never came on chain and were given up",
            self.expired.clone(),
        );
        registry.register("toll_fee_lamports", "Fees of transactions on chain", self.fees.clone());
    }

    pub(crate) fn report(&self, report: &Report) {
        let kind: SubmissionKind = report.kind;
        let outcome = if report.error.is_none() { "landed" } else { "failed" };
        self.transactions.get_or_create(&[("kind", kind.as_str()), ("outcome", outcome)]).inc();
        self.fees.inc_by(report.fee_lamports);
    }

    pub(crate) fn expired(&self) {
        self.expired.inc();
    }
}

/// The sponsor's lamports as its purse counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Float {
    /// What the fee payer holds, as last seen and less what has left since.
    pub balance: u64,
    /// What transactions of unknown fate may take of it.
    pub held: u64,
    /// What has to stay for the closes of all channels.
    pub reserve: u64,
}

impl Float {
    /// What new channels may take.
    pub const fn left(&self) -> u64 {
        self.balance.saturating_sub(self.held).saturating_sub(self.reserve)
    }
}

/// Sees what a running settler's purse has left.
#[derive(Clone)]
pub struct FloatWatch(pub(crate) Arc<Purse>);

impl FloatWatch {
    /// What is left at present.
    pub fn look(&self) -> Float {
        self.0.float()
    }
}

#[cfg(test)]
mod tests {
    use super::Float;

    #[test]
    fn what_is_held_and_kept_back_is_not_left() {
        assert_eq!(Float { balance: 10, held: 3, reserve: 2 }.left(), 5);
        assert_eq!(Float { balance: 10, held: 3, reserve: 8 }.left(), 0);
    }
}
