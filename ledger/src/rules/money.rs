//! Where a channel's money is by its row, and what has moved since that was entered in the journal.

use toll_protocol::Amount;

use crate::journal::EntryKind;
use crate::{ChannelState, Watermarks};

/// What a channel's row says of its money, in base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Money {
    /// Escrowed, less what a rearm refunded of it.
    pub(crate) deposit: i64,
    /// Charged for requests.
    pub(crate) charged: i64,
    /// Paid out to the payee's side.
    pub(crate) paid_out: i64,
    /// Refunded at the end.
    pub(crate) refunded: i64,
}

/// What moved, and how much; below zero where the chain took it back.
pub(crate) type Move = (EntryKind, i64);

impl Money {
    /// The money of a channel in `state`. `withdrawn`: its payer took its refund before the rest was paid out.
    pub(crate) fn of(
        state: ChannelState,
        marks: &Watermarks,
        withdrawn: bool,
        refunded: Option<Amount>,
    ) -> Self {
        if matches!(state, ChannelState::Opening | ChannelState::Failed) {
            // Nothing is escrowed before the chain shows it.
            return Self::default();
        }
        let signed = |amount: Amount| i64::try_from(amount.get()).unwrap_or(i64::MAX);
        let rest = marks.deposit.saturating_sub(marks.settled);
        Self {
            deposit: signed(marks.deposit),
            charged: signed(marks.spent),
            // Whoever empties a channel pays out all of `settled` and leaves the watermark as it was.
            paid_out: signed(if refunded.is_some() { marks.settled } else { marks.payout_watermark }),
            refunded: signed(refunded.unwrap_or(if withdrawn { rest } else { Amount::ZERO })),
        }
    }

    /// What moved between `self` and `now`.
    ///
    /// A deposit falls for two reasons: a rearm pays out and refunds the rest, and a fork takes a top-up back.
    pub(crate) fn moved_to(&self, now: &Self) -> Vec<Move> {
        let raised = now.deposit - self.deposit;
        let paid_out = now.paid_out - self.paid_out;
        let rearmed = if raised < 0 && paid_out > 0 { -raised } else { 0 };
        let moves = [
            (EntryKind::Deposit, raised + rearmed),
            (EntryKind::Acceptance, now.charged - self.charged),
            (EntryKind::Payout, paid_out),
            (EntryKind::Refund, rearmed),
            (EntryKind::Refund, now.refunded - self.refunded),
        ];
        moves.into_iter().filter(|(_, amount)| *amount != 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money() -> impl Strategy<Value = Money> {
        let amount = || 0..=i64::MAX / 4;
        (amount(), amount(), amount(), amount()).prop_map(|(deposit, charged, paid_out, refunded)| Money {
            deposit,
            charged,
            paid_out,
            refunded,
        })
    }

    fn sum(moves: &[Move], of: EntryKind) -> i64 {
        moves.iter().filter(|(kind, _)| *kind == of).map(|(_, amount)| amount).sum()
    }

    proptest! {
        #[test]
        fn what_moved_leads_from_one_row_to_the_next(steps in proptest::collection::vec(money(), 1..6)) {
            let (mut at, mut moves) = (Money::default(), Vec::new());
            for now in &steps {
                moves.extend(at.moved_to(now));
                at = *now;
            }
            prop_assert_eq!(sum(&moves, EntryKind::Acceptance), at.charged);
            prop_assert_eq!(sum(&moves, EntryKind::Payout), at.paid_out);
            let kept = sum(&moves, EntryKind::Deposit) - sum(&moves, EntryKind::Refund);
            prop_assert_eq!(kept, at.deposit - at.refunded);
            prop_assert!(at.moved_to(&at).is_empty());
        }
    }

    #[test]
    fn a_deposit_that_falls_with_a_payout_was_refunded_and_one_that_falls_alone_was_never_there() {
        let open = Money { deposit: 1_000, charged: 300, ..Money::default() };
        let rearmed = Money { deposit: 300, paid_out: 300, ..open };
        assert_eq!(open.moved_to(&rearmed), [(EntryKind::Payout, 300), (EntryKind::Refund, 700)]);
        let lost = Money { deposit: 400, ..open };
        assert_eq!(open.moved_to(&lost), [(EntryKind::Deposit, -600)]);
    }

    #[test]
    fn nothing_is_escrowed_before_it_is_seen_and_an_end_pays_out_all_that_is_settled() {
        let marks = Watermarks {
            deposit: Amount::new(1_000),
            accepted: Amount::new(400),
            spent: Amount::new(400),
            earmarked: Amount::ZERO,
            settled: Amount::new(400),
            payout_watermark: Amount::new(100),
        };
        for state in [ChannelState::Opening, ChannelState::Failed] {
            assert_eq!(Money::of(state, &marks, false, None), Money::default());
        }
        let open = Money::of(ChannelState::Open, &marks, false, None);
        assert_eq!((open.paid_out, open.refunded), (100, 0));
        let withdrawn = Money::of(ChannelState::Closing, &marks, true, None);
        assert_eq!((withdrawn.paid_out, withdrawn.refunded), (100, 600));
        let closed = Money::of(ChannelState::Closed, &marks, true, Some(Amount::new(600)));
        assert_eq!((closed.paid_out, closed.refunded), (400, 600));
    }
}
