//! What a finalized block says of what a confirmed one has shown.

use toll_protocol::{ChannelAccount, ChannelStatus};

use super::renewal::stopped_to_renew;
use crate::{ChannelRecord, ChannelState, SubmissionKind, Watermarks};

/// What is known of a channel that a finalized block is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited<'a> {
    pub(crate) record: &'a ChannelRecord,
    /// The slot from which a finalized block shows what was seen; `None` when nothing is awaited.
    pub(crate) since: Option<u64>,
    /// Whether a finalized block has shown the account before.
    pub(crate) open_final: bool,
}

/// What a finalized block says.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(crate) enum Finalized {
    /// Nothing is awaited. Nothing changes.
    NothingAwaited,
    /// The block is older than what it should show. Nothing changes.
    TooEarly,
    /// The ledger has it right. Nothing is awaited any more.
    Confirmed {
        /// Whether the block shows the account.
        shown: bool,
    },
    /// It never happened. Nothing is awaited any more.
    TakenBack(TakenBack),
}

/// A channel that is back where the chain has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TakenBack {
    pub(crate) after: ChannelRecord,
    /// Whether its open is final.
    pub(crate) open_final: bool,
    /// Landed transactions of these kinds may not have landed after all.
    pub(crate) unresolved: &'static [SubmissionKind],
}

/// A finalized block of `slot` has `account` for the channel, or none, at `now` (unix seconds).
pub(crate) fn finalized(
    awaited: Awaited<'_>,
    account: Option<&ChannelAccount>,
    slot: u64,
    now: i64,
) -> Finalized {
    let Awaited { record, since, open_final } = awaited;
    match since {
        None => return Finalized::NothingAwaited,
        Some(since) if slot < since => return Finalized::TooEarly,
        Some(_) => {}
    }
    let is_over = matches!(record.state, ChannelState::Closed | ChannelState::Gone);
    let taken_back = match account {
        None if !open_final && never_opened(record) => Some(unopened(record, slot)),
        None => None,
        Some(account) if is_over && account.status != ChannelStatus::Distributed => {
            Some(reopened(record, account, slot))
        }
        Some(_) if record.state == ChannelState::Gone => Some(reappeared(record, open_final, slot)),
        Some(account)
            if matches!(record.state, ChannelState::Open | ChannelState::Closing)
                && record.is_above(account) =>
        {
            Some(lowered(record, account, slot, now))
        }
        Some(_) => None,
    };
    match taken_back {
        Some(taken_back) => Finalized::TakenBack(taken_back),
        None => Finalized::Confirmed { shown: account.is_some() },
    }
}

/// Whether nothing but its open can be missing, where there is no account.
fn never_opened(record: &ChannelRecord) -> bool {
    record.state == ChannelState::Open || record.has_vanished()
}

/// The open did not happen: it may land again, or never.
fn unopened(record: &ChannelRecord, slot: u64) -> TakenBack {
    let after = ChannelRecord {
        state: ChannelState::Opening,
        chain_status: None,
        closure_started_at: None,
        observed_slot: slot,
        ..record.clone()
    };
    TakenBack { after, open_final: false, unresolved: &[SubmissionKind::Open] }
}

/// The end did not happen, so the channel is to be closed once more. What was settled goes by the chain.
fn reopened(record: &ChannelRecord, account: &ChannelAccount, slot: u64) -> TakenBack {
    let after = ChannelRecord {
        state: ChannelState::Closing,
        renewing: false,
        watermarks: as_shown(&record.watermarks, account),
        chain_status: Some(account.status),
        closure_started_at: (account.closure_started_at != 0).then_some(account.closure_started_at),
        payer_withdrawn_at: (account.payer_withdrawn_at != 0).then_some(account.payer_withdrawn_at),
        close_signature: None,
        refunded: None,
        observed_slot: slot,
        ..record.clone()
    };
    let unresolved = &[
        SubmissionKind::Settle,
        SubmissionKind::Rearm,
        SubmissionKind::Close,
        SubmissionKind::Seal,
        SubmissionKind::Distribute,
    ];
    TakenBack { after, open_final: true, unresolved }
}

/// The account that was to be gone still waits for its reclaim.
fn reappeared(record: &ChannelRecord, open_final: bool, slot: u64) -> TakenBack {
    let marks = &record.watermarks;
    let after = ChannelRecord {
        state: ChannelState::Closed,
        chain_status: Some(ChannelStatus::Distributed),
        refunded: record.refunded.or(Some(marks.deposit.saturating_sub(marks.settled))),
        observed_slot: slot,
        ..record.clone()
    };
    TakenBack { after, open_final, unresolved: &[SubmissionKind::Reclaim] }
}

/// Amounts have not risen after all. A rearm that is among what did not happen is to be done again, and service stops
/// for it once more.
fn lowered(record: &ChannelRecord, account: &ChannelAccount, slot: u64, now: i64) -> TakenBack {
    let mut after = ChannelRecord {
        watermarks: as_shown(&record.watermarks, account),
        chain_status: Some(account.status),
        observed_slot: slot,
        ..record.clone()
    };
    if record.rearmed.is_none_or(|rearmed| account.settled >= rearmed) {
        let unresolved = &[SubmissionKind::Settle, SubmissionKind::Distribute, SubmissionKind::TopUp];
        return TakenBack { after, open_final: true, unresolved };
    }
    if record.state == ChannelState::Open {
        after = stopped_to_renew(&after, now);
    }
    let unresolved =
        &[SubmissionKind::Rearm, SubmissionKind::Settle, SubmissionKind::Distribute, SubmissionKind::TopUp];
    TakenBack { after, open_final: true, unresolved }
}

/// The amounts by the chain, falling as well as rising. What was accepted stays, for it is owed all the same, and the
/// deposit stays at that where less is escrowed.
fn as_shown(was: &Watermarks, account: &ChannelAccount) -> Watermarks {
    let accepted = was.accepted.max(account.settled);
    Watermarks {
        deposit: account.deposit.max(accepted),
        accepted,
        spent: was.spent,
        earmarked: was.earmarked,
        settled: account.settled,
        payout_watermark: account.payout_watermark,
    }
}

#[cfg(test)]
mod laws;
