//! What a voucher buys.

use solana_pubkey::Pubkey;
use toll_protocol::{Amount, SignedVoucher};

use crate::acceptance::{Acceptance, Accepted, Charge};
use crate::replay::Replay;
use crate::{ChannelState, Watermarks, channel};

/// What is known of a channel, as far as its vouchers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: ChannelState,
    /// Chain time of the payer's forced close, while one is pending.
    pub(crate) closure_started_at: Option<i64>,
    pub(crate) authorized_signer: Pubkey,
    /// Seconds.
    pub(crate) idle_timeout: u32,
    pub(crate) watermarks: Watermarks,
    /// Highest cumulative amount of a voucher in a transaction that may have been sent.
    pub(crate) sent: Amount,
}

/// A request that was charged before under the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) replay: Replay,
    pub(crate) fingerprint: [u8; 32],
}

/// How a channel's row changes when a voucher is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raise {
    /// The amounts that this was decided on.
    pub(crate) from: Watermarks,
    /// The amounts after it. Only `accepted` and `spent` differ.
    pub(crate) to: Watermarks,
    /// When the channel was active last by this, in unix seconds; `None` when this is no activity.
    pub(crate) active_at: Option<i64>,
}

/// What is to be done about a voucher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The row changes like this, and the request may be served.
    Raise(Raise),
    /// Nothing changes. Never [`Acceptance::Accepted`].
    Refuse(Acceptance),
    /// Somebody verified the voucher for another channel. Nothing changes.
    ForeignSigner,
}

/// Decides on a voucher that is to pay for `charge`.
///
/// `earlier` is what was charged under the request's key before, and `funded` says whether the sponsor can pay for
/// closes. The rule for the amounts: `spent + earmarked + cost ≤ cumulative ≤ accepted + cost + headroom`,
/// `cumulative > accepted`, `cumulative ≤ deposit`.
pub(crate) fn decide(
    known: Option<&Standing>,
    signed: &SignedVoucher,
    charge: &Charge,
    earlier: Option<Earlier>,
    funded: bool,
    now: i64,
) -> Verdict {
    let Some(known) = known else { return Verdict::Refuse(Acceptance::Unknown) };
    if let Err(state) = known.serves() {
        return Verdict::Refuse(Acceptance::NotOpen(state));
    }
    if known.authorized_signer != signed.signer {
        return Verdict::ForeignSigner;
    }
    let cumulative = signed.voucher.cumulative_amount;
    // Before any repeat is answered: whoever reads the chain has such a voucher, too.
    let up_to = channel::published(&known.watermarks, known.sent);
    if !up_to.is_zero() && cumulative <= up_to {
        return Verdict::Refuse(Acceptance::Published { up_to });
    }
    if let Some(Earlier { replay, fingerprint }) = earlier {
        // The same request on another channel is another request.
        let same = fingerprint == charge.replay.fingerprint && replay.channel == signed.voucher.channel_id;
        return Verdict::Refuse(if same { Acceptance::Replayed(replay) } else { Acceptance::KeyReused });
    }
    if !funded {
        return Verdict::Refuse(Acceptance::CloseUnfunded);
    }
    if let Some(refusal) = refusal(&known.watermarks, cumulative, charge) {
        return Verdict::Refuse(refusal);
    }
    // Cannot overflow: the sum was found to be at most the cumulative amount.
    let spent = Amount::new(known.watermarks.spent.get() + charge.cost.get());
    Verdict::Raise(Raise {
        from: known.watermarks,
        to: Watermarks { accepted: cumulative, spent, ..known.watermarks },
        // Only what is paid for counts as activity: a watermark raised ahead of use would hold the sponsor's rent for
        // ever at no cost.
        active_at: (!charge.cost.is_zero()).then_some(now),
    })
}

impl Standing {
    /// Whether vouchers buy anything on the channel; if not, the state it is in by that.
    fn serves(&self) -> Result<(), ChannelState> {
        match self.state {
            ChannelState::Open if self.closure_started_at.is_none() => Ok(()),
            ChannelState::Open => Err(ChannelState::Closing),
            other => Err(other),
        }
    }

    /// What is known after `raise`.
    pub(crate) fn after(self, raise: &Raise) -> Self {
        Self { watermarks: raise.to, ..self }
    }

    /// The answer to whoever's voucher led to `raise` at `now` (unix seconds).
    pub(crate) fn accepted(&self, raise: &Raise, now: i64) -> Acceptance {
        Acceptance::Accepted(Accepted {
            watermarks: raise.to,
            idle_timeout: self.idle_timeout,
            accepted_at: now,
        })
    }
}

/// Why `cumulative` does not pay for `charge`, or `None` when it does.
fn refusal(watermarks: &Watermarks, cumulative: Amount, charge: &Charge) -> Option<Acceptance> {
    let watermarks = *watermarks;
    let Watermarks { deposit, accepted, spent, earmarked, .. } = watermarks;
    let required = watermarks.required(charge.cost, charge.min_delta);
    // Sums of three u64 fit a u128 with room to spare.
    let paid = u128::from(spent.get()) + u128::from(earmarked.get()) + u128::from(charge.cost.get());
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

#[cfg(test)]
mod tests;
