//! What a run of the settler did.

use std::sync::{Mutex, MutexGuard, PoisonError};

use solana_signature::Signature;
use toll_ledger::SubmissionKind;
use toll_protocol::ChannelId;

use crate::metrics::Metrics;

/// One transaction and its fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it did.
    pub kind: SubmissionKind,
    /// The channels it was for.
    pub channels: Vec<ChannelId>,
    /// Its signature.
    pub signature: Signature,
    /// Why it failed; `None` when it landed.
    pub error: Option<String>,
    /// Its fee in lamports, where the node said.
    pub fee_lamports: u64,
    /// Compute units it used, where the node said.
    pub compute_units: u64,
}

/// What happened since the settler started or was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Transactions whose fate became known, in that order.
    pub reports: Vec<Report>,
    /// Transactions that never landed and were given up.
    pub expired: usize,
    /// Channels that should close but are left alone, with the reason.
    pub held: Vec<(ChannelId, String)>,
    /// Requests that the gateway recorded and that were refused, with the reason.
    pub refused: Vec<(ChannelId, String)>,
}

impl Summary {
    /// How many transactions of a kind landed.
    pub fn landed(&self, kind: SubmissionKind) -> usize {
        self.reports.iter().filter(|report| report.kind == kind && report.error.is_none()).count()
    }

    /// Fees of all transactions, failed ones included, in lamports.
    pub fn fee_lamports(&self) -> u64 {
        self.reports.iter().map(|report| report.fee_lamports).sum()
    }

    /// Compute units of all transactions.
    pub fn compute_units(&self) -> u64 {
        self.reports.iter().map(|report| report.compute_units).sum()
    }
}

/// Reports, and refusals, kept for a caller that never takes them.
const KEPT: usize = 10_000;

/// Where launching and resolving note what happened.
#[derive(Default)]
pub(crate) struct Journal {
    summary: Mutex<Summary>,
    metrics: Metrics,
}

impl Journal {
    /// What was noted, counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn report(&self, report: Report) {
        self.metrics.report(&report);
        push(&mut self.lock().reports, report);
    }

    pub(crate) fn refused(&self, channel: ChannelId, reason: String) {
        push(&mut self.lock().refused, (channel, reason));
    }

    pub(crate) fn expired(&self) {
        self.metrics.expired();
        self.lock().expired += 1;
    }

    /// What happened since the last call; what is held is somebody else's to say.
    pub(crate) fn take(&self) -> Summary {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= KEPT {
        list.drain(..KEPT / 2);
    }
    list.push(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_nobody_asks_for_do_not_pile_up() {
        let journal = Journal::default();
        (0..3 * KEPT).for_each(|_| journal.refused(ChannelId::new([1; 32]), "no funds".to_owned()));
        assert!(journal.take().refused.len() <= KEPT);
    }
}
