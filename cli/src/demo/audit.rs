//! Whether the figures add up.

use super::{Balances, FUNDS, PRICE, Report};

/// One thing that must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What must be so.
    pub claim: &'static str,
    /// What it should be.
    pub expected: i128,
    /// What it is.
    pub found: i128,
}

impl Check {
    /// Whether it is so.
    pub fn holds(&self) -> bool {
        self.expected == self.found
    }
}

/// What the report does not show and the checks need.
pub(super) struct Facts {
    pub(super) before: Balances,
    pub(super) after: Balances,
    /// Whether the channel account is gone.
    pub(super) reclaimed: bool,
    /// Whether the channel account said that everything was paid out.
    pub(super) distributed: bool,
}

/// Every check on a finished run.
pub(super) fn checks(report: &Report, facts: &Facts) -> Vec<Check> {
    let price_of_all = i128::from(report.requests) * i128::from(PRICE.get());
    let check = |claim, expected: i128, found: i128| Check { claim, expected, found };
    let count =
        |kind: &str| report.transactions.iter().filter(|transaction| transaction.kind == kind).count();
    vec![
        check("every request was accepted", report.requests.into(), report.accepted.into()),
        check("the payee received the sum of prices", price_of_all, report.payee_received.into()),
        check("as much was settled", price_of_all, report.settled.into()),
        check(
            "the payer got the rest back",
            i128::from(report.deposit_total) - price_of_all,
            report.payer_refunded.into(),
        ),
        check(
            "the payer's account holds what it did not spend",
            i128::from(FUNDS.get()) - price_of_all,
            facts.after.payer.get().into(),
        ),
        check("nothing is left in escrow", 0, report.escrow_left.into()),
        check("the channel was paid out", 1, facts.distributed.into()),
        check("the channel account is gone", 1, facts.reclaimed.into()),
        check(
            "the rent payer is short of nothing but the fees",
            i128::from(facts.before.fee_payer_lamports) - i128::from(report.fees_lamports),
            facts.after.fee_payer_lamports.into(),
        ),
        check("the payer never had a lamport", 0, facts.after.payer_lamports.into()),
        check("one open", 1, count("open") as i128),
        check("one close", 1, count("close") as i128),
        check("one reclaim", 1, count("reclaim") as i128),
        check(
            "a top-up whenever one request is not all",
            i128::from(report.requests > 1),
            count("topUp") as i128,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use toll_protocol::Amount;

    use super::super::Transaction;
    use super::*;

    fn right() -> (Report, Facts) {
        let transaction =
            |kind: &str| Transaction { kind: kind.into(), signature: String::new(), compute_units: 1 };
        let report = Report {
            requests: 10,
            accepted: 10,
            rejected: 0,
            deposit_total: 12_000,
            settled: 10_000,
            payee_received: 10_000,
            payer_refunded: 2_000,
            escrow_left: 0,
            fees_lamports: 35_000,
            transactions: ["open", "topUp", "close", "reclaim"].map(transaction).to_vec(),
            elapsed_ms: 1,
            vouchers_per_second: 1.0,
        };
        let before =
            Balances { payer: FUNDS, payee: Amount::ZERO, fee_payer_lamports: 1_000_000, payer_lamports: 0 };
        let after = Balances {
            payer: Amount::new(FUNDS.get() - 10_000),
            payee: Amount::new(10_000),
            fee_payer_lamports: 965_000,
            payer_lamports: 0,
        };
        (report, Facts { before, after, reclaimed: true, distributed: true })
    }

    fn broken(report: &Report, facts: &Facts) -> Vec<&'static str> {
        checks(report, facts).into_iter().filter(|check| !check.holds()).map(|check| check.claim).collect()
    }

    #[test]
    fn right_figures_hold() {
        let (report, facts) = right();
        assert_eq!(broken(&report, &facts), Vec::<&str>::new());
    }

    #[test]
    fn one_unit_off_is_seen_wherever_it_is() {
        let (report, facts) = right();
        let off: [(Report, &str); 5] = [
            (Report { accepted: 9, ..report.clone() }, "every request was accepted"),
            (Report { payee_received: 9_999, ..report.clone() }, "the payee received the sum of prices"),
            (Report { settled: 10_001, ..report.clone() }, "as much was settled"),
            (Report { payer_refunded: 2_001, ..report.clone() }, "the payer got the rest back"),
            (Report { escrow_left: 1, ..report.clone() }, "nothing is left in escrow"),
        ];
        for (report, claim) in off {
            assert_eq!(broken(&report, &facts), [claim]);
        }
    }

    #[test]
    fn a_missing_lamport_of_rent_is_seen() {
        let (report, mut facts) = right();
        facts.after.fee_payer_lamports -= 1;
        assert_eq!(broken(&report, &facts), ["the rent payer is short of nothing but the fees"]);
    }

    #[test]
    fn a_second_open_is_seen() {
        let (mut report, facts) = right();
        report.transactions.push(report.transactions[0].clone());
        assert_eq!(broken(&report, &facts), ["one open"]);
    }
}
