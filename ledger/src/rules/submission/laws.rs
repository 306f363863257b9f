//! What holds however often and in whatever order a submission is signed, lands and is given up.

use proptest::prelude::*;
use solana_signature::Signature;

use super::{Signing, can_be_given_up, can_land, sign};
use crate::SubmissionState;
use crate::SubmissionState::{Expired, Failed, Landed, Recorded, Requested};
use crate::rules::fixture::submission;

#[derive(Clone, Copy, Debug)]
enum Event {
    Sign(u8),
    Land,
    Fail,
    Expire,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![(1u8..4).prop_map(Event::Sign), Just(Event::Land), Just(Event::Fail), Just(Event::Expire)]
}

/// A submission as the ledger has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    state: SubmissionState,
    signature: Option<Signature>,
}

impl Row {
    fn after(self, event: Event) -> Self {
        match event {
            Event::Sign(byte) => {
                let signature = Signature::from([byte; 64]);
                let elsewhere = (self.signature == Some(signature)).then(|| submission(1));
                match sign(self.state, self.signature, signature, elsewhere) {
                    Signing::Record => Self { state: Recorded, signature: Some(signature) },
                    Signing::Done | Signing::GoneOn(_) | Signing::Same(_) => self,
                }
            }
            Event::Land if can_land(self.state) => Self { state: Landed, ..self },
            Event::Fail if can_be_given_up(self.state) => Self { state: Failed, ..self },
            Event::Expire if can_be_given_up(self.state) => Self { state: Expired, ..self },
            Event::Land | Event::Fail | Event::Expire => self,
        }
    }
}

proptest! {
    #[test]
    fn a_submission_only_goes_on_and_is_signed_once(events in proptest::collection::vec(event(), 1..30)) {
        let mut row = Row { state: Requested, signature: None };
        for event in events {
            let was = row;
            row = row.after(event);
            let may = match (was.state, row.state) {
                (Requested, Recorded | Failed | Expired) | (Recorded, Landed | Failed | Expired) => true,
                // The chain has the last word.
                (Expired, Landed) => true,
                (was, now) => was == now,
            };
            prop_assert!(may, "{was:?} to {row:?} by {event:?}");
            if let Some(signature) = was.signature {
                prop_assert_eq!(row.signature, Some(signature), "what may have been sent is not signed anew");
            }
            prop_assert_eq!(row, row.after(event).after(event), "repeats change nothing");
        }
    }
}

#[test]
fn one_transaction_is_never_on_record_twice() {
    let (this, other) = (Signature::from([1; 64]), Signature::from([2; 64]));
    let elsewhere = Some(submission(7));
    assert_eq!(sign(Requested, None, this, elsewhere), Signing::Same(submission(7)));
    assert_eq!(sign(Requested, None, this, None), Signing::Record);
    assert_eq!(sign(Recorded, Some(this), this, elsewhere), Signing::Done);
    assert_eq!(sign(Recorded, Some(other), this, None), Signing::GoneOn(Recorded));
    for state in [Landed, Failed, Expired] {
        assert_eq!(sign(state, Some(this), this, elsewhere), Signing::GoneOn(state), "{state}");
    }
}

#[test]
fn what_may_have_been_sent_can_land_and_what_has_not_ended_can_be_given_up() {
    for (state, lands, is_given_up) in [
        (Requested, false, true),
        (Recorded, true, true),
        (Landed, false, false),
        (Failed, false, false),
        (Expired, true, false),
    ] {
        assert_eq!((can_land(state), can_be_given_up(state)), (lands, is_given_up), "{state}");
    }
}
