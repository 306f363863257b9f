//! The figures, and what they may be.

use std::fmt;

use serde::Serialize;
use toll_ledger::SubmissionKind;
use toll_settler::{Summary, TransactionVersion};

/// Most that a session may cost the sponsor in fees, in lamports.
const fn fees_limit(version: TransactionVersion) -> f64 {
    match version {
        TransactionVersion::V0 => 20_500.0,
        // The embedded chain takes version 1.
        TransactionVersion::V1 | TransactionVersion::Auto => 17_000.0,
    }
}

/// Most that packing may take of what one transaction per channel takes.
const RATIO_LIMIT: f64 = 0.5;

/// Channels below which a run is too short for its time to say anything.
const TIMED_FROM: u64 = 1_000;

/// One part of all channels' lives.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// Transactions of known fate.
    pub transactions: u64,
    /// Those of them that failed on chain.
    pub failed: u64,
    /// Fees of all, in lamports.
    pub fee_lamports: u64,
    /// The same by channel.
    pub fee_lamports_per_channel: f64,
    /// Compute units of all.
    pub compute_units: u64,
    /// From the first request to the last channel's new state in the ledger.
    pub seconds: f64,
    /// Channels by the second.
    pub channels_per_second: f64,
}

impl Phase {
    /// The transactions of these kinds in a settler's `summary`.
    pub(super) fn of(summary: &Summary, kinds: &[SubmissionKind], channels: u64, seconds: f64) -> Self {
        let reports: Vec<_> = summary.reports.iter().filter(|one| kinds.contains(&one.kind)).collect();
        let fee_lamports = reports.iter().map(|one| one.fee_lamports).sum();
        Self {
            transactions: reports.len() as u64,
            failed: reports.iter().filter(|one| one.error.is_some()).count() as u64,
            fee_lamports,
            fee_lamports_per_channel: ratio(fee_lamports, channels),
            compute_units: reports.iter().map(|one| one.compute_units).sum(),
            seconds,
            channels_per_second: ratio(channels, 1) / seconds,
        }
    }
}

/// The lives of so many channels.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Most channels that a transaction might act on.
    pub channels_per_transaction: usize,
    /// Opens, at most 64 in flight.
    pub opens: Phase,
    /// Closes: settling, sealing, paying out.
    pub closes: Phase,
    /// Rent taken back.
    pub reclaims: Phase,
    /// Lamports of fees from open to reclaim, by channel.
    pub fees_per_session: f64,
}

impl Run {
    pub(super) fn of(
        channels: u64,
        channels_per_transaction: usize,
        opens: Phase,
        closes: Phase,
        reclaims: Phase,
    ) -> Self {
        let fees = opens.fee_lamports + closes.fee_lamports + reclaims.fee_lamports;
        let fees_per_session = ratio(fees, channels);
        Self { channels_per_transaction, opens, closes, reclaims, fees_per_session }
    }
}

/// Most that the end of a session and the beginning of the next may cost in fees where they are renewed, in lamports.
const RENEWED_LIMIT: f64 = 11_000.0;

/// Signatures that a sponsored top-up pays for.
const SPONSORED_TOP_UP: u64 = 10_000;

/// Sessions that begin and end on channels that stay, the end of one and the beginning of the next.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewed {
    /// Refunded, and topped up.
    pub rearmed: Rearmed,
    /// With the deposit left in escrow.
    pub kept: Kept,
}

/// Sessions that end with a rearm and begin with a top-up.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rearmed {
    /// Ends: settling, paying out, refunding.
    pub rearms: Phase,
    /// Beginnings: top-ups that the sponsor pays for.
    pub sponsored_top_ups: Phase,
    /// Beginnings: top-ups that payers pay for.
    pub own_top_ups: Phase,
    /// Lamports of fees of an end and a sponsored beginning, by channel.
    pub sponsored_fees_per_session: f64,
    /// Lamports of fees of an end and a beginning that the payer pays for, by channel.
    pub fees_per_session: f64,
}

impl Rearmed {
    pub(super) fn of(channels: u64, rearms: Phase, sponsored_top_ups: Phase, own_top_ups: Phase) -> Self {
        let with = |top_ups: &Phase| ratio(rearms.fee_lamports + top_ups.fee_lamports, channels);
        Self {
            sponsored_fees_per_session: with(&sponsored_top_ups),
            fees_per_session: with(&own_top_ups),
            rearms,
            sponsored_top_ups,
            own_top_ups,
        }
    }
}

/// Sessions that end with a payout and begin with nothing, as long as the deposit lasts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Ends: settling and paying out.
    pub payouts: Phase,
    /// Sessions that a deposit lasts.
    pub sessions_per_deposit: u64,
    /// Lamports of fees of an end, by channel, and of a sponsored top-up, by the sessions that it lasts.
    pub fees_per_session: f64,
}

