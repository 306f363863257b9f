//! What holds of every sponsor, however many come to it.

use proptest::prelude::*;
use toll_protocol::Amount;

use super::{OpensInMinute, Share, lets_open, pays_for_opens};
use crate::rules::fixture::NOW;
use crate::{RecordedOpen, Sponsor, Unsponsored};

fn generous() -> Sponsor {
    Sponsor {
        opens: true,
        top_ups: true,
        vouchers: true,
        channels_per_payer: 4,
        minimum_top_up: Amount::ZERO,
        payer_budget: 100_000,
        open_charge: 25_000,
        opens_per_minute: Some(3),
        published_at: NOW,
    }
}

const NEWCOMER: Share = Share { live: 0, charged: 0 };
const NONE: OpensInMinute = OpensInMinute { minute: 0, opens: 0 };

proptest! {
    /// However opens come and are given back, no minute pays for more than its limit.
    #[test]
    fn no_minute_pays_for_more_opens_than_it_may(
        asks in proptest::collection::vec((0i64..40, any::<bool>()), 1..60), limit in 1u64..5,
    ) {
        let sponsor = Sponsor { opens_per_minute: Some(limit), ..generous() };
        let (mut opened, mut now) = (OpensInMinute::default(), NOW);
        let mut paid: Vec<i64> = Vec::new();
        for (later, costs_nothing) in asks {
            now += later;
            let mut paid_at = paid.iter().filter(|at| at.div_euclid(60) == now.div_euclid(60)).count() as u64;
            prop_assert_eq!(opened.at(now), paid_at);
            let pays = pays_for_opens(&sponsor, opened, now);
            prop_assert_eq!(pays, if paid_at < limit { Ok(()) } else { Err(Unsponsored::TooManyOpens) });
            if pays.is_ok() {
                opened = opened.counted(now);
                paid.push(now);
                paid_at += 1;
            }
            prop_assert!(paid_at <= limit);
            if costs_nothing && let Some(at) = paid.pop() {
                opened = opened.given_back(at);
                // One of an earlier minute is not counted any more.
            }
        }
    }

    #[test]
    fn no_payer_has_more_channels_or_costs_more_in_a_day_than_it_may(
        most in 1u64..6, budget in 0u64..200_000, charge in 1u64..60_000, pays_rent: bool,
    ) {
        let sponsor = Sponsor {
            channels_per_payer: most,
            payer_budget: budget,
            open_charge: charge,
            opens_per_minute: None,
            ..generous()
        };
        let mut share = NEWCOMER;
        let refusal = loop {
            match lets_open(&sponsor, share, NONE, pays_rent, NOW) {
                Ok(()) => {
                    share.live += 1;
                    share.charged += if pays_rent { 0 } else { charge };
                }
                Err(refusal) => break refusal,
            }
            prop_assert!(share.live <= most && share.charged <= budget);
        };
        let affordable = budget / charge;
        let expected = if pays_rent || affordable >= most {
            RecordedOpen::TooManyChannels { live: most }
        } else {
            prop_assert_eq!(share.live, affordable, "the budget is used to the last channel it buys");
            RecordedOpen::Unsponsored(Unsponsored::PayerBudget)
        };
        prop_assert_eq!(refusal, expected);
    }
}

#[test]
fn a_payer_of_its_own_rent_needs_no_sponsor_but_for_its_close() {
    let broke = Sponsor { opens: false, payer_budget: 0, ..generous() };
    let full = OpensInMinute::default().counted(NOW).counted(NOW).counted(NOW);
    assert_eq!(lets_open(&broke, NEWCOMER, full, true, NOW), Ok(()));
    let many = Share { live: 4, ..NEWCOMER };
    assert_eq!(lets_open(&broke, many, full, true, NOW), Err(RecordedOpen::TooManyChannels { live: 4 }));
}

#[test]
fn a_sponsor_that_is_out_of_funds_says_so_first() {
    let broke = Sponsor { opens: false, payer_budget: 0, ..generous() };
    let full = OpensInMinute::default().counted(NOW).counted(NOW).counted(NOW);
    let refused = Err(RecordedOpen::Unsponsored(Unsponsored::OutOfFunds));
    assert_eq!(lets_open(&broke, NEWCOMER, full, false, NOW), refused);
    let refused = Err(RecordedOpen::Unsponsored(Unsponsored::TooManyOpens));
    assert_eq!(lets_open(&generous(), NEWCOMER, full, false, NOW), refused);
    assert_eq!(lets_open(&generous(), NEWCOMER, full, false, NOW + 60), Ok(()));
}

#[test]
fn a_place_is_given_back_in_its_own_minute_only() {
    let opened = NONE.counted(NOW);
    assert_eq!(opened.given_back(NOW - 60), opened);
    assert_eq!(opened.given_back(NOW).at(NOW), 0);
    assert_eq!(opened.given_back(NOW).given_back(NOW).at(NOW), 0, "never below nothing");
}

#[test]
fn a_payers_budget_is_spent_to_the_last_lamport() {
    let sponsor = Sponsor { opens_per_minute: None, ..generous() };
    for (charged, expected) in
        [(75_000, Ok(())), (75_001, Err(RecordedOpen::Unsponsored(Unsponsored::PayerBudget)))]
    {
        assert_eq!(lets_open(&sponsor, Share { live: 0, charged }, NONE, false, NOW), expected, "{charged}");
    }
}
