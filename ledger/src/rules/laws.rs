//! What holds however many vouchers come in, in whatever order.

use std::collections::HashMap;

use proptest::prelude::*;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::{Amount, ChannelId, SignedVoucher, Voucher};

use super::acceptance::{Earlier, Raise, Standing, Verdict, decide};
use super::retention::retain;
use crate::acceptance::{Acceptance, Charge};
use crate::answer::Answer;
use crate::replay::{Replay, ReplayKey};
use crate::{ChannelState, Watermarks};

const SIGNER: Pubkey = Pubkey::new_from_array([7; 32]);
const CHANNEL: ChannelId = ChannelId::new([1; 32]);

/// A channel and everything that was charged to it, as a ledger would keep it.
#[derive(Clone, Debug)]
struct Books {
    standing: Standing,
    charged: HashMap<[u8; 32], Earlier>,
    vouchers: Vec<SignedVoucher>,
    served: Vec<u64>,
}

/// A voucher and what it is to pay for.
#[derive(Clone, Debug)]
struct Ask {
    cumulative: u64,
    expires_at: i64,
    cost: u64,
    headroom: u64,
    min_delta: u64,
    request: u8,
    fingerprint: u8,
    funded: bool,
}

fn standing() -> impl Strategy<Value = Standing> {
    // Mostly small numbers, where edges meet; sometimes the whole range.
    let top = prop_oneof![4 => 0u64..400, 1 => any::<u64>()];
    (proptest::collection::vec(top, 4), any::<prop::sample::Index>(), 0u64..40).prop_map(
        |(mut amounts, spent, sent)| {
            amounts.sort_unstable();
            let [payout, settled, accepted, deposit] = [amounts[0], amounts[1], amounts[2], amounts[3]];
            let spent =
                if accepted == u64::MAX { accepted } else { spent.index(accepted as usize + 1) as u64 };
            Standing {
                state: ChannelState::Open,
                closure_started_at: None,
                authorized_signer: SIGNER,
                idle_timeout: 600,
                watermarks: Watermarks {
                    deposit: Amount::new(deposit),
                    accepted: Amount::new(accepted),
                    spent: Amount::new(spent),
                    earmarked: Amount::new((accepted - spent) / 3),
                    settled: Amount::new(settled),
                    payout_watermark: Amount::new(payout),
                },
                sent: Amount::new(sent.min(accepted)),
            }
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    let amount = || prop_oneof![6 => 0u64..60, 1 => any::<u64>()];
    (
        prop_oneof![6 => 0u64..500, 1 => any::<u64>()],
        prop_oneof![2 => Just(0i64), 1 => any::<i64>()],
        (amount(), amount(), amount()),
        (0u8..12, 0u8..3),
        prop::bool::weighted(0.95),
    )
        .prop_map(
            |(cumulative, expires_at, (cost, headroom, min_delta), (request, fingerprint), funded)| Ask {
                cumulative,
                expires_at,
                cost,
                headroom,
                min_delta,
                request,
                fingerprint,
                funded,
            },
        )
}

impl Ask {
    fn signed(&self) -> SignedVoucher {
        SignedVoucher {
            voucher: Voucher {
                channel_id: CHANNEL,
                cumulative_amount: Amount::new(self.cumulative),
                expires_at: self.expires_at,
            },
            signer: SIGNER,
            signature: Signature::default(),
        }
    }

    fn charge(&self) -> Charge {
        Charge {
            cost: Amount::new(self.cost),
            headroom: Amount::new(self.headroom),
            min_delta: Amount::new(self.min_delta),
            challenge_id: String::new(),
            replay: ReplayKey { key: [self.request; 32], fingerprint: [self.fingerprint; 32] },
            is_of_voucher: false,
        }
    }

    /// The rule for the amounts, said once more and differently.
    fn pays_on(&self, marks: &Watermarks) -> bool {
        let wide = |amount: u64| u128::from(amount);
        let (accepted, deposit) = (wide(marks.accepted.get()), wide(marks.deposit.get()));
        let floor =
            (wide(marks.spent.get()) + wide(marks.earmarked.get()) + wide(self.cost)).max(accepted + 1);
        let ceiling = (accepted + wide(self.cost) + wide(self.headroom)).min(deposit);
        let offered = wide(self.cumulative);
        let rises = offered >= accepted + wide(self.min_delta) || offered == deposit;
        floor <= offered && offered <= ceiling && rises
    }
}

impl Books {
    fn new(standing: Standing) -> Self {
        Self { standing, charged: HashMap::new(), vouchers: Vec::new(), served: Vec::new() }
    }

    fn ask(&mut self, ask: &Ask) -> Verdict {
        let (signed, charge) = (ask.signed(), ask.charge());
        let earlier = self.charged.get(&charge.replay.key).cloned();
        let verdict = decide(Some(&self.standing), &signed, &charge, earlier, ask.funded, 1);
        if let Verdict::Raise(raise) = &verdict {
            self.carry_out(raise, signed, &charge);
        }
        verdict
    }

    fn carry_out(&mut self, raise: &Raise, signed: SignedVoucher, charge: &Charge) {
        assert_eq!(raise.from, self.standing.watermarks);
        self.standing = self.standing.after(raise);
        self.served.push(signed.voucher.cumulative_amount.get());
        self.vouchers.push(signed);
        retain(&mut self.vouchers, |signed| &signed.voucher, raise.to.spent);
        let replay = Replay {
            channel: CHANNEL,
            challenge_id: String::new(),
            cost: charge.cost,
            accepted: raise.to.accepted,
            spent: raise.to.spent,
            accepted_at: 1,
            answer: Answer::Unserved,
        };
        self.charged.insert(charge.replay.key, Earlier { replay, fingerprint: charge.replay.fingerprint });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn amounts_stay_lawful_and_only_accepted_and_spent_rise(
        standing in standing(),
        asks in proptest::collection::vec(ask(), 1..40),
    ) {
        let mut books = Books::new(standing);
        for ask in &asks {
            let before = books.standing;
            let was = before.watermarks;
            let verdict = books.ask(ask);
            let now = books.standing.watermarks;
            prop_assert!(now.are_lawful(), "{:?} after {:?}", now, ask);
            match verdict {
                Verdict::Raise(_) => {
                    prop_assert!(ask.pays_on(&was));
                    prop_assert!(now.accepted > was.accepted);
                    prop_assert_eq!(now.accepted.get(), ask.cumulative);
                    prop_assert_eq!(now.spent.get(), was.spent.get() + ask.cost);
                    prop_assert_eq!(Watermarks { accepted: was.accepted, spent: was.spent, ..now }, was);
                }
                Verdict::Refuse(_) | Verdict::ForeignSigner => prop_assert_eq!(books.standing, before),
            }
        }
    }

    #[test]
    fn what_pays_is_never_refused_but_for_a_reason_outside_the_amounts(standing in standing(), ask in ask()) {
        let mut books = Books::new(standing);
        let published = !standing.watermarks.settled.max(standing.sent).is_zero()
            && ask.cumulative <= standing.watermarks.settled.max(standing.sent).get();
        let expected = ask.pays_on(&standing.watermarks) && ask.funded && !published;
        let raised = matches!(books.ask(&ask), Verdict::Raise(_));
        prop_assert_eq!(raised, expected);
    }

    #[test]
    fn no_voucher_is_served_twice_and_no_request_charged_twice(
        standing in standing(),
        asks in proptest::collection::vec(ask(), 1..40),
    ) {
        let mut books = Books::new(standing);
        let mut charges = 0;
        for ask in asks.iter().chain(&asks).chain(asks.iter().rev()) {
            let known = books.charged.contains_key(&[ask.request; 32]);
            if matches!(books.ask(ask), Verdict::Raise(_)) {
                prop_assert!(!known, "a request is charged twice");
                charges += 1;
            }
        }
        let mut served = books.served.clone();
        served.dedup();
        prop_assert!(served.is_sorted());
        prop_assert_eq!(served.len(), charges, "one voucher is served twice");
    }

    #[test]
    fn a_refusal_names_what_would_do(standing in standing(), ask in ask()) {
        let mut books = Books::new(standing);
        let verdict = books.ask(&ask);
        let deposit = standing.watermarks.deposit;
        match verdict {
            Verdict::Refuse(
                Acceptance::Insufficient { required, .. } | Acceptance::DeltaTooSmall { required, .. },
            ) if required <= deposit => {
                // With enough headroom for the minimum delta, as every charge has.
                let headroom = ask.headroom.max(ask.min_delta.max(1).saturating_sub(ask.cost));
                let again = Ask { cumulative: required.get(), headroom, request: 200, ..ask };
                prop_assert!(matches!(books.ask(&again), Verdict::Raise(_)), "{:?}", again);
            }
            Verdict::Refuse(Acceptance::Excessive { allowed, .. }) => {
                prop_assert!(allowed.get() < ask.cumulative);
            }
            _ => {}
        }
    }

    /// However what was charged is repeated, and wherever among the rest, the same is charged and served.
    #[test]
    fn the_order_of_duplicates_does_not_matter(
        standing in standing(),
        asks in proptest::collection::vec(ask(), 1..20),
        repeats in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40),
    ) {
        let mut once = Books::new(standing);
        let charged: Vec<usize> =
            (0..asks.len()).filter(|at| matches!(once.ask(&asks[*at]), Verdict::Raise(_))).collect();
        let mut sequence: Vec<usize> = (0..asks.len()).collect();
        for (which, place) in repeats.iter().filter(|_| !charged.is_empty()) {
            let which = charged[which.index(charged.len())];
            let first = sequence.iter().position(|at| *at == which).expect("every ask is there");
            sequence.insert(first + 1 + place.index(sequence.len() - first), which);
        }
        let mut often = Books::new(standing);
        for at in sequence {
            often.ask(&asks[at]);
        }
        prop_assert_eq!(once.standing, often.standing);
        prop_assert_eq!(once.served, often.served);
        prop_assert_eq!(once.vouchers, often.vouchers);
    }

    /// What is delivered can be settled by a voucher that is kept, whatever was dropped.
    #[test]
    fn a_voucher_that_covers_what_is_spent_is_kept(
        standing in standing(),
        asks in proptest::collection::vec(ask(), 1..40),
    ) {
        let mut books = Books::new(standing);
        let mut everlasting = None;
        for ask in &asks {
            let raised = matches!(books.ask(ask), Verdict::Raise(_));
            if !raised {
                continue;
            }
            if ask.expires_at == 0 {
                everlasting = Some(ask.cumulative);
            }
            let spent = books.standing.watermarks.spent;
            prop_assert!(books.vouchers.iter().any(|kept| kept.voucher.cumulative_amount >= spent));
            let kept = books.vouchers.iter().filter(|kept| kept.voucher.expires_at == 0);
            prop_assert_eq!(kept.map(|kept| kept.voucher.cumulative_amount.get()).max(), everlasting);
        }
    }

    /// Nothing is kept that no settlement could want, and nothing dropped that one could.
    #[test]
    fn kept_is_what_covers_the_spent_and_the_best_that_never_expires(
        vouchers in proptest::collection::vec((0u64..40, any::<bool>()), 0..12), spent in 0u64..40,
    ) {
        let all: Vec<Voucher> = vouchers
            .into_iter()
            .map(|(cumulative, lasts)| Voucher {
                channel_id: CHANNEL,
                cumulative_amount: Amount::new(cumulative),
                expires_at: if lasts { 0 } else { 9 },
            })
            .collect();
        let best = all.iter().filter(|voucher| voucher.expires_at == 0).map(|voucher| voucher.cumulative_amount).max();
        let mut kept = all.clone();
        retain(&mut kept, |voucher| voucher, Amount::new(spent));
        let wanted = |voucher: &&Voucher| {
            voucher.cumulative_amount.get() >= spent
                || voucher.expires_at == 0 && Some(voucher.cumulative_amount) == best
        };
        prop_assert_eq!(kept, all.iter().filter(wanted).copied().collect::<Vec<_>>());
    }
}
