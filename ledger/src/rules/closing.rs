//! Who may stop a channel's service, and with which voucher.

use toll_protocol::{Amount, SignedVoucher};

use super::observation::further;
use crate::{ChannelRecord, ChannelState, CloseLanded, CloseRequested, IdleCloseRequested, Watermarks};

/// What is to be done about a request to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CloseVerdict {
    /// Service stops, and this is settled by preference.
    Stop(Option<Amount>),
    /// Nothing changes, but that a channel which was to serve again is closed for good.
    Over(CloseRequested),
    /// Nothing changes.
    Refuse(CloseRequested),
    /// Somebody verified the voucher for another channel. Nothing changes.
    ForeignSigner,
}

/// Decides on a request to close the channel, with `voucher` or without.
pub(crate) fn request_close(known: Option<&ChannelRecord>, voucher: Option<&SignedVoucher>) -> CloseVerdict {
    let Some(known) = known else { return CloseVerdict::Refuse(CloseRequested::Unknown) };
    let over = match known.state {
        ChannelState::Open => None,
        ChannelState::Opening | ChannelState::Failed => Some(CloseRequested::NotOpen(known.state)),
        ChannelState::Closing => Some(CloseRequested::AlreadyClosing),
        ChannelState::Closed | ChannelState::Gone => Some(CloseRequested::Closed {
            signature: known.close_signature,
            settled: known.watermarks.settled,
            refunded: known.refunded,
        }),
    };
    if let Some(over) = over {
        return CloseVerdict::Over(over);
    }
    let Some(signed) = voucher else { return CloseVerdict::Stop(None) };
    if signed.voucher.channel_id != known.id || signed.signer != known.agreement.terms.authorized_signer {
        return CloseVerdict::ForeignSigner;
    }
    let cumulative = signed.voucher.cumulative_amount;
    match voucher_refusal(known, cumulative) {
        Some(refusal) => CloseVerdict::Refuse(refusal),
        None => CloseVerdict::Stop(Some(cumulative)),
    }
}

/// A voucher that others may have must neither close a channel below what was delivered nor pass for the payer.
fn voucher_refusal(known: &ChannelRecord, cumulative: Amount) -> Option<CloseRequested> {
    let watermarks = known.watermarks;
    if cumulative > watermarks.deposit {
        return Some(CloseRequested::OverDeposit { watermarks });
    }
    if known.has_published(cumulative) {
        return Some(CloseRequested::VoucherPublished { up_to: known.published() });
    }
    (cumulative < watermarks.committed()).then_some(CloseRequested::VoucherTooLow { watermarks })
}

/// Whether an open channel stops because nothing happened on it until `now` (unix seconds). An error says why not.
pub(crate) fn request_idle_close(known: Option<&ChannelRecord>, now: i64) -> Result<(), IdleCloseRequested> {
    let known = known.ok_or(IdleCloseRequested::Unknown)?;
    if known.state != ChannelState::Open {
        return Err(IdleCloseRequested::NotOpen(known.state));
    }
    if !is_idle(known, now) {
        return Err(IdleCloseRequested::NotIdle { last_activity_at: known.last_activity_at });
    }
    Ok(())
}

/// Whether nothing has happened on the channel for as long as it may, at `now` (unix seconds), and nothing is being
/// served.
pub(crate) fn is_idle(known: &ChannelRecord, now: i64) -> bool {
    known.watermarks.earmarked.is_zero()
        && known.last_activity_at.saturating_add(i64::from(known.idle_timeout)) <= now
}

/// The channel after its close has landed: everything settled is paid out, the rest refunded.
pub(crate) fn landed(known: &ChannelRecord, close: &CloseLanded, now: i64) -> ChannelRecord {
    let was = &known.watermarks;
    let settled = close.settled.max(was.settled);
    // Value is conserved: the deposit is what was paid out plus what was refunded.
    let deposit = Amount::new(settled.get().saturating_add(close.refunded.get()));
    ChannelRecord {
        state: further(known.state, ChannelState::Closed),
        watermarks: Watermarks {
            deposit: deposit.max(was.deposit),
            accepted: was.accepted.max(settled),
            spent: was.spent,
            earmarked: was.earmarked,
            settled,
            payout_watermark: settled,
        },
        close_signature: Some(close.signature),
        refunded: Some(close.refunded),
        closing_at: known.closing_at.or(Some(now)),
        closure_started_at: None,
        observed_slot: known.observed_slot.max(close.slot),
        ..known.clone()
    }
}
