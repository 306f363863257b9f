use proptest::prelude::*;
use solana_pubkey::Pubkey;
use toll_protocol::Amount;

use super::*;
use crate::Answer;

fn sponsor(top_ups: bool, payer_budget: u64) -> Sponsor {
    Sponsor {
        opens: true,
        top_ups,
        vouchers: true,
        channels_per_payer: 1,
        minimum_top_up: Amount::ZERO,
        payer_budget,
        open_charge: 1,
        opens_per_minute: None,
        published_at: 0,
    }
}

fn known(state: PaymentState) -> Payment {
    Payment {
        challenge_id: "a".to_owned(),
        state,
        message_digest: None,
        signature: None,
        submission: None,
        payer: None,
        recipient: Pubkey::default(),
        mint: Pubkey::default(),
        amount: Amount::new(1),
        terms: String::new(),
        fingerprint: [0; 32],
        challenge_expires_at: 0,
        failure: None,
        reason: None,
        landed_slot: None,
        answer: Answer::Unserved,
        created_at: 0,
    }
}

fn asked() -> impl Strategy<Value = PaymentAsked> {
    let state = prop::sample::select(PaymentState::ALL.to_vec());
    let paid = (any::<bool>(), 0u64..3, 0u64..3);
    (proptest::option::of(state), any::<bool>(), any::<bool>(), 0usize..3, proptest::option::of(paid))
        .prop_map(|(known_state, is_same, is_used, waiting, paid)| PaymentAsked {
            known: known_state.map(known),
            is_same,
            is_used,
            waiting,
            most_waiting: 2,
            sponsor: paid.map(|(pays, budget, charged)| (sponsor(pays, budget), charged)),
        })
}

proptest! {
    // A challenge that was answered, or a transaction that was shown before, never reserves a payment.
    #[test]
    fn nothing_pays_twice(asked in asked()) {
        if reserve(asked.clone()).is_ok() {
            prop_assert!(asked.known.is_none() && !asked.is_used);
            prop_assert!(asked.waiting < asked.most_waiting);
            if let Some((sponsor, charged)) = asked.sponsor {
                prop_assert!(sponsor.top_ups && charged < sponsor.payer_budget);
            }
        }
    }

    // A repeat learns what became of its first, whatever the sponsor or the queue say by now.
    #[test]
    fn a_repeat_is_known_whatever_has_changed(mut asked in asked()) {
        asked.known = Some(known(PaymentState::Failed));
        asked.is_same = true;
        prop_assert!(matches!(reserve(asked), Err(Reserved::Existing(_))));
    }
}

#[test]
fn only_what_may_have_been_sent_lands() {
    use PaymentFailure::{Expired, Refused, Unsponsored, Used};
    assert!(can_land(PaymentState::Reserved, None));
    assert!(can_land(PaymentState::Failed, Some(Expired)));
    for failure in [Refused, Unsponsored, Used] {
        assert!(!can_land(PaymentState::Failed, Some(failure)));
    }
    assert!(!can_land(PaymentState::Landed, None) && !can_land(PaymentState::Served, None));
}
