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
mod tests {
    use ed25519_dalek::SigningKey;
    use solana_pubkey::Pubkey;
    use toll_protocol::ChannelId;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const OPEN_SLOT: u64 = 5_000;

    fn account(status: ChannelStatus, settled: u64) -> ChannelAccount {
        let key = Pubkey::default();
        ChannelAccount {
            bump: 255,
            status,
            salt: 0,
            deposit: Amount::new(1_000),
            settled: Amount::new(settled),
            payout_watermark: Amount::ZERO,
            closure_started_at: if status == ChannelStatus::Closing { NOW } else { 0 },
            payer_withdrawn_at: 0,
            grace_period: 900,
            distribution_hash: [0; 32],
            payer: key,
            payee: key,
            authorized_signer: key,
            mint: key,
            rent_payer: key,
            open_slot: OPEN_SLOT,
        }
    }

    fn voucher(cumulative: u64, expires_at: i64) -> SignedVoucher {
        let channel_id = ChannelId::new([1; 32]);
        let voucher = Voucher { channel_id, cumulative_amount: Amount::new(cumulative), expires_at };
        SignedVoucher::sign(voucher, &SigningKey::from_bytes(&[3; 32]))
    }

    /// The plan for our own channel, as seen `after` seconds and `slots` slots.
    fn decide(
        account: &ChannelAccount,
        close: bool,
        voucher: Option<&SignedVoucher>,
        after: i64,
        slots: u64,
    ) -> Plan {
        let snapshot = Snapshot {
            account,
            close_requested: close,
            is_payee: true,
            voucher,
            renew_at: None,
            pay_out_to: None,
        };
        let clock = ChainClock { slot: OPEN_SLOT + slots, unix_timestamp: NOW + after };
        plan(&snapshot, clock, PartialSettle { before_expiry: Some(120), ..PartialSettle::default() })
    }

    fn foreign(account: &ChannelAccount, close: bool, voucher: Option<&SignedVoucher>, after: i64) -> Plan {
        let snapshot = Snapshot {
            account,
            close_requested: close,
            is_payee: false,
            voucher,
            renew_at: None,
            pay_out_to: None,
        };
        let clock = ChainClock { slot: OPEN_SLOT, unix_timestamp: NOW + after };
        plan(&snapshot, clock, PartialSettle::default())
    }

    use ChannelStatus::{Closing, Distributed, Open, Sealed};

    #[test]
    fn what_stays_in_escrow_is_paid_out_once_and_above_the_deposit_never() {
        let best = voucher(160, 0);
        let over = voucher(1_001, 0);
        let clock = ChainClock { slot: OPEN_SLOT, unix_timestamp: NOW };
        for (settled, paid_out, voucher, expected) in [
            (0, 0, Some(&best), Plan::Act(Action::PayOut(Some(best.clone())))),
            (160, 0, None, Plan::Act(Action::PayOut(None))),
            (160, 160, None, Plan::Nothing),
            (0, 0, None, Plan::Nothing),
            (0, 0, Some(&over), Plan::Nothing),
            (100, 0, Some(&over), Plan::Act(Action::PayOut(None))),
        ] {
            let payout_watermark = Amount::new(paid_out);
            let account = ChannelAccount { payout_watermark, ..account(ChannelStatus::Open, settled) };
            let snapshot = Snapshot {
                account: &account,
                close_requested: false,
                // Anyone may settle and pay out.
                is_payee: false,
                voucher,
                renew_at: None,
                pay_out_to: Some(Amount::new(160)),
            };
            let planned = plan(&snapshot, clock, PartialSettle::default());
            assert_eq!(planned, expected, "{settled} settled, {paid_out} paid out");
        }
    }

    #[test]
    fn open_channel_is_left_alone() {
        let lasting = voucher(100, 0);
        assert_eq!(decide(&account(Open, 0), false, None, 0, 1), Plan::Nothing);
        assert_eq!(decide(&account(Open, 0), false, Some(&lasting), 0, 1), Plan::Nothing);
    }

    #[test]
    fn requested_close_takes_the_voucher_along() {
        let best = voucher(100, 0);
        let plan = decide(&account(Open, 0), true, Some(&best), 0, 1);
        assert_eq!(plan, Plan::Act(Action::Close(Some(best))));
    }

