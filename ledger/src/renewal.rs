//! Sessions that end and leave their channel open.
//!
//! An idle channel may be rearmed instead of closed: all that is settled is paid out, the payer gets the rest back, and
//! the payer tops up when it returns. Service stops first, as for a close, so that nothing is sold on the deposit that
//! is about to be refunded; it begins again once the rearm has landed. Only a session whose accepted watermark is
//! spent to the last unit and brought whole ends this way: deposit, accepted, spent and settled are one number then,
//! so a voucher of the earlier session neither buys nor settles anything in the next one.

use solana_pubkey::Pubkey;
use toll_protocol::{Amount, ChannelAccount, ChannelId, ChannelStatus};

use crate::engine::{Tx, params};
use crate::{ChannelRecord, ChannelState, Ledger, LedgerError, Observation, channel, finality, observation};

/// Which idle channels are rearmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Only those of payers that were here before: with another channel, or with this one before its last rearm.
    pub returning: bool,
    /// Only those that earned at least this much since they opened, or since their last rearm, in base units.
    pub worth: Amount,
}

/// What became of a request to renew an idle channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalRequested {
    /// Service has stopped; the settler will rearm the channel.
    Recorded,
    /// The channel is not idle, or not to be renewed. Nothing changed.
    Not,
    /// The ledger has no such channel.
    Unknown,
}

impl Ledger {
    /// Stops service on a channel that is idle at `now` (unix seconds) until it is rearmed, if `renewal` is for it.
    pub async fn request_renewal(
        &self,
        id: &ChannelId,
        renewal: Renewal,
        now: i64,
    ) -> Result<RenewalRequested, LedgerError> {
        let id = *id;
        self.write("request_renewal", move |tx| {
            let Some(record) = channel::find(tx, &id)? else { return Ok(RenewalRequested::Unknown) };
            let idle_at = record.last_activity_at.saturating_add(i64::from(record.idle_timeout));
            if record.state != ChannelState::Open || idle_at > now || !is_renewable(tx, &record, renewal)? {
                return Ok(RenewalRequested::Not);
            }
            stop_to_renew(tx, &id, now)?;
            Ok(RenewalRequested::Recorded)
        })
        .await
    }

    /// A rearm of the channel landed: `account`, read at `slot`, is what it left. The channel serves again, unless
    /// somebody closes it or it has more accepted than settled.
    ///
    /// Call this before [`Ledger::landed`] for the rearm's submission. Repeating the call is safe.
    pub async fn rearm_landed(
        &self,
        id: &ChannelId,
        account: &ChannelAccount,
        slot: u64,
    ) -> Result<Observation, LedgerError> {
        let (id, account, now) = (*id, account.clone(), self.now());
        self.write("rearm_landed", move |tx| {
            let record = channel::find(tx, &id)?.ok_or(LedgerError::UnknownChannel(id))?;
            let observed = if slot < record.observed_slot {
                Observation::Older { observed_slot: record.observed_slot }
            } else {
                observation::apply(tx, &record, &account, slot, now)?
            };
            let rearmed = tx.execute(
                "-- rearm_landed
                UPDATE channels
                   SET state = 'open', renewing = 0, rearmed = settled, close_reason = NULL, closing_at = NULL,
                       last_activity_at = max(last_activity_at, ?2)
                 WHERE channel_id = ?1 AND state = 'closing' AND renewing = 1 AND chain_status = ?3
                   AND settled = accepted",
                params![id.as_bytes(), now, ChannelStatus::Open as u8],
            )?;
            if rearmed > 0 {
                finality::await_finality(tx, &id, slot.max(record.observed_slot))?;
            }
            Ok(observed)
        })
        .await
    }
}

/// Whether `renewal` is for this open channel.
fn is_renewable(tx: &Tx, record: &ChannelRecord, renewal: Renewal) -> Result<bool, LedgerError> {
    let marks = &record.watermarks;
    let earned = marks.accepted.saturating_sub(record.rearmed.unwrap_or(Amount::ZERO));
    let whole = marks.spent == marks.accepted && marks.accepted > marks.settled;
    if !whole || earned < renewal.worth || record.closure_started_at.is_some() {
        return Ok(false);
    }
    Ok(!renewal.returning
        || record.rearmed.is_some()
        || was_here(tx, &record.agreement.terms.payer, record.created_at)?)
}

/// Whether the payer paid on a channel that is over, or that was recorded before `since` (unix seconds).
fn was_here(tx: &Tx, payer: &Pubkey, since: i64) -> Result<bool, LedgerError> {
    let was_here = tx.one(
        "-- was_here
        SELECT EXISTS (SELECT 1 FROM channels WHERE payer = ?1 AND spent > 0 AND created_at < ?2)
            OR EXISTS (SELECT 1 FROM archived_channels WHERE payer = ?1 AND spent > 0)",
        params![payer.to_bytes(), since],
        |row| row.get(0),
    )?;
    Ok(was_here)
}

/// Stops service until a rearm has landed: it refunds what is escrowed, so nothing may be sold on that.
pub(crate) fn stop_to_renew(tx: &Tx, id: &ChannelId, now: i64) -> Result<(), LedgerError> {
    tx.execute(
        "-- stop_to_renew
        UPDATE channels SET state = 'closing', renewing = 1, close_reason = 'idle', closing_at = ?2
         WHERE channel_id = ?1 AND state = 'open'",
        params![id.as_bytes(), now],
    )?;
    Ok(())
}

/// The payer wants the channel closed, whatever else was planned for it.
pub(crate) fn give_up(tx: &Tx, id: &ChannelId, reason: crate::CloseReason) -> Result<(), LedgerError> {
    tx.execute(
        "-- give_up_renewal
        UPDATE channels SET renewing = 0, close_reason = ?2
         WHERE channel_id = ?1 AND state = 'closing' AND renewing = 1",
        params![id.as_bytes(), reason],
    )?;
    Ok(())
}
