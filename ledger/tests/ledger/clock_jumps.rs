//! The clock jumps by ten minutes, back or forth: nothing is charged twice, nothing is free, nothing is forgotten.

use proptest::prelude::*;
use toll_ledger::{
    Acceptance, ChannelFixture, ChannelState, Charge, Hold, IdleCloseRequested, RecordedOpen, SpendingKind,
    Spent, Sponsor, day_of,
};

use crate::{START, World, amount};

const JUMP: i64 = 600;

#[derive(Clone, Debug)]
enum Op {
    /// A request that was never made before.
    Pay,
    /// One that was, with the voucher that it had.
    Repeat(usize),
    /// The same with a new voucher.
    PayAgain(usize),
    Jump(bool),
    Purge,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Pay),
        3 => any::<usize>().prop_map(Op::Repeat),
        2 => any::<usize>().prop_map(Op::PayAgain),
        3 => any::<bool>().prop_map(Op::Jump),
        1 => Just(Op::Purge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_charged_once_however_the_clock_jumps(ops in proptest::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::with_deposit(1 << 40).await;
            let mut requests: Vec<u64> = Vec::new();
            for op in &ops {
                let accepted = world.watermarks().await.accepted.get();
                let known = |place: usize| requests.get(place % requests.len().max(1)).copied();
                let (request, cumulative) = match *op {
                    Op::Pay => (requests.len() as u64 + 1, accepted + 16),
                    Op::Repeat(place) => match known(place) {
                        Some(cumulative) => (cumulative / 16, cumulative),
                        None => continue,
                    },
                    Op::PayAgain(place) => match known(place) {
                        Some(cumulative) => (cumulative / 16, accepted + 16),
                        None => continue,
                    },
                    Op::Jump(forth) => {
                        world.clock.advance(if forth { JUMP } else { -JUMP });
                        continue;
                    }
                    Op::Purge => {
                        world.ledger.purge(world.ledger.now()).await.unwrap();
                        continue;
                    }
                };
                let charge = Charge::of(16, request);
                let outcome = world.ledger.accept(&world.channel.voucher(cumulative), charge).await.unwrap();
                match (op, outcome) {
                    (Op::Pay, Acceptance::Accepted(_)) => requests.push(cumulative),
                    (Op::Repeat(_) | Op::PayAgain(_), Acceptance::Replayed(_)) => {}
                    (_, other) => panic!("{op:?}: {other:?}"),
                }
                let marks = world.watermarks().await;
                assert_eq!(marks.spent, amount(requests.len() as u64 * 16));
                assert_eq!(marks.accepted, marks.spent);
            }
            world.ledger.bring_journal_up_to_date().await.unwrap();
            let account = world.ledger.accounts(None, 1).await.unwrap().pop().unwrap();
            assert_eq!(account.sum(toll_ledger::EntryKind::Acceptance), requests.len() as i64 * 16);
        });
    }
}

#[tokio::test]
async fn a_challenge_is_used_once_however_the_clock_jumps() {
    let world = World::with_deposit(1_000).await;
    for jump in [-JUMP, JUMP, JUMP, -JUMP] {
        world.clock.advance(jump);
        world.ledger.purge(world.ledger.now()).await.unwrap();
        let mut other = ChannelFixture::new(2, 1_000).channel;
        other.price = amount(1);
        let again = world
            .ledger
            .record_open(other, b"another".to_vec(), &world.channel.challenge_id(), world.ledger.now() + 300)
            .await;
        assert_eq!(again.unwrap(), RecordedOpen::ChallengeUsed);
    }
}

#[tokio::test]
async fn a_channel_that_a_jump_calls_idle_ends_with_all_that_it_earned() {
    let world = World::with_deposit(1_000).await;
    world.ledger.accept(&world.channel.voucher(160), Charge::of(160, 1)).await.unwrap();
    world.clock.advance(-JUMP);
    assert_eq!(world.ledger.idle_channels(world.ledger.now()).await.unwrap(), []);
    world.clock.advance(2 * JUMP);
    let idle = world.ledger.request_idle_close(&world.id, world.ledger.now()).await.unwrap();
    assert_eq!(idle, IdleCloseRequested::Recorded);
    world.clock.advance(-JUMP);
    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.watermarks.accepted), (ChannelState::Closing, amount(160)));
    let voucher = world.ledger.best_voucher_to_settle(&world.id, world.ledger.now()).await.unwrap();
    assert_eq!(voucher.unwrap().voucher.cumulative_amount, amount(160));
}

#[tokio::test]
async fn a_payers_budget_is_that_of_two_days_at_most_when_the_clock_jumps_over_midnight() {
    let world = World::with_deposit(1_000).await;
    let midnight = day_of(START) * 86_400 + 86_400;
    world.clock.advance(midnight - START - 60);
    let sponsor = Sponsor {
        opens: true,
        top_ups: true,
        vouchers: true,
        channels_per_payer: 100,
        minimum_top_up: amount(1),
        payer_budget: 30_000,
        open_charge: 10_000,
        opens_per_minute: None,
        published_at: START,
    };
    world.ledger.publish_sponsor(sponsor).await.unwrap();
    let (mut granted, mut forth) = (0u64, true);
    for salt in 2..20 {
        let channel = ChannelFixture::new(salt, 1_000);
        if matches!(channel.record(&world.ledger).await.unwrap(), RecordedOpen::Recorded(_)) {
            granted += 1;
            let payer = Some(channel.channel.agreement.terms.payer);
            let (signature, day) = ([salt as u8; 64].into(), day_of(world.ledger.now()));
            let kind = SpendingKind::Open;
            let hold = Hold { signature, kind, payer, day, lamports: 10_000, charge: 10_000 };
            world.ledger.hold(&[hold]).await.unwrap();
            let spent = Spent { kind, payer, spent: 10_000, charged: 10_000 };
            world.ledger.resolve_hold(&signature, &[spent]).await.unwrap();
        }
        world.clock.advance(if forth { JUMP } else { -JUMP });
        forth = !forth;
    }
    assert_eq!(granted, 2 * 3, "three opens a day, and two days");
}