    #[test]
    fn only_a_session_that_ends_whole_is_rearmed() {
        let (best, expired) = (voucher(100, 0), voucher(100, NOW));
        let above = voucher(1_001, 0);
        let rearm = Plan::Act(Action::Rearm(best.clone()));
        let close = |voucher: Option<&SignedVoucher>| Plan::Act(Action::Close(voucher.cloned()));
        let sealed = Plan::Act(Action::Distribute);
        for (status, settled, voucher, renew_at, is_payee, expected) in [
            (Open, 0, Some(&best), Some(100), true, rearm),
            (Open, 0, Some(&best), None, true, close(Some(&best))),
            // The payee holds back what was not spent: that is for the close.
            (Open, 0, Some(&best), Some(120), true, close(Some(&best))),
            (Open, 0, Some(&expired), Some(100), true, close(None)),
            (Open, 100, Some(&best), Some(100), true, close(None)),
            (Open, 100, None, Some(100), true, close(None)),
            (Open, 0, Some(&best), Some(100), false, Plan::Act(Action::Settle(best.clone()))),
            (Closing, 0, Some(&best), Some(100), true, close(Some(&best))),
            (Sealed, 0, Some(&best), Some(100), true, sealed),
        ] {
            let account = account(status, settled);
            let renew_at = renew_at.map(Amount::new);
            let snapshot = Snapshot {
                account: &account,
                close_requested: true,
                is_payee,
                voucher,
                renew_at,
                pay_out_to: None,
            };
            let clock = ChainClock { slot: OPEN_SLOT, unix_timestamp: NOW };
            assert_eq!(plan(&snapshot, clock, PartialSettle::default()), expected, "{status:?} {renew_at:?}");
        }
        let account = account(Open, 0);
        let renew_at = Some(Amount::new(1_001));
        let snapshot = Snapshot {
            account: &account,
            close_requested: true,
            is_payee: true,
            voucher: Some(&above),
            renew_at,
            pay_out_to: None,
        };
        let clock = ChainClock { slot: OPEN_SLOT, unix_timestamp: NOW };
        assert!(matches!(plan(&snapshot, clock, PartialSettle::default()), Plan::Hold(_)));
    }

    #[test]
    fn close_shows_no_voucher_that_adds_nothing() {
        for cumulative in [99, 100] {
            let stale = voucher(cumulative, 0);
            let plan = decide(&account(Open, 100), true, Some(&stale), 0, 1);
            assert_eq!(plan, Plan::Act(Action::Close(None)), "{cumulative}");
        }
    }

    #[test]
    fn close_shows_a_voucher_until_the_second_it_expires() {
        let expiring = voucher(100, NOW + 50);
        let last = decide(&account(Open, 0), true, Some(&expiring), 49, 1);
        assert_eq!(last, Plan::Act(Action::Close(Some(expiring.clone()))));
        let late = decide(&account(Open, 0), true, Some(&expiring), 50, 1);
        assert_eq!(late, Plan::Act(Action::Close(None)));
    }

    #[test]
    fn voucher_for_the_whole_deposit_settles_and_one_above_is_held() {
        let whole = voucher(1_000, 0);
        let plan = decide(&account(Open, 0), true, Some(&whole), 0, 1);
        assert_eq!(plan, Plan::Act(Action::Close(Some(whole))));

        let above = voucher(1_001, 0);
        let hold = Hold::VoucherOverDeposit { cumulative: Amount::new(1_001), deposit: Amount::new(1_000) };
        assert_eq!(decide(&account(Open, 0), true, Some(&above), 0, 1), Plan::Hold(hold));
    }

    #[test]
    fn forced_close_is_answered_whether_or_not_the_ledger_asks() {
        let best = voucher(100, 0);
        for requested in [false, true] {
            let plan = decide(&account(Closing, 0), requested, Some(&best), 0, 1);
            assert_eq!(plan, Plan::Act(Action::Close(Some(best.clone()))));
        }
    }

    #[test]
    fn grace_ends_exactly_at_its_deadline() {
        let best = voucher(100, 0);
        let last = decide(&account(Closing, 0), false, Some(&best), 899, 1);
        assert_eq!(last, Plan::Act(Action::Close(Some(best.clone()))));
        let over = decide(&account(Closing, 0), false, Some(&best), 900, 1);
        assert_eq!(over, Plan::Act(Action::Seal));
    }

