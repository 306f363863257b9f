//! What each attack cost whom.

use std::fmt;

/// One attack.
pub struct Row {
    pub attack: &'static str,
    /// What the attacker asked of the sponsor, and what it got.
    pub asked: u64,
    pub granted: u64,
    /// Base units that the attacker had to have.
    pub risked: u64,
    /// Base units that it paid for good.
    pub paid: u64,
    /// Lamports that never come back to the sponsor.
    pub lost: u64,
    /// The most that it may lose by its settings.
    pub bound: u64,
}

#[derive(Default)]
pub struct Report(Vec<Row>);

impl Report {
    pub fn add(&mut self, row: Row) {
        let Row { attack, lost, bound, .. } = &row;
        assert!(lost <= bound, "{attack}: lost {lost} lamports, above {bound}");
        self.0.push(row);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<44} {:>6} {:>8} {:>11} {:>9} {:>11} {:>11} {:>17}",
            "attack",
            "asked",
            "granted",
            "risked (bu)",
            "paid (bu)",
            "lost (lam)",
            "bound (lam)",
            "lam per bu risked"
        )?;
        for row in &self.0 {
            let Row { attack, asked, granted, risked, paid, lost, bound } = row;
            let thousandths = (lost * 1_000).checked_div(*risked).unwrap_or(0);
            let ratio = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
            writeln!(
                f,
                "{attack:<44} {asked:>6} {granted:>8} {risked:>11} {paid:>9} {lost:>11} {bound:>11} {ratio:>17}"
            )?;
        }
        Ok(())
    }
}
