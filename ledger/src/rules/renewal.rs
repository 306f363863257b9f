//! Which idle channels go on, and how.

use toll_protocol::{Amount, ChannelStatus};

use super::closing::is_idle;
use crate::{ChannelRecord, ChannelState, CloseReason, Renewal, RenewalRequested};

/// What becomes of a channel whose session may end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Renewed {
    /// The row is as this says from now on, and the asker is told so.
    To(Box<ChannelRecord>, RenewalRequested),
    /// Nothing changes.
    Not,
}

/// Ends the session of a channel that is idle at `now` (unix seconds), if `renewal` is for it. `was_here` says whether
/// the payer paid on another channel before this one.
///
/// A deposit that is to stay is left, and the payer has another idle timeout to come back in. Otherwise service stops
/// until a rearm has landed: that refunds what is escrowed, so nothing may be sold on it.
pub(crate) fn renew(record: &ChannelRecord, renewal: Renewal, was_here: bool, now: i64) -> Renewed {
    let serves = record.state == ChannelState::Open && record.closure_started_at.is_none();
    if !serves || !is_idle(record, now) || !(was_here || is_expected(record, renewal)) {
        return Renewed::Not;
    }
    if is_keepable(record, renewal) {
        let after = ChannelRecord {
            pay_out_to: Some(record.watermarks.accepted),
            last_activity_at: record.last_activity_at.max(now),
            ..record.clone()
        };
        return Renewed::To(Box::new(after), RenewalRequested::Kept);
    }
    if is_renewable(record, renewal) {
        return Renewed::To(Box::new(stopped_to_renew(record, now)), RenewalRequested::Recorded);
    }
    Renewed::Not
}

/// The channel while it waits for its rearm.
pub(crate) fn stopped_to_renew(record: &ChannelRecord, now: i64) -> ChannelRecord {
    ChannelRecord {
        state: ChannelState::Closing,
        renewing: true,
        close_reason: Some(CloseReason::Idle),
        closing_at: Some(now),
        ..record.clone()
    }
}

/// The channel once its rearm has landed and `record` says what that left: it serves again. `None` when somebody closes
/// it, or when it has more accepted than settled.
pub(crate) fn rearmed(record: &ChannelRecord, now: i64) -> Option<ChannelRecord> {
    let is_whole = record.watermarks.settled == record.watermarks.accepted;
    let waits = record.state == ChannelState::Closing && record.renewing;
    if !waits || !is_whole || record.chain_status != Some(ChannelStatus::Open) {
        return None;
    }
    Some(ChannelRecord {
        state: ChannelState::Open,
        renewing: false,
        rearmed: Some(record.watermarks.settled),
        close_reason: None,
        closing_at: None,
        last_activity_at: record.last_activity_at.max(now),
        ..record.clone()
    })
}

/// Whether this channel alone shows that its payer returns.
fn is_expected(record: &ChannelRecord, renewal: Renewal) -> bool {
    !renewal.returning || record.rearmed.is_some() || !record.watermarks.payout_watermark.is_zero()
}

/// Whether the payer wants the deposit to stay, there is enough of it for another unit, and something to pay out now.
fn is_keepable(record: &ChannelRecord, renewal: Renewal) -> bool {
    let marks = &record.watermarks;
    let earned = marks.accepted.saturating_sub(marks.settled);
    let left = marks.deposit.saturating_sub(marks.accepted);
    // What could not be paid out for a whole idle timeout is not waited for any longer.
    let wanted = record.kept_by.is_some() && record.pay_out_to.is_none();
    wanted && !earned.is_zero() && earned >= renewal.worth && left >= record.price
}

/// Whether the session can end whole, and was worth it.
fn is_renewable(record: &ChannelRecord, renewal: Renewal) -> bool {
    let marks = &record.watermarks;
    let earned = marks.accepted.saturating_sub(record.rearmed.unwrap_or(Amount::ZERO));
    let whole = marks.spent == marks.accepted && marks.accepted > marks.settled;
    renewal.can_rearm && whole && earned >= renewal.worth
}

#[cfg(test)]
mod laws;
