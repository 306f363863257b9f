//! Accepting vouchers.
//!
//! One function moves a channel's accepted watermark for service: [`Ledger::accept`]. Signatures and
//! bindings are checked earlier, in `toll_protocol`; nothing here knows about HTTP.

use toll_protocol::{Amount, ChannelId, SignedVoucher, VerifiedVoucher};

use crate::column::{Columns, amount};
use crate::engine::{DatabaseError, Tx, params};
use crate::replay::{self, Replay, ReplayKey};
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

/// The part of a channel's row that acceptance looks at.
struct Standing {
    state: ChannelState,
    authorized_signer: [u8; 32],
    idle_timeout: u32,
    watermarks: Watermarks,
    published: Amount,
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
        let (now, oldest) = (self.now(), self.oldest_answer());
        self.write("accept_voucher", move |tx| accept(tx, &signed, &charge, now, oldest)).await
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
    let Some(standing) = standing(tx, id)? else { return Ok(Acceptance::Unknown) };
    if standing.state != ChannelState::Open {
        return Ok(Acceptance::NotOpen(standing.state));
    }
    if standing.authorized_signer != signed.signer.to_bytes() {
        return Err(LedgerError::ForeignSigner(*id));
    }
    // Before any repeat is answered: whoever reads the chain has such a voucher, too.
    let up_to = standing.published;
    if !up_to.is_zero() && signed.voucher.cumulative_amount <= up_to {
        return Ok(Acceptance::Published { up_to });
    }
    if let Some((replay, fingerprint)) = replay::find(tx, &charge.replay.key, oldest)? {
        // The same request on another channel is another request.
        let same = fingerprint == charge.replay.fingerprint && replay.channel == *id;
        return Ok(if same { Acceptance::Replayed(replay) } else { Acceptance::KeyReused });
    }
    if sponsor::find(tx)?.is_some_and(|sponsor| !sponsor.vouchers) {
        return Ok(Acceptance::CloseUnfunded);
    }
    if let Some(refusal) = refusal(&standing.watermarks, signed.voucher.cumulative_amount, charge) {
        return Ok(refusal);
    }
    let watermarks = Watermarks {
        accepted: signed.voucher.cumulative_amount,
        // Cannot overflow: the sum was found to be at most the cumulative amount.
        spent: Amount::new(standing.watermarks.spent.get() + charge.cost.get()),
        ..standing.watermarks
    };
    raise(tx, id, &watermarks, charge.cost, now)?;
    voucher::store(tx, signed, now)?;
    voucher::prune(tx, id, watermarks.spent)?;
    replay::insert(tx, id, charge, &watermarks, now)?;
    Ok(Acceptance::Accepted(Accepted { watermarks, idle_timeout: standing.idle_timeout, accepted_at: now }))
}

fn standing(tx: &Tx, id: &ChannelId) -> Result<Option<Standing>, DatabaseError> {
    tx.first(
        "-- accept_voucher_standing
        SELECT state, authorized_signer, idle_timeout, deposit, accepted, spent, settled, payout_watermark,
               sent_cumulative
          FROM channels WHERE channel_id = ?1",
        params![id.as_bytes()],
        |row| {
            let watermarks = channel::watermarks(row)?;
            Ok(Standing {
                state: row.get("state")?,
                authorized_signer: row.pubkey("authorized_signer")?.to_bytes(),
                idle_timeout: row.get("idle_timeout")?,
                published: channel::published(&watermarks, row.amount("sent_cumulative")?),
                watermarks,
            })
        },
    )
}

/// Why `cumulative` does not pay for `charge`, or `None` when it does.
fn refusal(watermarks: &Watermarks, cumulative: Amount, charge: &Charge) -> Option<Acceptance> {
    let watermarks = *watermarks;
    let Watermarks { deposit, accepted, spent, .. } = watermarks;
    let required = watermarks.required(charge.cost, charge.min_delta);
    // Sums of three u64 fit a u128 with room to spare.
    let paid = u128::from(spent.get()) + u128::from(charge.cost.get());
    let allowed =
        u128::from(accepted.get()) + u128::from(charge.cost.get()) + u128::from(charge.headroom.get());
    let offered = u128::from(cumulative.get());

    if cumulative > deposit {
        return Some(Acceptance::OverDeposit { required, watermarks });
    }
    // Equal is stale too: a voucher spends its increment once (draft-solana-session, "Server Verification" 5).
    if cumulative <= accepted {
        return Some(Acceptance::Stale { watermarks });
    }
    if offered < paid {
        return Some(if required > deposit {
            Acceptance::OverDeposit { required, watermarks }
        } else {
            Acceptance::Insufficient { required, watermarks }
        });
    }
    let delta = cumulative.saturating_sub(accepted);
    if delta < charge.min_delta && cumulative != deposit {
        return Some(Acceptance::DeltaTooSmall { required, watermarks });
    }
    if offered > allowed {
        let allowed = Amount::new(u64::try_from(allowed).unwrap_or(u64::MAX));
        return Some(Acceptance::Excessive { allowed, watermarks });
    }
    None
}

/// Only what is paid for counts as activity: a watermark raised ahead of use would hold the sponsor's rent for
/// ever at no cost.
fn raise(tx: &Tx, id: &ChannelId, to: &Watermarks, cost: Amount, now: i64) -> Result<(), LedgerError> {
    let active_at = if cost.is_zero() { i64::MIN } else { now };
    let raised = tx.execute(
        "-- accept_voucher
        UPDATE channels
           SET accepted = ?2, spent = ?3, last_activity_at = max(last_activity_at, ?4)
         WHERE channel_id = ?1 AND state = 'open' AND accepted < ?2 AND ?2 <= deposit
           AND spent <= ?3 AND ?3 <= ?2",
        params![id.as_bytes(), amount(to.accepted)?, amount(to.spent)?, active_at],
    )?;
    // The checks above and this statement say the same; should they ever differ, nothing is accepted.
    if raised == 1 { Ok(()) } else { Err(DatabaseError::changed_rows(raised).into()) }
}
