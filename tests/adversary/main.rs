//! Drains of the sponsor's money, played by paying clients that keep to the protocol and to nothing else, against
//! the real program, gateway and settler.
//!
//! Each scene ends with every channel closed, paid out and reclaimed, and with three things that hold: what the
//! sponsor's account lost is what the ledger says was spent, to the lamport; that is fees of transactions it agreed
//! to, within its budgets; and the account never went below its reserve. The table says what each attack cost
//! whom: `cargo test -p toll-tests --test adversary -- --nocapture`.
#![allow(unreachable_pub, reason = "nothing is above a test binary")]

mod attacker;
mod exposure;
mod idle;
mod opens;
mod refunds;
mod report;
mod scene;
mod settles;
mod top_ups;

use report::Report;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sponsor_loses_at_most_the_fees_of_what_it_paid_for() {
    let mut report = Report::default();
    report.add(top_ups::smallest_top_ups().await);
    report.add(opens::open_and_close_by_one_payer().await);
    report.add(opens::open_and_close_by_many_payers().await);
    report.add(opens::opens_that_cannot_be_funded().await);
    report.add(idle::free_requests_that_hold_rent().await);
    report.add(settles::vouchers_that_expire().await);
    report.add(refunds::token_accounts_that_are_closed_again().await);
    report.add(exposure::more_opens_than_can_be_closed().await);
    println!("{report}");
}
