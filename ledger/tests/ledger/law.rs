//! However a channel is paid, observed and closed, its amounts keep the law, and its watermarks never fall.

use proptest::prelude::*;
use toll_ledger::{
    Acceptance, ChannelRecord, ChannelState, Charge, CloseLanded, CloseReason, CloseRequested, EntryKind,
    Watermarks,
};
use toll_protocol::{ChannelAccount, ChannelStatus};

use crate::{START, World, amount};

const DEPOSIT: u64 = 2_000;

/// One thing that happens to a channel. Amounts are taken relative to where the channel stands.
#[derive(Clone, Debug)]
enum Op {
    Accept { cumulative: i64, cost: u64, headroom: u64, min_delta: u64, expires: bool, request: u64 },
    Observe { status: ChannelStatus, deposit: i64, settled: u64, payout: u64, slot: i64 },
    Vanish { slot: i64 },
    Close { cumulative: Option<i64> },
    IdleClose { after: i64 },
    CloseLanded { settled: u64, refunded: u64 },
    Purge { after: i64 },
}

fn op() -> impl Strategy<Value = Op> {
    let status = prop_oneof![
        20 => Just(ChannelStatus::Open),
        1 => Just(ChannelStatus::Closing),
        1 => Just(ChannelStatus::Sealed),
        1 => Just(ChannelStatus::Distributed),
    ];
    prop_oneof![
        40 => (-20i64..120, 0u64..60, 0u64..60, 0u64..30, any::<bool>(), 0u64..200).prop_map(
            |(cumulative, cost, headroom, min_delta, expires, request)| Op::Accept {
                cumulative, cost, headroom, min_delta, expires, request
            }
        ),
        10 => (status, -5_000i64..500, 0u64..1_000, 0u64..1_000, -3i64..10).prop_map(
            |(status, deposit, settled, payout, slot)| Op::Observe { status, deposit, settled, payout, slot }
        ),
        1 => (-3i64..3).prop_map(|slot| Op::Vanish { slot }),
        1 => proptest::option::of(-60i64..60).prop_map(|cumulative| Op::Close { cumulative }),
        2 => (0i64..1_200).prop_map(|after| Op::IdleClose { after }),
        1 => (0u64..1_000, 0u64..2_000).prop_map(|(settled, refunded)| Op::CloseLanded { settled, refunded }),
        1 => (0i64..200_000).prop_map(|after| Op::Purge { after }),
    ]
}

fn rank(state: ChannelState) -> usize {
    let order = [
        ChannelState::Opening,
        ChannelState::Open,
        ChannelState::Closing,
        ChannelState::Closed,
        ChannelState::Gone,
    ];
    order.iter().position(|each| *each == state).unwrap()
}

/// The rule of acceptance, said once more and differently.
fn pays(record: &ChannelRecord, cumulative: u64, charge: &Charge) -> bool {
    let marks = record.watermarks;
    let floor = (marks.spent.get() + charge.cost.get()).max(marks.accepted.get() + 1);
    let ceiling = (marks.accepted.get() + charge.cost.get() + charge.headroom.get()).min(marks.deposit.get());
    let rises =
        cumulative >= marks.accepted.get() + charge.min_delta.get() || cumulative == marks.deposit.get();
    record.state == ChannelState::Open && (floor..=ceiling).contains(&cumulative) && rises
}

impl World {
    async fn record(&self) -> ChannelRecord {
        self.ledger.channel(&self.id).await.unwrap().unwrap()
    }

