//! What to do about a channel next. Pure: a snapshot and the chain's clock in, a plan out.

use std::fmt;

use toll_protocol::{Amount, ChannelAccount, ChannelStatus, OPEN_SLOT_WINDOW, SignedVoucher, Voucher};

use toll_chain::ChainClock;

/// A channel as it stands, on chain and in the ledger.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// The account, as fetched now.
    pub account: &'a ChannelAccount,
    /// Whether the ledger wants the channel closed.
    pub close_requested: bool,
    /// Whether we hold the payee's key.
    pub is_payee: bool,
    /// The stored voucher that the ledger would settle now, if any is above `settled` and unexpired.
    pub voucher: Option<&'a SignedVoucher>,
    /// The accepted watermark of a channel that is to be rearmed rather than closed.
    pub renew_at: Option<Amount>,
    /// What is to be settled and paid out of a channel that stays open.
    pub pay_out_to: Option<Amount>,
}

/// When to settle without closing.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartialSettle {
    /// Once this much is accepted but not settled.
    pub threshold: Option<Amount>,
    /// This many seconds before the best voucher expires.
    pub before_expiry: Option<i64>,
    /// But only for at least this much: a payer could have a transaction sent for every base unit else.
    pub worth: Amount,
}

/// What a channel needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing, for now.
    Nothing,
    /// Something that we can do.
    Act(Action),
    /// Something that we must not do.
    Hold(Hold),
}

/// One thing to do on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Raise `settled` to a voucher; the channel stays open.
    Settle(SignedVoucher),
    /// Raise `settled` to a voucher while the grace period runs; somebody else may seal.
    SettleClosing(SignedVoucher),
    /// Settle the voucher, unless so much is settled, and pay out; the channel stays open with the rest of its deposit.
    PayOut(Option<SignedVoucher>),
    /// Settle the voucher, pay out and refund the rest; the channel stays open for the payer's next session.
    Rearm(SignedVoucher),
    /// Settle the voucher, if one still adds something, seal, and pay out.
    Close(Option<SignedVoucher>),
    /// The grace period is over: seal as it is, and pay out.
    Seal,
    /// Pay out a sealed channel.
    Distribute,
    /// Return the rent of a paid-out channel.
    Reclaim,
}

/// Why a channel that should close is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Only the payee may seal, and we don't hold its key.
    NotPayee,
    /// A stored voucher exceeds `settled` but not by the chain's account of the deposit, so sealing now
    /// would give the difference away (draft, "Cooperative Close"; never a blind seal).
    VoucherOverDeposit {
        /// What the voucher promises.
        cumulative: Amount,
        /// What the chain says is escrowed.
        deposit: Amount,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPayee => f.write_str("only the payee may seal it, and its key is not ours"),
            Self::VoucherOverDeposit { cumulative, deposit } => {
                write!(
                    f,
                    "a stored voucher promises {cumulative}, but the chain shows a deposit of {deposit}"
                )
            }
        }
    }
}

/// Decides what `channel` needs at `now`.
///
/// Deadlines go by the chain's own clock: strictly before `closure_started_at + grace_period` the payee may
/// `settle_and_seal` and anyone `settle_closing`, from then on only `seal` works. Rent comes back strictly after
/// `open_slot + OPEN_SLOT_WINDOW`.
pub fn plan(channel: &Snapshot<'_>, now: ChainClock, partial: PartialSettle) -> Plan {
    match channel.account.status {
        ChannelStatus::Open if channel.close_requested => match rearm(channel, now) {
            Some(voucher) => Plan::Act(Action::Rearm(voucher)),
            None => close(channel, now),
        },
        ChannelStatus::Open => match pay_out(channel, now) {
            Some(payout) => Plan::Act(payout),
            None => settle_early(channel, now, partial),
        },
        ChannelStatus::Closing if now.unix_timestamp >= grace_deadline(channel.account) => {
            Plan::Act(Action::Seal)
        }
        ChannelStatus::Closing => close(channel, now),
        ChannelStatus::Sealed => Plan::Act(Action::Distribute),
        ChannelStatus::Distributed if now.slot > reclaim_slot(channel.account) => Plan::Act(Action::Reclaim),
        ChannelStatus::Distributed => Plan::Nothing,
    }
}

