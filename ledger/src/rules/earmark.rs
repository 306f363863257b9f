//! What is set aside for a request until its price is known.

use toll_protocol::Amount;

use super::acceptance::Raise;
use crate::Watermarks;

/// What is set aside for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Earmark {
    pub(crate) amount: Amount,
    /// What of it has been delivered for.
    pub(crate) delivered: Amount,
}

/// A raise that was decided as if `cost` were charged, with `cost` set aside instead.
pub(crate) fn set_aside(raise: &Raise, cost: Amount) -> Raise {
    let Watermarks { spent, earmarked, .. } = raise.from;
    // Cannot overflow: the sum with what is spent was found to be at most the cumulative amount.
    let earmarked = Amount::new(earmarked.get() + cost.get());
    Raise { to: Watermarks { spent, earmarked, ..raise.to }, ..*raise }
}

/// By how much an earmark grows that is to cover `least`, and `most` where there is so much: out of what is authorized
/// and free. `None` where that does not cover `least`.
pub(crate) fn widen(known: &Watermarks, earmark: &Earmark, least: Amount, most: Amount) -> Option<Amount> {
    let needed = least.saturating_sub(earmark.amount);
    let wanted = most.max(least).saturating_sub(earmark.amount);
    let free = known.available();
    (needed <= free).then(|| wanted.min(free))
}

/// The amounts after the request has cost `used`, never more than was set aside; the rest is free again. With it what
/// was charged.
pub(crate) fn settle(known: &Watermarks, earmark: &Earmark, used: Amount) -> (Watermarks, Amount) {
    let charged = used.min(earmark.amount);
    let spent = Amount::new(known.spent.get().saturating_add(charged.get()));
    let earmarked = known.earmarked.saturating_sub(earmark.amount);
    (Watermarks { spent, earmarked, ..*known }, charged)
}

#[cfg(test)]
mod laws;