    async fn apply(&self, op: &Op) {
        let before = self.record().await;
        let marks = before.watermarks;
        let slot = |step: i64| before.observed_slot.saturating_add_signed(step);
        match *op {
            Op::Accept { cumulative, cost, headroom, min_delta, expires, request } => {
                let cumulative = marks.accepted.get().saturating_add_signed(cumulative);
                let charge = Charge {
                    headroom: amount(headroom),
                    min_delta: amount(min_delta),
                    ..Charge::of(cost, request)
                };
                let fresh = self.ledger.replay(&self.id, &charge.replay).await.unwrap().is_none();
                let expected = fresh && pays(&before, cumulative, &charge);
                let voucher = self.channel.voucher_until(cumulative, if expires { START + 1 } else { 0 });
                let acceptance = self.ledger.accept(&voucher, charge).await.unwrap();
                assert_eq!(matches!(acceptance, Acceptance::Accepted(_)), expected, "{acceptance:?}");
                if !expected {
                    assert_eq!(self.record().await, before);
                }
            }
            Op::Observe { status, deposit, settled, payout, slot: step } => {
                let deposit = marks.deposit.get().saturating_add_signed(deposit / 10);
                let settled = settled.min(deposit);
                let account = ChannelAccount {
                    status,
                    deposit: amount(deposit),
                    settled: amount(settled),
                    payout_watermark: amount(payout.min(settled)),
                    ..self.channel.account()
                };
                self.ledger.observe(&self.id, Some(&account), slot(step)).await.unwrap();
            }
            Op::Vanish { slot: step } => {
                self.ledger.observe(&self.id, None, slot(step)).await.unwrap();
            }
            Op::Close { cumulative } => {
                let voucher = cumulative
                    .map(|step| self.channel.voucher(marks.accepted.get().saturating_add_signed(step)));
                let reason = CloseReason::Requested;
                let outcome = self.ledger.request_close(&self.id, reason, voucher.as_ref()).await.unwrap();
                if outcome != CloseRequested::Recorded {
                    assert_eq!(self.record().await, before);
                }
            }
            Op::IdleClose { after } => {
                self.ledger.request_idle_close(&self.id, START + after).await.unwrap();
            }
            Op::CloseLanded { settled, refunded } => {
                let landed = CloseLanded {
                    signature: [1; 64].into(),
                    settled: amount(settled.min(marks.deposit.get())),
                    refunded: amount(refunded),
                    slot: slot(0),
                };
                self.ledger.close_landed(&self.id, landed).await.unwrap();
            }
            Op::Purge { after } => {
                self.ledger.purge(START + after).await.unwrap();
            }
        }
    }

    /// What must hold after every step.
    async fn check(&self, before: &ChannelRecord) {
        let record = self.record().await;
        let (now, was) = (record.watermarks, before.watermarks);
        assert!(now.are_lawful(), "{now:?}");
        let rising: [fn(&Watermarks) -> u64; 4] = [
            |marks| marks.accepted.get(),
            |marks| marks.spent.get(),
            |marks| marks.settled.get(),
            |marks| marks.payout_watermark.get(),
        ];
        assert!(rising.iter().all(|of| of(&now) >= of(&was)), "{was:?} fell to {now:?}");
        // Seen to be paid out by nobody, it may come back once: not to serve, but to be settled.
        let vanished = before.state == ChannelState::Gone
            && before.refunded.is_none()
            && before.close_signature.is_none()
            && rank(record.state) >= rank(ChannelState::Closing);
        let onward = rank(record.state) >= rank(before.state);
        assert!(onward || vanished, "{} after {}", record.state, before.state);
        assert!(record.observed_slot >= before.observed_slot);
        let highest = self.ledger.highest_voucher(&self.id).await.unwrap();
        let promised = highest.map_or(amount(0), |signed| signed.voucher.cumulative_amount);
        assert!(now.spent <= promised, "{} spent on a promise of {promised}", now.spent);
        // Before any voucher expires, whatever is delivered and unsettled can be settled in full.
        let best = self.ledger.best_voucher_to_settle(&self.id, START).await.unwrap();
        if now.spent > now.settled {
            let best = best.expect("something is owed").voucher.cumulative_amount;
            assert!(best >= now.spent && best <= now.deposit, "{best} settles {now:?}");
        }
    }

    /// The lines of the accountants' log add up to the row.
    async fn check_journal(&self) {
        self.ledger.bring_journal_up_to_date().await.unwrap();
        let record = self.record().await;
        let account = self.ledger.accounts(None, 9).await.unwrap().pop().unwrap();
        let marks = record.watermarks;
        let signed = |amount: toll_protocol::Amount| i128::from(amount.get());
        let left = match (record.refunded, record.payer_withdrawn_at) {
            (Some(refunded), _) => signed(marks.deposit) - signed(marks.settled) - signed(refunded),
            (None, Some(_)) => signed(marks.settled) - signed(marks.payout_watermark),
            (None, None) => signed(marks.deposit) - signed(marks.payout_watermark),
        };
        assert_eq!(account.left(), left, "{record:?}");
        assert_eq!(i128::from(account.sum(EntryKind::Acceptance)), signed(marks.spent));
        let (lines, last) = self.ledger.journal_length().await.unwrap();
        assert_eq!(lines, last);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn watermark_law_holds_over_any_sequence(ops in proptest::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::with_deposit(DEPOSIT).await;
            for op in &ops {
                let before = world.record().await;
                world.apply(op).await;
                world.check(&before).await;
            }
            world.check_journal().await;
        });
    }
}
