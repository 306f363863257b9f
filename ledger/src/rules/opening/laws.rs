//! What holds of every open and top-up that is asked for.

use proptest::prelude::*;
use toll_protocol::Amount;

use super::{OpenAsked, open, top_up};
use crate::rules::fixture::{self, NOW, opening, submission};
use crate::rules::sponsorship::{OpensInMinute, Share};
use crate::{ChannelRecord, ChannelState, RecordedOpen, RecordedTopUp, Sponsor, Unsponsored};

/// Nobody has heard of it, and there is room.
fn fresh() -> OpenAsked {
    OpenAsked {
        challenge_used_by: None,
        same: None,
        known: None,
        is_archived: false,
        waiting: 0,
        most_waiting: 1,
        pays_rent: false,
        sponsor: None,
    }
}

fn asked() -> impl Strategy<Value = OpenAsked> {
    let number = || proptest::option::of((1i64..4).prop_map(submission));
    (number(), number(), any::<bool>(), any::<bool>(), 0usize..4, 1usize..4).prop_map(
        |(challenge_used_by, same, is_known, is_archived, waiting, most_waiting)| OpenAsked {
            challenge_used_by,
            same,
            known: is_known.then(opening),
            is_archived,
            waiting,
            most_waiting,
            ..fresh()
        },
    )
}

proptest! {
    #[test]
    fn a_challenge_buys_one_channel_and_an_address_serves_once(asked in asked()) {
        let verdict = open(asked.clone(), NOW);
        let is_new = asked.challenge_used_by.is_none() && asked.known.is_none() && !asked.is_archived;
        prop_assert_eq!(verdict.is_ok(), is_new && asked.waiting < asked.most_waiting);
        match verdict {
            Err(RecordedOpen::Existing(record, by)) => {
                prop_assert_eq!((asked.challenge_used_by, asked.same), (Some(by), Some(by)));
                prop_assert_eq!(asked.known.as_ref(), Some(&*record));
            }
            Err(RecordedOpen::ChallengeUsed) => prop_assert!(asked.challenge_used_by.is_some()),
            Err(RecordedOpen::ChannelExists) => {
                prop_assert!(asked.challenge_used_by.is_none());
                prop_assert!(asked.known.is_some() || asked.is_archived);
            }
            Err(RecordedOpen::Crowded) => prop_assert!(is_new),
            Err(other) => prop_assert!(false, "{other:?} without a sponsor"),
            Ok(()) => {}
        }
    }

    /// A lost answer can be asked for again, however crowded it is meanwhile and whatever the sponsor says now.
    #[test]
    fn a_repeat_finds_what_the_first_made(asked in asked(), number in 1i64..9) {
        let by = submission(number);
        let repeat = OpenAsked {
            challenge_used_by: Some(by),
            same: Some(by),
            known: Some(opening()),
            ..asked
        };
        prop_assert_eq!(open(repeat, NOW), Err(RecordedOpen::Existing(Box::new(opening()), by)));
    }

    #[test]
    fn only_an_open_channel_takes_a_top_up_and_takes_it_once(
        state in proptest::sample::select(ChannelState::ALL), same in proptest::option::of(1i64..9),
    ) {
        let record = ChannelRecord { state, ..fixture::open() };
        let same = same.map(submission);
        let expected = match (same, state) {
            (Some(same), _) => Err(RecordedTopUp::Existing(same)),
            (None, ChannelState::Open) => Ok(&record),
            (None, state) => Err(RecordedTopUp::NotOpen(state)),
        };
        prop_assert_eq!(top_up(Some(&record), same), expected);
        prop_assert_eq!(top_up(None, same), Err(RecordedTopUp::Unknown));
    }
}

#[test]
fn the_sponsor_is_asked_last() {
    let sponsor = Sponsor {
        opens: false,
        top_ups: true,
        vouchers: true,
        channels_per_payer: 1,
        minimum_top_up: Amount::ZERO,
        payer_budget: 0,
        open_charge: 1,
        opens_per_minute: None,
        published_at: NOW,
    };
    let share = Share { live: 0, charged: 0 };
    let refused = OpenAsked { sponsor: Some((sponsor, share, OpensInMinute::default())), ..fresh() };
    let unsponsored = Err(RecordedOpen::Unsponsored(Unsponsored::OutOfFunds));
    assert_eq!(open(refused.clone(), NOW), unsponsored);
    assert_eq!(open(OpenAsked { pays_rent: true, ..refused.clone() }, NOW), Ok(()));
    assert_eq!(open(OpenAsked { waiting: 1, ..refused.clone() }, NOW), Err(RecordedOpen::Crowded));
    assert_eq!(open(OpenAsked { is_archived: true, ..refused }, NOW), Err(RecordedOpen::ChannelExists));
}