impl Kept {
    pub(super) fn of(payouts: Phase, sessions_per_deposit: u64) -> Self {
        let fees_per_session =
            payouts.fee_lamports_per_channel + ratio(SPONSORED_TOP_UP, sessions_per_deposit);
        Self { payouts, sessions_per_deposit, fees_per_session }
    }
}

/// Many channels in a transaction, and one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Channels of each run.
    pub channels: u64,
    /// Format of the settler's transactions.
    pub version: TransactionVersion,
    /// As many channels in a transaction as fit.
    pub packed: Run,
    /// One channel in a transaction.
    pub single: Run,
    /// Channels whose vouchers the operator signs: settled by batches, otherwise as many in a transaction as fit.
    pub operated: Run,
    /// Sessions that leave their channel open, as many in a transaction as fit.
    pub renewed: Renewed,
    /// Transactions that closing took, packed over single.
    pub transactions_ratio: f64,
    /// Time that closing took, packed over single.
    pub seconds_ratio: f64,
    /// Fees of a session, packed over single.
    pub fees_ratio: f64,
}

impl Report {
    /// Compares the runs.
    pub fn of(
        channels: u64,
        version: TransactionVersion,
        packed: Run,
        single: Run,
        operated: Run,
        renewed: Renewed,
    ) -> Self {
        Self {
            channels,
            version,
            transactions_ratio: ratio(packed.closes.transactions, single.closes.transactions),
            seconds_ratio: packed.closes.seconds / single.closes.seconds,
            fees_ratio: packed.fees_per_session / single.fees_per_session,
            packed,
            single,
            operated,
            renewed,
        }
    }

    /// The figures as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers serialize")
    }

    /// What is wrong with the figures.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let (fees, limit) = (self.packed.fees_per_session, fees_limit(self.version));
        if fees > limit {
            complaints.push(format!("a session costs {fees:.0} lamports of fees, more than {limit:.0}"));
        }
        let (operated, fees) = (self.operated.fees_per_session, self.packed.fees_per_session);
        if operated >= fees {
            complaints.push(format!(
                "a session that the operator signs costs {operated:.0} lamports of fees, one of a payer {fees:.0}"
            ));
        }
        let Renewed { rearmed, kept } = &self.renewed;
        let mut renewed = vec![("of which the deposit stays", kept.fees_per_session)];
        // Two rearms fill a transaction of version 0, so that both of its signatures are paid for by two.
        if self.version != TransactionVersion::V0 {
            renewed.push(("that is rearmed and topped up by its payer", rearmed.fees_per_session));
        }
        for (which, fees) in renewed {
            if fees > RENEWED_LIMIT {
                complaints.push(format!(
                    "a session {which} costs {fees:.0} lamports, more than {RENEWED_LIMIT:.0}"
                ));
            }
        }
        if self.transactions_ratio > RATIO_LIMIT {
            let ratio = self.transactions_ratio;
            complaints.push(format!("closing takes {ratio:.3} of the transactions of one per channel"));
        }
        if self.channels >= TIMED_FROM && self.seconds_ratio > RATIO_LIMIT {
            let ratio = self.seconds_ratio;
            complaints.push(format!("closing takes {ratio:.3} of the time of one transaction per channel"));
        }
        complaints
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signers = ["payers", "payers", "the operator"];
        for (run, signer) in [&self.single, &self.packed, &self.operated].into_iter().zip(signers) {
            writeln!(
                f,
                "at most {} channels in a transaction, vouchers by {signer}: {:.0} lamports of fees a session",
                run.channels_per_transaction, run.fees_per_session
            )?;
            for (name, phase) in [("open", &run.opens), ("close", &run.closes), ("reclaim", &run.reclaims)] {
                writeln!(
                    f,
                    "  {name:8} {:5} transactions ({} failed), {:6.0} lamports a channel, {} compute units, {:.1} s, {:.1} channels/s",
                    phase.transactions,
                    phase.failed,
                    phase.fee_lamports_per_channel,
                    phase.compute_units,
                    phase.seconds,
                    phase.channels_per_second,
                )?;
            }
        }
        let Renewed { rearmed, kept } = &self.renewed;
        writeln!(
            f,
            "renewed by rearm: {:.0} lamports a session, {:.0} of them the rearm in {} transactions, {:.0} the payer's own top-up; {:.0} where the sponsor pays for that",
            rearmed.fees_per_session,
            rearmed.rearms.fee_lamports_per_channel,
            rearmed.rearms.transactions,
            rearmed.own_top_ups.fee_lamports_per_channel,
            rearmed.sponsored_fees_per_session,
        )?;
        writeln!(
            f,
            "renewed with its deposit in escrow: {:.0} lamports a session, {:.0} of them the payout in {} transactions, the rest its share in a top-up for {} sessions",
            kept.fees_per_session,
            kept.payouts.fee_lamports_per_channel,
            kept.payouts.transactions,
            kept.sessions_per_deposit,
        )?;
        write!(
            f,
            "closing packed: {:.3} of the transactions, {:.3} of the time; {:.3} of a session's fees",
            self.transactions_ratio, self.seconds_ratio, self.fees_ratio
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
