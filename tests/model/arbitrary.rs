//! Random steps: mostly sensible ones, so that sequences reach every status, and enough of the other kind.

use crate::op::{Claim, Cumulative, Health, Op, Way};
use proptest::collection::vec;
use proptest::prelude::*;
use toll_program_tests::{GRACE_PERIOD, OPEN_SLOT_WINDOW};

/// At most `steps` steps or a few more, of which the first opens a channel.
pub(crate) fn sequence(steps: usize) -> impl Strategy<Value = Vec<Op>> {
    let first = Op::Open { age: 0, deposit: 1_000_000, lamports_before: 0, tokens_before: 0 };
    vec(phrase(), 1..=steps / 2).prop_map(move |phrases| {
        let steps = phrases.into_iter().flatten();
        std::iter::once(first).chain(steps).collect()
    })
}

/// A single step, or a few that belong together: alone they would seldom meet in the right order.
fn phrase() -> impl Strategy<Value = Vec<Op>> {
    let last = usize::MAX;
    let seal = Op::SettleAndSeal { channel: last, voucher: None, by_owner: true };
    let distribute = Op::Distribute { channel: last };
    let withdraw = Op::WithdrawPayer { channel: last, by_owner: true };
    let settle = (1..50_000i64).prop_map(move |more| Op::Settle { channel: last, voucher: good(more) });
    let rearm = Op::Rearm { channel: last, voucher: None, by_owner: true };
    let grace = i64::from(GRACE_PERIOD);
    prop_oneof![
        20 => op().prop_map(|op| vec![op]),
        2 => op().prop_map(move |op| vec![OPEN, op]),
        6 => settle.prop_map(move |settle| vec![settle, distribute]),
        1 => op().prop_map(move |op| vec![seal, op, distribute]),
        1 => Just(vec![seal, withdraw, distribute]),
        2 => (grace - 2..grace + 2, op()).prop_map(move |(seconds, op)| vec![
            Op::RequestClose { channel: last, by_owner: true },
            op,
            Op::PassSeconds(seconds),
            Op::Seal { channel: last },
        ]),
        1 => (claim(), op()).prop_map(move |(voucher, op)| vec![
            Op::RequestClose { channel: last, by_owner: true },
            Op::SettleClosing { channel: last, voucher },
            op,
            Op::SettleClosing { channel: last, voucher },
        ]),
        2 => (2..50_000i64, 1..2_000i64, op()).prop_map(move |(ceiling, part, op)| {
            let captured = Op::SettleUpTo {
                channel: last,
                voucher: good(ceiling),
                amount: Cumulative::FromSettled(part),
                by_owner: true,
            };
            vec![captured, op, captured]
        }),
        2 => (channel(), 1..50_000i64, any::<usize>(), op(), any::<bool>()).prop_map(
            move |(other, more, batch, op, tells)| vec![
                Op::SettleBatch { channels: [last, other], targets: [good(more), good(1)], tells },
                op,
                Op::ReplayBatch { batch, tells: !tells },
            ]
        ),
        // One of two leaves before the batch comes.
        2 => (0..8usize, 1..50_000i64, by_owner(), any::<bool>(), grace - 2..grace + 2).prop_map(
            move |(other, more, tells, seals, seconds)| vec![
                if seals { seal } else { Op::RequestClose { channel: last, by_owner: true } },
                OPEN,
                Op::PassSeconds(seconds),
                Op::SettleBatch { channels: [last, other], targets: [good(more), good(more)], tells },
            ]
        ),
        // A session, the next one's deposit, and whatever was signed before.
        3 => (claim(), any::<usize>(), way(), 1..600_000u64).prop_map(move |(kept, voucher, by, amount)| vec![
            Op::Promise { channel: last, voucher: kept, ceiling: by == Way::UpTo },
            rearm,
            Op::TopUp { channel: last, amount, by_owner: true },
            Op::Replay { channel: last, voucher, by },
        ]),
        2 => (OPEN_SLOT_WINDOW - 2..OPEN_SLOT_WINDOW + 3).prop_map(move |slots| vec![
            distribute,
            Op::PassSlots(slots),
            Op::Reclaim { channel: last, to_owner: true },
            OPEN,
        ]),
        1 => (any::<usize>(), health()).prop_map(move |(party, to)| vec![
            Op::Change { party, to },
            distribute,
            Op::Change { party, to: Health::Good },
        ]),
    ]
}

/// By the authorized signer, for ever, so much above what is settled.
const fn good(more: i64) -> Claim {
    Claim { amount: Cumulative::FromSettled(more), expires_in: 0, genuine: true }
}

