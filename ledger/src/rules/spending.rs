//! What a transaction of known fate has cost, and what of that counts against budgets.

use crate::{Hold, Spending, SpendingKind, Spent};

/// What is spent of what a transaction `held`, where `spent` is what it cost. It counts on the day of its hold, and what
/// was not held is not counted: whoever resolves a transaction twice finds nothing held the second time.
pub(crate) fn costs(held: &[Hold], spent: &[Spent]) -> Vec<Spending> {
    let cost = |hold: &Hold| {
        let part = spent.iter().find(|part| part.is_of(hold))?;
        Some(Spending {
            day: hold.day,
            kind: hold.kind,
            payer: hold.payer,
            transactions: 1,
            spent: part.spent,
            charged: part.charged,
        })
    };
    held.iter().filter_map(cost).collect()
}

/// What of `charged`, by kind and in lamports, was spent on what could have been left undone.
pub(crate) fn refusable(charged: &[(SpendingKind, u64)]) -> u64 {
    charged
        .iter()
        .filter(|(kind, _)| kind.is_refusable())
        .fold(0, |sum, (_, lamports)| sum.saturating_add(*lamports))
}

#[cfg(test)]
mod laws;