    #[test]
    fn deadline_beyond_all_time_never_comes() {
        let mut account = account(Closing, 0);
        account.closure_started_at = i64::MAX - 1;
        assert_eq!(decide(&account, false, None, 0, 1), Plan::Act(Action::Close(None)));
    }

    #[test]
    fn sealed_channel_is_paid_out_at_any_slot() {
        for slots in [0, 1_500, 1_501] {
            assert_eq!(decide(&account(Sealed, 0), false, None, 0, slots), Plan::Act(Action::Distribute));
        }
    }

    #[test]
    fn reclaim_begins_one_slot_after_the_window() {
        assert_eq!(decide(&account(Distributed, 0), true, None, 0, 1_500), Plan::Nothing);
        assert_eq!(decide(&account(Distributed, 0), true, None, 0, 1_501), Plan::Act(Action::Reclaim));
    }

    #[test]
    fn foreign_channel_is_settled_but_not_sealed() {
        let best = voucher(100, 0);
        let open = account(Open, 0);
        assert_eq!(foreign(&open, true, Some(&best), 0), Plan::Act(Action::Settle(best)));
        assert_eq!(foreign(&open, true, None, 0), Plan::Hold(Hold::NotPayee));
    }

    #[test]
    fn foreign_forced_close_is_settled_until_the_deadline_and_sealed_from_then_on() {
        let best = voucher(100, 0);
        let closing = account(Closing, 0);
        let settle = Plan::Act(Action::SettleClosing(best.clone()));
        assert_eq!(foreign(&closing, false, Some(&best), 899), settle);
        assert_eq!(foreign(&closing, false, Some(&best), 900), Plan::Act(Action::Seal));
        assert_eq!(foreign(&account(Closing, 100), false, Some(&best), 899), Plan::Hold(Hold::NotPayee));
        assert_eq!(foreign(&closing, false, None, 899), Plan::Hold(Hold::NotPayee));
    }

    #[test]
    fn expiring_voucher_is_settled_within_the_margin_only() {
        let expiring = voucher(100, NOW + 200);
        let open = account(Open, 0);
        assert_eq!(decide(&open, false, Some(&expiring), 79, 1), Plan::Nothing);
        let soon = decide(&open, false, Some(&expiring), 80, 1);
        assert_eq!(soon, Plan::Act(Action::Settle(expiring.clone())));
        assert_eq!(decide(&open, false, Some(&expiring), 200, 1), Plan::Nothing, "too late");
    }

    #[test]
    fn expiring_voucher_is_settled_only_for_what_is_worth_a_transaction() {
        let expiring = voucher(150, NOW + 100);
        let worth = Amount::new(100);
        let partial = PartialSettle { before_expiry: Some(120), worth, ..PartialSettle::default() };
        let clock = ChainClock { slot: OPEN_SLOT, unix_timestamp: NOW };
        for (settled, expected) in [(51, Plan::Nothing), (50, Plan::Act(Action::Settle(expiring.clone())))] {
            let account = account(Open, settled);
            let snapshot = Snapshot {
                account: &account,
                close_requested: false,
                is_payee: true,
                voucher: Some(&expiring),
                renew_at: None,
                pay_out_to: None,
            };
            assert_eq!(plan(&snapshot, clock, partial), expected, "settled {settled}");
        }
    }

    #[test]
    fn threshold_counts_what_is_not_settled_yet() {
        let best = voucher(150, 0);
        let partial = PartialSettle { threshold: Some(Amount::new(100)), ..PartialSettle::default() };
        let clock = ChainClock { slot: OPEN_SLOT, unix_timestamp: NOW };
        for (settled, expected) in [(51, Plan::Nothing), (50, Plan::Act(Action::Settle(best.clone())))] {
            let account = account(Open, settled);
            let snapshot = Snapshot {
                account: &account,
                close_requested: false,
                is_payee: true,
                voucher: Some(&best),
                renew_at: None,
                pay_out_to: None,
            };
            assert_eq!(plan(&snapshot, clock, partial), expected, "settled {settled}");
        }
    }
}
