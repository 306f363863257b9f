//! Sequences worth keeping: each found something once, or walks a path that random ones seldom take.

use crate::op::{Claim, Cumulative, Health, Op, Way};
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
        Op::Replay { channel: LAST, voucher: 0, by: Way::Settle },
        Op::Replay { channel: 0, voucher: 0, by: Way::Settle },
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
        Op::Replay { channel: 0, voucher: 1, by: Way::Seal },
        Op::Replay { channel: 1, voucher: 0, by: Way::Seal },
        Op::SettleAndSeal { channel: 0, voucher: None, by_owner: true },
        Op::Distribute { channel: 0 },
        Op::Distribute { channel: 1 },
    ]);
}

const fn promise(bps: u64) -> Op {
    Op::Promise {
        channel: LAST,
        voucher: Claim { amount: Cumulative::OfDeposit(bps), expires_in: 0, genuine: true },
        ceiling: false,
    }
}

#[test]
fn a_voucher_kept_back_over_a_rearm_waits_for_the_payers_next_deposit() {
    holds(&[
        open(0),
        promise(9_000),
        settle(5_000),
        Op::Rearm { channel: LAST, voucher: None, by_owner: true },
        Op::Replay { channel: LAST, voucher: 0, by: Way::Settle },
        Op::TopUp { channel: LAST, amount: 3_999, by_owner: true },
        Op::Replay { channel: LAST, voucher: 0, by: Way::UpTo },
        Op::TopUp { channel: LAST, amount: 1, by_owner: true },
        Op::Replay { channel: LAST, voucher: 0, by: Way::UpTo },
        Op::Replay { channel: LAST, voucher: 0, by: Way::Rearm },
        Op::Rearm { channel: LAST, voucher: None, by_owner: true },
        Op::Replay { channel: LAST, voucher: 0, by: Way::Settle },
        Op::SettleAndSeal { channel: LAST, voucher: None, by_owner: true },
        Op::Distribute { channel: LAST },
    ]);
}

#[test]
fn a_voucher_saved_while_closing_is_paid_without_the_payee() {
    holds(&[
        open(0),
        promise(8_000),
        Op::RequestClose { channel: LAST, by_owner: true },
        Op::Replay { channel: LAST, voucher: 0, by: Way::Settle },
        Op::Replay { channel: LAST, voucher: 0, by: Way::Closing },
        Op::Replay { channel: LAST, voucher: 0, by: Way::Closing },
        Op::PassSeconds(GRACE_PERIOD as i64),
        Op::Replay { channel: LAST, voucher: 0, by: Way::Closing },
        Op::Seal { channel: LAST },
        Op::Distribute { channel: LAST },
    ]);
}

#[test]
fn a_batch_raises_all_its_channels_or_none() {
    let target = |bps| Claim { amount: Cumulative::OfDeposit(bps), expires_in: 0, genuine: true };
    let batch = |targets| Op::SettleBatch { channels: [0, 1], targets, tells: false };
    holds(&[
        open(0),
        open(1),
        batch([target(4_000), target(6_000)]),
        batch([target(5_000), target(10_001)]),
        Op::SettleAndSeal { channel: 0, voucher: None, by_owner: true },
        batch([target(4_000), target(7_000)]),
        batch([target(4_001), target(8_000)]),
        Op::ReplayBatch { batch: 0, tells: false },
        Op::Rearm { channel: 1, voucher: None, by_owner: true },
        Op::ReplayBatch { batch: 3, tells: false },
        Op::Distribute { channel: 0 },
        Op::PassSlots(OPEN_SLOT_WINDOW + 2),
        Op::ReplayBatch { batch: 0, tells: false },
        Op::Reclaim { channel: 0, to_owner: true },
        Op::ReplayBatch { batch: 0, tells: false },
    ]);
}
