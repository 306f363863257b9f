//! What holds of every request whose price is known only when it is served.

use proptest::prelude::*;
use toll_protocol::Amount;

use super::{Earmark, set_aside, settle, widen};
use crate::Watermarks;
use crate::rules::acceptance::Raise;

/// What may happen to the earmarks of a channel.
#[derive(Clone, Debug)]
enum Step {
    Raise(u64),
    SetAside(u64),
    Widen(prop::sample::Index, u64, u64),
    Settle(prop::sample::Index, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (0u64..50).prop_map(Step::Raise),
        (0u64..50).prop_map(Step::SetAside),
        (index(), 0u64..90, 0u64..90).prop_map(|(which, least, most)| Step::Widen(which, least, most)),
        (index(), 0u64..90).prop_map(|(which, used)| Step::Settle(which, used)),
    ]
}

proptest! {
    #[test]
    fn whatever_is_served_at_once_is_covered_and_charged_once(steps in proptest::collection::vec(step(), 0..60)) {
        let mut marks = Watermarks { deposit: Amount::new(u64::MAX), ..Watermarks::default() };
        let mut earmarks: Vec<Earmark> = Vec::new();
        let mut charged = 0;
        for step in steps {
            let was = marks;
            match step {
                Step::Raise(by) => marks.accepted = Amount::new(marks.accepted.get() + by),
                Step::SetAside(cost) if Amount::new(cost) <= marks.available() => {
                    let raise = Raise { from: marks, to: marks, active_at: None };
                    marks = set_aside(&raise, Amount::new(cost)).to;
                    earmarks.push(Earmark { amount: Amount::new(cost), delivered: Amount::ZERO });
                }
                Step::SetAside(_) => {}
                Step::Widen(which, least, most) if !earmarks.is_empty() => {
                    let at = which.index(earmarks.len());
                    let grown = widen(&marks, &earmarks[at], Amount::new(least), Amount::new(most));
                    if let Some(by) = grown {
                        earmarks[at].amount = Amount::new(earmarks[at].amount.get() + by.get());
                        marks.earmarked = Amount::new(marks.earmarked.get() + by.get());
                        prop_assert!(earmarks[at].amount.get() >= least);
                    } else {
                        prop_assert!(least - earmarks[at].amount.get() > was.available().get());
                    }
                }
                Step::Settle(which, used) if !earmarks.is_empty() => {
                    let earmark = earmarks.swap_remove(which.index(earmarks.len()));
                    let (after, cost) = settle(&marks, &earmark, Amount::new(used));
                    prop_assert_eq!(cost.get(), used.min(earmark.amount.get()));
                    charged += cost.get();
                    marks = after;
                }
                Step::Widen(..) | Step::Settle(..) => {}
            }
            prop_assert!(marks.are_lawful(), "{marks:?}");
            prop_assert!(marks.spent >= was.spent && marks.accepted >= was.accepted);
            prop_assert_eq!(marks.spent.get(), charged);
            prop_assert_eq!(marks.earmarked.get(), earmarks.iter().map(|each| each.amount.get()).sum::<u64>());
        }
    }
}