/// The first moment at which `seal` works and `settle_and_seal` no longer does, in unix seconds.
pub(crate) fn grace_deadline(account: &ChannelAccount) -> i64 {
    account.closure_started_at.saturating_add(i64::from(account.grace_period))
}

/// The last slot at which `reclaim` is refused.
pub(crate) fn reclaim_slot(account: &ChannelAccount) -> u64 {
    account.open_slot.saturating_add(OPEN_SLOT_WINDOW)
}

/// The ledger's voucher, if the chain would take it now.
fn settleable<'a>(channel: &Snapshot<'a>, now: ChainClock) -> Option<&'a SignedVoucher> {
    channel
        .voucher
        .filter(|signed| !signed.voucher.is_expired(now.unix_timestamp))
        .filter(|signed| signed.voucher.cumulative_amount > channel.account.settled)
}

/// The voucher that ends a session whole. Without one, or above the deposit, the channel is closed as ever.
fn rearm(channel: &Snapshot<'_>, now: ChainClock) -> Option<SignedVoucher> {
    let whole = |signed: &&SignedVoucher| {
        let cumulative = signed.voucher.cumulative_amount;
        channel.renew_at == Some(cumulative) && cumulative <= channel.account.deposit
    };
    settleable(channel, now).filter(whole).filter(|_| channel.is_payee).cloned()
}

/// What the payee takes of a channel whose payer leaves the rest there.
fn pay_out(channel: &Snapshot<'_>, now: ChainClock) -> Option<Action> {
    let account = channel.account;
    let due = channel.pay_out_to.filter(|due| account.payout_watermark < *due)?;
    let voucher = settleable(channel, now)
        .filter(|signed| account.settled < due && signed.voucher.cumulative_amount <= account.deposit);
    let pays = voucher.is_some() || account.settled > account.payout_watermark;
    pays.then(|| Action::PayOut(voucher.cloned()))
}

fn close(channel: &Snapshot<'_>, now: ChainClock) -> Plan {
    let account = channel.account;
    let voucher = settleable(channel, now);
    if let Some(cumulative) = voucher.map(|signed| signed.voucher.cumulative_amount)
        && cumulative > account.deposit
    {
        return Plan::Hold(Hold::VoucherOverDeposit { cumulative, deposit: account.deposit });
    }
    match voucher {
        // An expired voucher never settles again: sealing without it gives nothing away.
        voucher if channel.is_payee => Plan::Act(Action::Close(voucher.cloned())),
        // Anyone may settle; sealing is the payee's until the grace period is over.
        Some(voucher) if account.status == ChannelStatus::Closing => {
            Plan::Act(Action::SettleClosing(voucher.clone()))
        }
        Some(voucher) => Plan::Act(Action::Settle(voucher.clone())),
        None => Plan::Hold(Hold::NotPayee),
    }
}

fn settle_early(channel: &Snapshot<'_>, now: ChainClock, partial: PartialSettle) -> Plan {
    let Some(signed) = settleable(channel, now) else { return Plan::Nothing };
    let Voucher { cumulative_amount, expires_at, .. } = signed.voucher;
    let unsettled = cumulative_amount.saturating_sub(channel.account.settled);
    let much = partial.threshold.is_some_and(|threshold| unsettled >= threshold);
    let soon = partial
        .before_expiry
        .is_some_and(|before| expires_at != 0 && expires_at.saturating_sub(now.unix_timestamp) <= before);
    if cumulative_amount <= channel.account.deposit && (much || (soon && unsettled >= partial.worth)) {
        Plan::Act(Action::Settle(signed.clone()))
    } else {
        Plan::Nothing
    }
}

#[cfg(test)]
mod tests;
