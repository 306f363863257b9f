//! What the chain shows of a channel, and what that changes.
//!
//! Watermarks only rise here and states only move on, so answers of lagging nodes and answers out of order do no harm.
//! The deposit is no watermark: it goes by the chain, and falls with it, to what is accepted and no lower.

use toll_protocol::{Amount, ChannelAccount, ChannelStatus, Difference};

use crate::{ChannelRecord, ChannelState, CloseReason, Watermarks};

/// A channel after it was seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) after: ChannelRecord,
    /// Whether this is news that a finalized block has to show as well.
    pub(crate) awaits_finality: bool,
    /// Whether the deposit fell although nothing was paid out: no rearm, so a fork took a top-up back.
    pub(crate) lost_top_up: bool,
}

/// The channel's account, read at `slot`, is `account`. Fails when it is not this channel's.
pub(crate) fn account_seen(
    record: &ChannelRecord,
    account: &ChannelAccount,
    slot: u64,
    now: i64,
) -> Result<Seen, Difference> {
    check_identity(record, account)?;
    let was = &record.watermarks;
    let shown = match account.status {
        ChannelStatus::Open => ChannelState::Open,
        ChannelStatus::Closing | ChannelStatus::Sealed => ChannelState::Closing,
        ChannelStatus::Distributed => ChannelState::Closed,
    };
    let state = match record.has_vanished() {
        true if shown == ChannelState::Closed => shown,
        true => ChannelState::Closing,
        false => further(record.state, shown),
    };
    let settled = account.settled.max(was.settled);
    let watermarks = Watermarks {
        deposit: account.deposit.max(was.accepted),
        accepted: was.accepted.max(settled),
        spent: was.spent,
        earmarked: was.earmarked,
        settled,
        payout_watermark: account.payout_watermark.max(was.payout_watermark),
    };
    let is_first = matches!(record.state, ChannelState::Opening | ChannelState::Failed);
    let refund = account.deposit.saturating_sub(settled);
    let mut after = ChannelRecord {
        state,
        watermarks,
        chain_status: Some(account.status),
        closure_started_at: (account.closure_started_at != 0).then_some(account.closure_started_at),
        payer_withdrawn_at: (account.payer_withdrawn_at != 0)
            .then_some(account.payer_withdrawn_at)
            .or(record.payer_withdrawn_at),
        refunded: if state == ChannelState::Closed {
            record.refunded.or(Some(refund))
        } else {
            record.refunded
        },
        last_activity_at: if is_first { record.last_activity_at.max(now) } else { record.last_activity_at },
        failure: None,
        pay_out_to: record.pay_out_to.filter(|to| watermarks.payout_watermark < *to),
        observed_slot: slot,
        ..record.clone()
    };
    note_forced_close(&mut after, now);
    let moved = state != record.state && matches!(state, ChannelState::Open | ChannelState::Closed);
    let rose = matches!(state, ChannelState::Open | ChannelState::Closing) && record.is_below(account);
    let paid_out = account.payout_watermark > was.payout_watermark;
    Ok(Seen {
        after,
        awaits_finality: moved || rose,
        lost_top_up: account.deposit < was.deposit && !paid_out,
    })
}

/// The channel has no account at `slot`. `None` when it never had one: its open has not landed yet.
pub(crate) fn account_missing(record: &ChannelRecord, slot: u64, now: i64) -> Option<Seen> {
    if record.state.rank() == 0 {
        return None;
    }
    let mut after = ChannelRecord {
        state: ChannelState::Gone,
        chain_status: None,
        closure_started_at: None,
        observed_slot: slot,
        ..record.clone()
    };
    note_forced_close(&mut after, now);
    Some(Seen { awaits_finality: record.state != ChannelState::Gone, after, lost_top_up: false })
}

/// Service that stopped without our asking was stopped by the payer.
fn note_forced_close(after: &mut ChannelRecord, now: i64) {
    if after.state.rank() > ChannelState::Open.rank() && after.close_reason.is_none() {
        after.close_reason = Some(CloseReason::Forced);
        after.closing_at = Some(now);
    }
}

/// The later of two states: what the ledger has, or what the chain shows.
pub(crate) fn further(ours: ChannelState, shown: ChannelState) -> ChannelState {
    if shown.rank() > ours.rank() { shown } else { ours }
}

/// Everything about an account that can never change must be as recorded.
fn check_identity(record: &ChannelRecord, account: &ChannelAccount) -> Result<(), Difference> {
    // Before a channel has opened nothing lowers its deposit: an open that escrowed less than it said is another one.
    let least = if record.state.rank() == 0 { record.watermarks.deposit } else { Amount::ZERO };
    record.agreement.difference(account, least).map_or(Ok(()), Err)
}

#[cfg(test)]
mod laws;
