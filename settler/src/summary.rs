//! What a run of the settler did.

use solana_signature::Signature;
use toll_ledger::SubmissionKind;
use toll_protocol::ChannelId;

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
