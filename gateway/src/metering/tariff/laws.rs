//! What holds of every price table.

use proptest::prelude::*;

use super::*;

fn rate() -> impl Strategy<Value = Rate> {
    let price = || prop_oneof![4 => 0u64..1_000, 1 => any::<u64>()];
    let tiers = proptest::collection::btree_map(1u64..3_000, price(), 0..4);
    (price(), 1u64..2_000, tiers).prop_map(|(price, per, tiers)| Rate {
        unit: Unit::Byte,
        price: Amount::new(price),
        per: NonZeroU64::new(per).expect("from one"),
        tiers: tiers.into_iter().map(|(above, price)| Tier { above, price: Amount::new(price) }).collect(),
    })
}

fn tariff() -> impl Strategy<Value = Tariff> {
    (0u64..1_000, proptest::collection::vec(rate(), 0..4), proptest::option::of(0u64..5_000))
        .prop_map(|(base, rates, cap)| Tariff { base: Amount::new(base), rates, cap: cap.map(Amount::new) })
}

fn used(bytes: u64) -> Usage {
    Usage { bytes, ..Usage::default() }
}

/// Unit by unit.
fn counted(rate: &Rate, units: u64) -> u128 {
    let price = |nth: u64| {
        let tier = rate.tiers.iter().rev().find(|tier| tier.above < nth);
        u128::from(tier.map_or(rate.price, |tier| tier.price).get())
    };
    (1..=units).map(price).sum()
}

proptest! {
    #[test]
    fn a_rate_is_exact_and_rounded_up_once(rate in rate(), units in 0u64..4_000) {
        let exact = counted(&rate, units);
        let per = u128::from(rate.per.get());
        let cost = u128::from(rate.cost(units).get());
        if cost < u128::from(u64::MAX) {
            prop_assert!(cost * per >= exact && (cost * per) - exact < per, "{cost} for {exact} / {per}");
        } else {
            prop_assert!(exact > (u128::from(u64::MAX) - 1) * per);
        }
    }

    #[test]
    fn using_more_costs_no_less_and_the_cap_holds(tariff in tariff(), less in any::<u64>(), more in any::<u64>()) {
        let (less, more) = (less.min(more), less.max(more));
        prop_assert!(tariff.cost(&used(less)) <= tariff.cost(&used(more)));
        if let Some(cap) = tariff.cap {
            prop_assert!(tariff.cost(&used(more)) <= cap);
            prop_assert_eq!(tariff.cost(&used(0)), tariff.base.min(cap));
        } else {
            prop_assert_eq!(tariff.cost(&used(0)), tariff.base);
        }
    }
}

#[test]
fn tokens_in_and_out_have_rates_of_their_own() {
    let per = NonZeroU64::new(1_000_000).expect("not zero");
    let rate = |price, unit| Rate { unit, price: Amount::new(price), per, tiers: Vec::new() };
    let (tokens_in, tokens_out) = (Unit::Field(vec!["in".into()]), Unit::Field(vec!["out".into()]));
    let tariff = Tariff {
        base: Amount::new(7),
        rates: vec![rate(150_000, tokens_in), rate(600_000, tokens_out)],
        cap: None,
    };
    let usage = |reported| Usage { reported, ..Usage::default() };
    assert_eq!(tariff.cost(&usage(vec![Some(1_000), Some(10)])), Amount::new(7 + 150 + 6));
    assert_eq!(tariff.cost(&usage(vec![Some(1), Some(1)])), Amount::new(7 + 1 + 1));
    assert_eq!(tariff.cost(&usage(vec![])), Amount::new(7));
    assert!(!tariff.is_complete(&usage(vec![Some(1), None])));
    assert!(tariff.is_complete(&usage(vec![Some(1), Some(0)])));
}
