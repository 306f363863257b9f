//! Ending channels: service stops here first, then on the chain.

use solana_signature::Signature;
use toll_protocol::{Amount, ChannelId, VerifiedVoucher};

use crate::column::amount;
use crate::engine::{Tx, params};
use crate::rules::closing::{self as rules, CloseVerdict};
use crate::{
    ChannelState, CloseReason, Ledger, LedgerError, Watermarks, acceptance, channel, finality, renewal,
    voucher,
};

/// What became of a request to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseRequested {
    /// Service has stopped; the settler will close the channel.
    Recorded,
    /// It was stopping already. Nothing changed, and a voucher shown with the request was not kept.
    AlreadyClosing,
    /// It is over; here is how it ended.
    Closed {
        /// The transaction that closed it, if it was ours.
        signature: Option<Signature>,
        /// What the payee's side got, in all.
        settled: Amount,
        /// What the payer got back, if known.
        refunded: Option<Amount>,
    },
    /// The voucher is below what is spent, and set aside for requests that are being served. Nothing changed.
    VoucherTooLow {
        /// The amounts as they are.
        watermarks: Watermarks,
    },
    /// The chain shows the voucher, or a transaction in flight may: it could be anybody's. Nothing changed.
    VoucherPublished {
        /// Up to where vouchers are published.
        up_to: Amount,
    },
    /// The voucher exceeds the deposit. Nothing changed.
    OverDeposit {
        /// The amounts as they are.
        watermarks: Watermarks,
    },
    /// The channel has not opened, or never will. Nothing changed.
    NotOpen(ChannelState),
    /// The ledger has no such channel.
    Unknown,
}

/// What became of a request to close for idleness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleCloseRequested {
    /// Service has stopped; the settler will close the channel.
    Recorded,
    /// Something happened in time after all. Nothing changed.
    NotIdle {
        /// When, in unix seconds.
        last_activity_at: i64,
    },
    /// Only an open channel can be idle.
    NotOpen(ChannelState),
    /// The ledger has no such channel.
    Unknown,
}

/// How a close ended, read from the transaction that landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseLanded {
    /// The transaction.
    pub signature: Signature,
    /// The final `settled`, now paid out.
    pub settled: Amount,
    /// What the payer got back.
    pub refunded: Amount,
    /// The slot it landed in.
    pub slot: u64,
}

pub(crate) const IDLE_CHANNELS: &str = "-- idle_channels
    SELECT channel_id FROM channels INDEXED BY channels_idle
     WHERE state = 'open' AND last_activity_at + idle_timeout <= ?1
     ORDER BY last_activity_at + idle_timeout";

impl Ledger {
    /// Stops service on a channel, atomically: no voucher or top-up is taken once this has returned.
    ///
    /// A voucher shown with it becomes the one to settle. It must be at least what is spent or set aside, within the
    /// deposit and above what is published; above the accepted watermark it is a tip and raises that. Its expiry and signature are the caller's business. Repeating the call is safe.
    pub async fn request_close(
        &self,
        id: &ChannelId,
        reason: CloseReason,
        voucher: Option<&VerifiedVoucher>,
    ) -> Result<CloseRequested, LedgerError> {
        let (id, now) = (*id, self.now());
        let signed = voucher.map(|voucher| voucher.signed().clone());
        self.write("request_close", move |tx| {
            acceptance::settle_stale_of(tx, &id, now)?;
            let record = channel::find(tx, &id)?;
            let cumulative = match rules::request_close(record.as_ref(), signed.as_ref()) {
                CloseVerdict::Stop(cumulative) => cumulative,
                CloseVerdict::Over(over) => {
                    // A channel that was to serve again is closed for good, and the caller may wait for it.
                    renewal::give_up(tx, &id, reason)?;
                    return Ok(over);
                }
                CloseVerdict::Refuse(refusal) => return Ok(refusal),
                CloseVerdict::ForeignSigner => return Err(LedgerError::ForeignSigner(id)),
            };
            if let Some(signed) = &signed {
                voucher::store(tx, signed, now)?;
            }
            stop(tx, &id, reason, cumulative, now)?;
            Ok(CloseRequested::Recorded)
        })
        .await
    }

    /// Open channels that have been idle at `now` (unix seconds) for as long as they may be.
    pub async fn idle_channels(&self, now: i64) -> Result<Vec<ChannelId>, LedgerError> {
        self.read("idle_channels", move |tx| {
            let idle = tx.all(IDLE_CHANNELS, params![now], |row| row.get(0).map(ChannelId::new))?;
            Ok(idle)
        })
        .await
    }

    /// Stops service on a channel if it is idle still at `now` (unix seconds): activity since
    /// [`Ledger::idle_channels`] keeps it open.
    pub async fn request_idle_close(
        &self,
        id: &ChannelId,
        now: i64,
    ) -> Result<IdleCloseRequested, LedgerError> {
        let id = *id;
        self.write("request_idle_close", move |tx| {
            acceptance::settle_stale_of(tx, &id, now)?;
            let record = channel::find(tx, &id)?;
            if let Err(refusal) = rules::request_idle_close(record.as_ref(), now) {
                return Ok(refusal);
            }
            stop(tx, &id, CloseReason::Idle, None, now)?;
            Ok(IdleCloseRequested::Recorded)
        })
        .await
    }

    /// Keeps the final accounts of a close that landed: everything settled is paid out, the rest refunded.
    ///
    /// The channel is `Closed` then; observing that its account is gone makes it `Gone`. Repeating the call
    /// is safe.
    pub async fn close_landed(&self, id: &ChannelId, close: CloseLanded) -> Result<(), LedgerError> {
        let (id, now) = (*id, self.now());
        self.write("close_landed", move |tx| {
            let record = channel::find(tx, &id)?.ok_or(LedgerError::UnknownChannel(id))?;
            channel::store(tx, &rules::landed(&record, &close, now))?;
            finality::await_finality(tx, &id, close.slot)
        })
        .await
    }
}

/// Stops service, and raises what is accepted to a voucher that is to be settled. The statement changes an open channel
/// only: whoever stopped it first has the say.
fn stop(
    tx: &Tx,
    id: &ChannelId,
    reason: CloseReason,
    cumulative: Option<Amount>,
    now: i64,
) -> Result<(), LedgerError> {
    let cumulative = cumulative.map(amount).transpose()?;
    tx.execute(
        "-- stop_service
        UPDATE channels
           SET state = 'closing', close_reason = ?2, closing_at = ?3, close_cumulative = ?4,
               accepted = max(accepted, coalesce(?4, accepted))
         WHERE channel_id = ?1 AND state = 'open'",
        params![id.as_bytes(), reason, now, cumulative],
    )?;
    Ok(())
}
