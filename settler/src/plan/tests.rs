//! What is planned at every border: of time, of amounts and of who may act.

use ed25519_dalek::SigningKey;
use solana_pubkey::Pubkey;
use toll_protocol::ChannelId;
use toll_protocol::ChannelStatus::{Closing, Distributed, Open, Sealed};

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

#[test]
fn what_stays_in_escrow_is_paid_out_once_and_above_the_deposit_never() {
    let best = voucher(160, 0);
    let over = voucher(1_001, 0);
    let more = voucher(200, 0);
    let clock = ChainClock { slot: OPEN_SLOT, unix_timestamp: NOW };
    for (settled, paid_out, voucher, expected) in [
        (0, 0, Some(&best), Plan::Act(Action::PayOut(Some(best.clone())))),
        (160, 0, None, Plan::Act(Action::PayOut(None))),
        (160, 160, None, Plan::Nothing),
        (0, 0, None, Plan::Nothing),
        (0, 0, Some(&over), Plan::Nothing),
        (100, 0, Some(&over), Plan::Act(Action::PayOut(None))),
        // What was accepted since is for the next time.
        (160, 0, Some(&more), Plan::Act(Action::PayOut(None))),
        (160, 160, Some(&more), Plan::Nothing),
        (200, 160, None, Plan::Nothing),
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
fn hold_says_what_keeps_the_channel_from_closing() {
    assert_eq!(Hold::NotPayee.to_string(), "only the payee may seal it, and its key is not ours");
    let hold = Hold::VoucherOverDeposit { cumulative: Amount::new(1_001), deposit: Amount::new(1_000) };
    let words = "a stored voucher promises 1001, but the chain shows a deposit of 1000";
    assert_eq!(hold.to_string(), words);
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
