//! Sequences worth keeping: each found something once, or walks a path that random ones seldom take.

use crate::op::{Claim, Cumulative, Health, Op};
use crate::run::{Tally, run};
use toll_program_tests::{GRACE_PERIOD, OPEN_SLOT_WINDOW, TokenKind};

const LAST: usize = usize::MAX;

#[track_caller]
fn holds(ops: &[Op]) {
    for token in TokenKind::ALL {
        run(token, ops, &mut Tally::new()).unwrap_or_else(|error| panic!("{token:?}: {error}"));
    }
}

const fn open(age: u64) -> Op {
    Op::Open { age, deposit: 10_000, lamports_before: 0, tokens_before: 0 }
}

const fn settle(bps: u64) -> Op {
    Op::Settle {
        channel: LAST,
        voucher: Claim { amount: Cumulative::OfDeposit(bps), expires_in: 0, genuine: true },
    }
}

#[test]
fn a_voucher_of_an_earlier_incarnation_settles_on_no_later_one() {
    holds(&[
        open(0),
        settle(5_000),
        Op::SettleAndSeal { channel: LAST, voucher: None, by_owner: true },
        Op::PassSlots(OPEN_SLOT_WINDOW + 1),
        Op::Distribute { channel: LAST },
        open(0),
        Op::Replay { channel: LAST, voucher: 0, seal: false },
        Op::Replay { channel: 0, voucher: 0, seal: false },
    ]);
}

#[test]
fn a_forced_close_waits_for_the_grace_period_and_pays_everyone() {
    holds(&[
        open(0),
        settle(7_777),
        Op::RequestClose { channel: LAST, by_owner: true },
        Op::PassSeconds(GRACE_PERIOD as i64 - 1),
        Op::Seal { channel: LAST },
        Op::PassSeconds(1),
        Op::SettleAndSeal { channel: LAST, voucher: None, by_owner: true },
        Op::Seal { channel: LAST },
        Op::WithdrawPayer { channel: LAST, by_owner: true },
        Op::Distribute { channel: LAST },
        Op::PassSlots(OPEN_SLOT_WINDOW),
        Op::Reclaim { channel: LAST, to_owner: true },
        Op::PassSlots(1),
        Op::Reclaim { channel: LAST, to_owner: false },
        Op::Reclaim { channel: LAST, to_owner: true },
    ]);
}

#[test]
fn redirected_shares_stay_with_the_treasury() {
    holds(&[
        open(0),
        settle(3_000),
        Op::Change { party: 2, to: Health::Frozen },
        Op::Distribute { channel: LAST },
        Op::Change { party: 2, to: Health::Good },
        Op::Change { party: 1, to: Health::Missing },
        Op::Change { party: 0, to: Health::Sold },
        settle(6_000),
        Op::Distribute { channel: LAST },
        Op::SettleAndSeal { channel: LAST, voucher: None, by_owner: true },
        Op::Distribute { channel: LAST },
    ]);
}

#[test]
fn gifts_before_during_and_after_a_channel_change_nobodys_share() {
    holds(&[
        Op::Open { age: 3, deposit: 10_000, lamports_before: 4_000_000, tokens_before: 77 },
        settle(10_000),
        Op::GiveTokens { channel: LAST, amount: 1_000 },
        Op::GiveLamports { channel: LAST, amount: 1_000 },
        Op::SettleAndSeal { channel: LAST, voucher: None, by_owner: true },
        Op::Distribute { channel: LAST },
        Op::GiveTokens { channel: LAST, amount: 5 },
        Op::Distribute { channel: LAST },
        Op::PassSlots(OPEN_SLOT_WINDOW + 1),
        Op::Reclaim { channel: LAST, to_owner: true },
    ]);
}

#[test]
fn channels_of_one_payer_do_not_touch_each_others_escrow() {
    holds(&[
        open(0),
        settle(9_000),
        open(1),
        settle(1_000),
        Op::Distribute { channel: 0 },
        Op::Distribute { channel: 1 },
        Op::Replay { channel: 0, voucher: 1, seal: true },
        Op::Replay { channel: 1, voucher: 0, seal: true },
        Op::SettleAndSeal { channel: 0, voucher: None, by_owner: true },
        Op::Distribute { channel: 0 },
        Op::Distribute { channel: 1 },
    ]);
}