const OPEN: Op = Op::Open { age: 0, deposit: 400_000, lamports_before: 0, tokens_before: 0 };

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (age(), deposit(), lamports_before(), tokens_before()).prop_map(
            |(age, deposit, lamports_before, tokens_before)| Op::Open {
                age,
                deposit,
                lamports_before,
                tokens_before,
            }
        ),
        10 => (channel(), claim()).prop_map(|(channel, voucher)| Op::Settle { channel, voucher }),
        10 => (channel(), claim(), prop::bool::weighted(0.2))
            .prop_map(|(channel, voucher, ceiling)| Op::Promise { channel, voucher, ceiling }),
        10 => (channel(), any::<usize>(), way())
            .prop_map(|(channel, voucher, by)| Op::Replay { channel, voucher, by }),
        5 => ([channel(), channel()], [claim(), claim()], any::<bool>())
            .prop_map(|(channels, targets, tells)| Op::SettleBatch { channels, targets, tells }),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(batch, tells)| Op::ReplayBatch { batch, tells }),
        6 => (channel(), proptest::option::of(claim()), by_owner())
            .prop_map(|(channel, voucher, by_owner)| Op::Rearm { channel, voucher, by_owner }),
        6 => (channel(), claim(), cumulative(), by_owner()).prop_map(|(channel, voucher, amount, by_owner)| {
            Op::SettleUpTo { channel, voucher, amount, by_owner }
        }),
        4 => (channel(), claim()).prop_map(|(channel, voucher)| Op::SettleClosing { channel, voucher }),
        2 => channel().prop_map(|channel| Op::Checkpoint { channel }),
        6 => (channel(), deposit(), by_owner())
            .prop_map(|(channel, amount, by_owner)| Op::TopUp { channel, amount, by_owner }),
        6 => (channel(), proptest::option::of(claim()), by_owner())
            .prop_map(|(channel, voucher, by_owner)| Op::SettleAndSeal { channel, voucher, by_owner }),
        4 => (channel(), by_owner()).prop_map(|(channel, by_owner)| Op::RequestClose { channel, by_owner }),
        4 => channel().prop_map(|channel| Op::Seal { channel }),
        12 => channel().prop_map(|channel| Op::Distribute { channel }),
        4 => (channel(), by_owner()).prop_map(|(channel, by_owner)| Op::WithdrawPayer { channel, by_owner }),
        4 => (channel(), by_owner()).prop_map(|(channel, to_owner)| Op::Reclaim { channel, to_owner }),
        8 => (channel(), any::<usize>(), any::<usize>(), any::<usize>()).prop_map(
            |(channel, instruction, account, with)| Op::Exchange { channel, instruction, account, with }
        ),
        4 => slots().prop_map(Op::PassSlots),
        4 => seconds().prop_map(Op::PassSeconds),
        2 => (channel(), 1..1_000_000u64).prop_map(|(channel, amount)| Op::GiveTokens { channel, amount }),
        2 => (channel(), 1..1_000_000u64).prop_map(|(channel, amount)| Op::GiveLamports { channel, amount }),
        4 => (any::<usize>(), health()).prop_map(|(party, to)| Op::Change { party, to }),
    ]
}

/// Of the few incarnations that a sequence makes; usually the last.
fn channel() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(usize::MAX), 1 => 0..8usize]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        4 => Just(Way::Settle),
        2 => Just(Way::Seal),
        2 => Just(Way::Rearm),
        2 => Just(Way::UpTo),
        2 => Just(Way::Closing),
    ]
}

fn by_owner() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.85)
}

fn age() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => Just(0u64),
        2 => 0..=OPEN_SLOT_WINDOW,
        1 => Just(OPEN_SLOT_WINDOW),
        1 => Just(OPEN_SLOT_WINDOW + 1),
    ]
}

fn deposit() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 1..2_000_000u64, 2 => 1..20u64, 1 => Just(0u64), 1 => any::<u64>()]
}

fn lamports_before() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0u64), 1 => 1..5_000_000u64]
}

fn tokens_before() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0u64), 1 => 1..1_000u64]
}

fn claim() -> impl Strategy<Value = Claim> {
    (cumulative(), expires_in(), prop::bool::weighted(0.9)).prop_map(|(amount, expires_in, genuine)| Claim {
        amount,
        expires_in,
        genuine,
    })
}

fn cumulative() -> impl Strategy<Value = Cumulative> {
    prop_oneof![
        3 => (0..=10_000u64).prop_map(Cumulative::OfDeposit),
        5 => (1..50_000i64).prop_map(Cumulative::FromSettled),
        2 => (-2..4i64).prop_map(Cumulative::FromSettled),
        1 => Just(Cumulative::OfDeposit(10_000)),
        1 => (10_001..20_000u64).prop_map(Cumulative::OfDeposit),
    ]
}

fn expires_in() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0i64), 2 => 1..2_000i64, 1 => -2..2i64, 1 => any::<i64>()]
}

fn slots() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1..200u64, 2 => 1..3_000u64, 1 => Just(OPEN_SLOT_WINDOW), 1 => Just(OPEN_SLOT_WINDOW + 1)]
}

fn seconds() -> impl Strategy<Value = i64> {
    let grace = i64::from(GRACE_PERIOD);
    prop_oneof![4 => 1..200i64, 2 => 1..2_000i64, 1 => Just(grace), 1 => Just(grace - 1)]
}

fn health() -> impl Strategy<Value = Health> {
    prop_oneof![
        4 => Just(Health::Good),
        1 => Just(Health::Frozen),
        1 => Just(Health::Missing),
        1 => Just(Health::Sold),
    ]
}
