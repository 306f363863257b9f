//! Accepting vouchers.
//!
//! One function moves a channel's accepted watermark for service: [`Ledger::accept`]. What is accepted is decided in
//! [`crate::rules::acceptance`], carried out here. Signatures and bindings are checked earlier, in `toll_protocol`;
//! nothing here knows about HTTP.

use toll_protocol::{Amount, ChannelId, SignedVoucher, VerifiedVoucher};

use crate::column::{Columns, amount};
use crate::engine::{DatabaseError, Tx, params};
use crate::replay::{self, Replay, ReplayKey};
use crate::rules::acceptance::{self as rules, Raise, Standing, Verdict};
use crate::{ChannelState, Ledger, LedgerError, Watermarks, channel, sponsor, voucher};

/// What a voucher is asked to pay for, and what it may exceed that by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Price of the request. Nothing for an update that only raises the watermark.
    pub cost: Amount,
    /// How far above the accepted watermark plus `cost` the voucher may go: 0 but for streams and updates
    /// ahead of use. Keep `cost + headroom` at or above `min_delta`, or no voucher can please both.
    pub headroom: Amount,
    /// Smallest rise of the watermark, unless the voucher is for the whole deposit.
    pub min_delta: Amount,
    /// The challenge answered, for the receipt of a replay.
    pub challenge_id: String,
    /// What makes a repeat of this request recognizable.
    pub replay: ReplayKey,
}

/// A voucher was accepted and its request may be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The amounts after the charge.
    pub watermarks: Watermarks,
    /// The channel's idle timeout, in seconds.
    pub idle_timeout: u32,
    /// When, in unix seconds.
    pub accepted_at: i64,
}

/// What became of a voucher. Every variant but `Accepted` left the ledger as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The watermark rose and the cost was charged.
    Accepted(Accepted),
    /// This request was charged before; here is what it got. Nothing was charged now.
    Replayed(Replay),
    /// The replay key belongs to another request.
    KeyReused,
    /// The chain shows this voucher, or a transaction in flight may: it proves nothing, so not even a repeat is
    /// recognized by it. Sign above.
    Published {
        /// Up to where vouchers are published.
        up_to: Amount,
    },
    /// Not above the accepted watermark; sign above it.
    Stale {
        /// The amounts as they are.
        watermarks: Watermarks,
    },
    /// Above the accepted watermark, but by less than the minimum delta.
    DeltaTooSmall {
        /// The smallest cumulative amount that would do.
        required: Amount,
        /// The amounts as they are.
        watermarks: Watermarks,
    },
    /// Covers less than what is spent plus the cost.
    Insufficient {
        /// The smallest cumulative amount that would do.
        required: Amount,
        /// The amounts as they are.
        watermarks: Watermarks,
    },
    /// Promises more than the cost and the headroom account for.
    Excessive {
        /// The greatest cumulative amount that would do.
        allowed: Amount,
        /// The amounts as they are.
        watermarks: Watermarks,
    },
    /// The voucher exceeds the deposit, or whatever would pay for the request does: `required` is above the
    /// deposit when only a top-up helps.
    OverDeposit {
        /// The smallest cumulative amount that would do.
        required: Amount,
        /// The amounts as they are.
        watermarks: Watermarks,
    },
    /// The sponsor cannot pay for the channel's close at present, so the voucher might never settle.
    CloseUnfunded,
    /// The channel does not serve: opening, closing or over.
    NotOpen(ChannelState),
    /// The ledger has no such channel.
    Unknown,
}

impl Ledger {
    /// Accepts a voucher and applies `charge` to it, as one step.
    ///
    /// The rule: `spent + cost ≤ cumulative ≤ accepted + cost + headroom`, `cumulative > accepted`,
    /// `cumulative ≤ deposit`, on an open channel; all or nothing. Once this returns `Accepted`, the
    /// watermark, the whole signed voucher, the charge, the replay entry and, if anything was charged, the time
    /// of activity are on disk, so the response may be released. Calls are serialized: of many requests presenting one voucher,
    /// exactly one is accepted. An error leaves the outcome unknown: refuse the request; a retry under the
    /// same replay key finds out, and is never charged twice.
    pub async fn accept(&self, voucher: &VerifiedVoucher, charge: Charge) -> Result<Acceptance, LedgerError> {
        let signed = voucher.signed().clone();
        let (id, now, oldest) = (signed.voucher.channel_id, self.now(), self.oldest_answer());
        let active_at = (!charge.cost.is_zero()).then_some(now);
        let acceptance =
            self.write("accept_voucher", move |tx| accept(tx, &signed, &charge, now, oldest)).await?;
        if let Acceptance::Accepted(Accepted { watermarks, .. }) = &acceptance {
            self.book().raise(&id, watermarks, active_at);
        }
        Ok(acceptance)
    }
}

fn accept(
    tx: &Tx,
    signed: &SignedVoucher,
    charge: &Charge,
    now: i64,
    oldest: i64,
) -> Result<Acceptance, LedgerError> {
    let id = &signed.voucher.channel_id;
    let standing = standing(tx, id)?;
    let earlier = replay::find(tx, &charge.replay.key, oldest)?;
    let funded = sponsor::find(tx)?.is_none_or(|sponsor| sponsor.vouchers);
    let raise = match rules::decide(standing.as_ref(), signed, charge, earlier, funded, now) {
        Verdict::Raise(raise) => raise,
        Verdict::Refuse(refusal) => return Ok(refusal),
        Verdict::ForeignSigner => return Err(LedgerError::ForeignSigner(*id)),
    };
    carry_out(tx, id, &raise)?;
    voucher::store(tx, signed, now)?;
    voucher::prune(tx, id, raise.to.spent)?;
    replay::insert(tx, id, charge, &raise.to, now)?;
    Ok(standing.map_or(Acceptance::Unknown, |standing| standing.accepted(&raise, now)))
}

fn standing(tx: &Tx, id: &ChannelId) -> Result<Option<Standing>, DatabaseError> {
    tx.first(
        "-- accept_voucher_standing
        SELECT state, closure_started_at, authorized_signer, idle_timeout, deposit, accepted, spent, settled,
               payout_watermark, sent_cumulative
          FROM channels WHERE channel_id = ?1",
        params![id.as_bytes()],
        |row| {
            Ok(Standing {
                state: row.get("state")?,
                closure_started_at: row.get("closure_started_at")?,
                authorized_signer: row.pubkey("authorized_signer")?,
                idle_timeout: row.get("idle_timeout")?,
                watermarks: channel::watermarks(row)?,
                sent: row.amount("sent_cumulative")?,
            })
        },
    )
}

/// Raises a channel's amounts, unless they are no longer those that this was decided on.
fn carry_out(tx: &Tx, id: &ChannelId, raise: &Raise) -> Result<(), LedgerError> {
    let raised = tx.execute(
        "-- accept_voucher
        UPDATE channels
           SET accepted = ?2, spent = ?3, last_activity_at = max(last_activity_at, ?4)
         WHERE channel_id = ?1 AND state = 'open' AND accepted = ?5 AND spent = ?6 AND ?2 <= deposit",
        params![
            id.as_bytes(),
            amount(raise.to.accepted)?,
            amount(raise.to.spent)?,
            raise.active_at.unwrap_or(i64::MIN),
            amount(raise.from.accepted)?,
            amount(raise.from.spent)?,
        ],
    )?;
    // The rule and this statement say the same; should they ever differ, nothing is accepted.
    if raised == 1 { Ok(()) } else { Err(DatabaseError::changed_rows(raised).into()) }
}
