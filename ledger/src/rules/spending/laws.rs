//! What holds of every transaction that is paid for.

use proptest::prelude::*;
use solana_pubkey::Pubkey;
use solana_signature::Signature;

use super::{costs, refusable};
use crate::{Hold, SpendingKind, Spent};

type Key = (SpendingKind, Option<Pubkey>);

fn key() -> impl Strategy<Value = Key> {
    let payer = proptest::option::of((1u8..3).prop_map(|byte| Pubkey::new_from_array([byte; 32])));
    (proptest::sample::select(SpendingKind::ALL), payer)
}

fn held() -> impl Strategy<Value = Vec<Hold>> {
    proptest::collection::btree_map(key(), (0i64..3, 0u64..100, 0u64..100), 0..6).prop_map(|held| {
        let hold = |((kind, payer), (day, lamports, charge))| Hold {
            signature: Signature::from([1; 64]),
            kind,
            payer,
            day,
            lamports,
            charge,
        };
        held.into_iter().map(hold).collect()
    })
}

fn spent() -> impl Strategy<Value = Vec<Spent>> {
    proptest::collection::btree_map(key(), (0u64..100, 0u64..100), 0..6).prop_map(|spent| {
        let part = |((kind, payer), (spent, charged))| Spent { kind, payer, spent, charged };
        spent.into_iter().map(part).collect()
    })
}

proptest! {
    #[test]
    fn what_was_held_and_cost_something_is_counted_once_on_its_day(held in held(), spent in spent()) {
        let costs = costs(&held, &spent);
        for hold in &held {
            let part = spent.iter().find(|part| (part.kind, part.payer) == (hold.kind, hold.payer));
            let counted: Vec<_> =
                costs.iter().filter(|cost| (cost.kind, cost.payer) == (hold.kind, hold.payer)).collect();
            prop_assert_eq!(counted.len(), usize::from(part.is_some()));
            for cost in counted {
                prop_assert_eq!((cost.day, cost.transactions), (hold.day, 1));
                prop_assert_eq!(part.map(|part| (part.spent, part.charged)), Some((cost.spent, cost.charged)));
            }
        }
        prop_assert!(costs.len() <= held.len(), "nothing is counted that was not held");
    }

    #[test]
    fn what_must_be_done_counts_against_no_budget(close in any::<u64>(), own in any::<u64>(), open in any::<u64>()) {
        let charged =
            [(SpendingKind::Close, close), (SpendingKind::Open, open), (SpendingKind::OwnAccount, own)];
        prop_assert_eq!(refusable(&charged), open);
        prop_assert_eq!(refusable(&[(SpendingKind::TopUp, 1), (SpendingKind::Open, u64::MAX)]), u64::MAX);
    }
}
