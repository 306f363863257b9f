//! Accepting vouchers.
//!
//! One function moves a channel's accepted watermark for service: [`Ledger::accept`]. What is accepted is decided in
//! [`crate::rules::acceptance`], for a [`group`] at once, and carried out as a [`change`]. Signatures and bindings are checked earlier, in
//! `toll_protocol`; nothing here knows about HTTP.

mod change;
mod earmark;
mod group;
mod tail;

use std::collections::HashMap;

use toll_protocol::{Amount, ChannelId, VerifiedVoucher};

pub use self::earmark::{EARMARK_LIFE, Widened};
pub(crate) use self::earmark::{settle_stale, settle_stale_of};
pub(crate) use self::group::{Basis, Offer, Outcome, accept_all};
pub(crate) use self::tail::Tail;
use crate::column::Columns;
use crate::engine::{DatabaseError, Tx, Value};
use crate::replay::{Replay, ReplayKey};
use crate::rules::acceptance::Standing;
use crate::{ChannelState, Ledger, LedgerError, Watermarks, channel};

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
    /// Whether the key is a digest over the voucher itself, or a number that nobody chose: as long as the voucher is
    /// above what is accepted, nothing can be charged under it, and nobody looks. Unset, it is looked up.
    pub is_of_voucher: bool,
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
    /// The rule: `spent + earmarked + cost ≤ cumulative ≤ accepted + cost + headroom`, `cumulative > accepted`,
    /// `cumulative ≤ deposit`, on an open channel; all or nothing. Once this returns `Accepted`, the
    /// watermark, the whole signed voucher, the charge, the replay entry and, if anything was charged, the time
    /// of activity are on disk, so the response may be released. Calls are serialized: of many requests presenting one
    /// voucher, exactly one is accepted. An error leaves the outcome unknown: refuse the request; a retry under the
    /// same replay key finds out, and is never charged twice.
    pub async fn accept(&self, voucher: &VerifiedVoucher, charge: Charge) -> Result<Acceptance, LedgerError> {
        let (signed, now, oldest) = (voucher.signed().clone(), self.now(), self.oldest_answer());
        self.offer(Offer { signed, charge, now, oldest }).await
    }
}

/// What is known of those of `channels` that the ledger has.
fn standings<'a>(
    tx: &Tx,
    channels: impl Iterator<Item = &'a ChannelId>,
) -> Result<HashMap<ChannelId, Standing>, DatabaseError> {
    let channels = channels.map(|id| [Value::Bytes(id.as_bytes())]).collect();
    let found = tx.all_of_each(
        "-- accept_voucher_standings
        SELECT channel_id, state, closure_started_at, authorized_signer, idle_timeout, deposit, accepted, spent,
               earmarked, settled, payout_watermark, sent_cumulative
          FROM channels WHERE channel_id = ?1",
        &channels,
        |row| {
            let standing = Standing {
                state: row.get("state")?,
                closure_started_at: row.get("closure_started_at")?,
                authorized_signer: row.pubkey("authorized_signer")?,
                idle_timeout: row.get("idle_timeout")?,
                watermarks: channel::amounts(row)?,
                sent: row.amount("sent_cumulative")?,
            };
            Ok((row.channel_id("channel_id")?, standing))
        },
    )?;
    Ok(found.into_iter().collect())
}
