//! A channel's amounts and the law between them.

use toll_protocol::Amount;

/// Where a channel's amounts stand.
///
/// The law: `payout_watermark ≤ settled ≤ accepted ≤ deposit` and `spent + earmarked ≤ accepted`. The database checks
/// it on every write. All but two only ever rise: the deposit goes by the chain, where `rearm` lowers it, and what is
/// earmarked becomes spent or is free again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// Tokens escrowed, the ceiling.
    pub deposit: Amount,
    /// Highest cumulative amount a stored voucher, or the chain, has shown.
    pub accepted: Amount,
    /// Charged for delivered service.
    pub spent: Amount,
    /// Set aside for requests that are being served and whose price is not known yet.
    pub earmarked: Amount,
    /// What the chain calls settled.
    pub settled: Amount,
    /// The part of `settled` that the chain has paid out.
    pub payout_watermark: Amount,
}

impl Watermarks {
    /// Whether the law holds.
    pub fn are_lawful(&self) -> bool {
        self.payout_watermark <= self.settled
            && self.settled <= self.accepted
            && self.accepted <= self.deposit
            && u128::from(self.spent.get()) + u128::from(self.earmarked.get())
                <= u128::from(self.accepted.get())
    }

    /// Delivered but not yet settled. Nothing when settling took unspent headroom along, so never decide
    /// anything by this alone.
    pub fn unsettled(&self) -> Amount {
        self.spent.saturating_sub(self.settled)
    }

    /// What is charged and what may be: nothing of it buys anything else.
    pub fn committed(&self) -> Amount {
        Amount::new(self.spent.get().saturating_add(self.earmarked.get()))
    }

    /// Authorized, and neither spent nor set aside.
    pub fn available(&self) -> Amount {
        self.accepted.saturating_sub(self.committed())
    }

    /// The smallest cumulative amount that pays for `cost`: above what is committed, and above the accepted
    /// watermark by `min_delta` (at least 1) unless it reaches the deposit exactly.
    ///
    /// A result above `deposit` means that only a top-up helps. Saturates at u64's maximum.
    pub fn required(&self, cost: Amount, min_delta: Amount) -> Amount {
        let paid = self.committed().get().saturating_add(cost.get());
        let raised = self.accepted.get().saturating_add(min_delta.get().max(1));
        // A voucher for the whole deposit need not rise by the minimum delta.
        let whole = self.deposit.get();
        let raised = if self.accepted < self.deposit { raised.min(whole) } else { raised };
        Amount::new(paid.max(raised))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermarks(deposit: u64, accepted: u64, spent: u64) -> Watermarks {
        Watermarks {
            deposit: Amount::new(deposit),
            accepted: Amount::new(accepted),
            spent: Amount::new(spent),
            ..Watermarks::default()
        }
    }

    fn required(marks: Watermarks, cost: u64, min_delta: u64) -> u64 {
        marks.required(Amount::new(cost), Amount::new(min_delta)).get()
    }

    #[test]
    fn required_covers_the_cost_and_the_minimum_delta() {
        assert_eq!(required(watermarks(1_000, 100, 100), 16, 0), 116);
        assert_eq!(required(watermarks(1_000, 100, 100), 16, 50), 150);
        assert_eq!(required(watermarks(1_000, 100, 40), 16, 0), 101);
        assert_eq!(required(watermarks(1_000, 100, 100), 0, 0), 101);
    }

    #[test]
    fn required_drops_the_minimum_delta_at_the_deposit() {
        assert_eq!(required(watermarks(1_000, 980, 980), 10, 50), 1_000);
        assert_eq!(required(watermarks(1_000, 980, 980), 30, 50), 1_010);
        assert_eq!(required(watermarks(1_000, 1_000, 1_000), 0, 0), 1_001);
    }

    #[test]
    fn required_saturates() {
        assert_eq!(required(watermarks(1_000, 1, 1), u64::MAX, 0), u64::MAX);
    }

    #[test]
    fn unsettled_is_nothing_once_headroom_is_settled() {
        let marks = Watermarks { settled: Amount::new(90), ..watermarks(100, 90, 60) };
        assert_eq!(marks.unsettled(), Amount::ZERO);
        assert_eq!(marks.available(), Amount::new(30));
    }
}
