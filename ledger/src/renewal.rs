//! Sessions that end and leave their channel open.
//!
//! An idle channel may be kept or rearmed instead of closed. It is kept if its payer said that its deposit is to stay in
//! escrow: what is accepted is settled and paid out, service goes on meanwhile, and the next session needs nothing.
//!
//! Otherwise it is rearmed: all that is settled is paid out, the payer gets the rest back, and
//! the payer tops up when it returns. Service stops first, as for a close, so that nothing is sold on the deposit that
//! is about to be refunded; it begins again once the rearm has landed. Only a session whose accepted watermark is
//! spent to the last unit and brought whole ends this way: deposit, accepted, spent and settled are one number then,
//! so a voucher of the earlier session neither buys nor settles anything in the next one.

use solana_pubkey::Pubkey;
use toll_protocol::{Amount, ChannelAccount, ChannelId};

use crate::engine::{DatabaseError, Tx, params};
use crate::rules::renewal::{self as rules, Renewed};
use crate::{ChannelRecord, Ledger, LedgerError, Observation, SubmissionId, channel, finality, observation};

/// Which idle channels are rearmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Only those of payers that were here before: with another channel, or with this one before its last rearm.
    pub returning: bool,
    /// Only those that earned at least this much since they opened, or since their last rearm, in base units.
    pub worth: Amount,
    /// Whether the program can rearm. Where it cannot, only what is kept is renewed.
    pub can_rearm: bool,
}

/// What became of a request to renew an idle channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalRequested {
    /// Service has stopped; the settler will rearm the channel.
    Recorded,
    /// The deposit stays, service goes on, and the settler will settle and pay out what is accepted.
    Kept,
    /// The channel is not idle, or not to be renewed. Nothing changed.
    Not,
    /// The ledger has no such channel.
    Unknown,
}

pub(crate) const TO_PAY_OUT: &str = "-- to_pay_out
    SELECT * FROM channels INDEXED BY channels_to_pay_out
     WHERE state = 'open' AND pay_out_to IS NOT NULL ORDER BY pay_out_to DESC LIMIT ?1";

impl Ledger {
    /// Up to `count` open channels on which something is to be settled and paid out, the most first.
    pub async fn to_pay_out(&self, count: usize) -> Result<Vec<ChannelRecord>, LedgerError> {
        self.read("to_pay_out", move |tx| Ok(tx.all(TO_PAY_OUT, params![count], ChannelRecord::from_row)?))
            .await
    }

    /// Ends the session of a channel that is idle at `now` (unix seconds), if `renewal` is for it: a deposit that is to
    /// stay is left there, otherwise service stops until the channel is rearmed.
    pub async fn request_renewal(
        &self,
        id: &ChannelId,
        renewal: Renewal,
        now: i64,
    ) -> Result<RenewalRequested, LedgerError> {
        let id = *id;
        self.write("request_renewal", move |tx| {
            let Some(record) = channel::find(tx, &id)? else { return Ok(RenewalRequested::Unknown) };
            let was_here =
                renewal.returning && was_here(tx, &record.agreement.terms.payer, record.created_at)?;
            match rules::renew(&record, renewal, was_here, now) {
                Renewed::To(after, outcome) => {
                    channel::store(tx, &after)?;
                    Ok(outcome)
                }
                Renewed::Not => Ok(RenewalRequested::Not),
            }
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
            let left = channel::find(tx, &id)?.ok_or(LedgerError::UnknownChannel(id))?;
            if let Some(after) = rules::rearmed(&left, now) {
                channel::store(tx, &after)?;
                finality::await_finality(tx, &id, after.observed_slot)?;
            }
            Ok(observed)
        })
        .await
    }
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

/// Notes the payer's word: the open or top-up by which the deposit is to stay, or none.
pub(crate) fn note_word(tx: &Tx, id: &ChannelId, kept_by: Option<SubmissionId>) -> Result<(), DatabaseError> {
    tx.execute(
        "-- note_word
        UPDATE channels SET kept_by = ?2 WHERE channel_id = ?1",
        params![id.as_bytes(), kept_by.map(SubmissionId::get)],
    )?;
    Ok(())
}

/// The payer wants the channel closed, whatever else was planned for it. One comparison, made by the statement: only a
/// channel that waits for its rearm has anything planned.
pub(crate) fn give_up(tx: &Tx, id: &ChannelId, reason: crate::CloseReason) -> Result<(), LedgerError> {
    tx.execute(
        "-- give_up_renewal
        UPDATE channels SET renewing = 0, close_reason = ?2
         WHERE channel_id = ?1 AND state = 'closing' AND renewing = 1",
        params![id.as_bytes(), reason],
    )?;
    Ok(())
}
