//! `toll demo`

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use toll_protocol::Amount;

use crate::demo::{self, MAX_REQUESTS, Outcome, Progress};
use crate::error::{CliError, Exit, Result};
use crate::money;
use crate::output::{Output, table};
use toll_localnet::DECIMALS;

/// Flags of `toll demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many requests to pay for
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=MAX_REQUESTS))]
    requests: u64,

    /// Keep ledger, keys and state in this folder, which must be new
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

struct Bars {
    stage: ProgressBar,
    requests: ProgressBar,
}

impl Progress for Bars {
    fn stage(&self, what: &str) {
        self.stage.set_message(what.to_owned());
    }

    fn request(&self) {
        self.requests.inc(1);
    }
}

impl Demo {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        if let Some(folder) = self.keep.as_deref().filter(|folder| folder.exists()) {
            let what = format_args!("{} exists", folder.display()).to_string();
            return Err(CliError::new(Exit::Usage, what, "name a new folder"));
        }
        let bars =
            Bars { stage: output.spinner("starting"), requests: output.progress(self.requests, "requests") };
        let outcome = demo::run(self.requests, self.keep.as_deref(), &bars).await;
        bars.requests.finish_and_clear();
        bars.stage.finish_and_clear();
        let outcome = outcome?;
        output.result(&outcome.report, || text(&outcome));
        let broken: Vec<String> = outcome
            .checks
            .iter()
            .filter(|check| !check.holds())
            .map(|check| format!("{} (expected {}, found {})", check.claim, check.expected, check.found))
            .collect();
        if broken.is_empty() {
            return Ok(());
        }
        let what = format_args!("the figures do not add up: {}", broken.join("; ")).to_string();
        Err(CliError::new(Exit::Mismatch, what, "run it again with -v and report what it prints"))
    }
}

fn text(outcome: &Outcome) -> String {
    let report = &outcome.report;
    let tokens = |amount: u64| money::tokens(Amount::new(amount), DECIMALS);
    let mut figures = table(["", ""]);
    figures.add_row(["requests paid", &format!("{} of {}", report.accepted, report.requests)]);
    figures.add_row(["time", &format!("{:.1} s", report.elapsed_ms as f64 / 1_000.0)]);
    figures.add_row(["vouchers per second", &format!("{:.0}", report.vouchers_per_second)]);
    figures.add_row(["deposited", &tokens(report.deposit_total)]);
    figures.add_row(["payee received", &tokens(report.payee_received)]);
    figures.add_row(["payer got back", &tokens(report.payer_refunded)]);
    figures.add_row(["left in escrow", &tokens(report.escrow_left)]);
    figures.add_row(["network fees", &format!("{} lamports", report.fees_lamports)]);
    let per_request = report.fees_lamports as f64 / report.requests as f64;
    figures.add_row(["network fees per request", &format!("{per_request:.2} lamports")]);
    let mut transactions = table(["transaction", "compute units", "signature"]);
    for transaction in &report.transactions {
        transactions.add_row([
            &transaction.kind,
            &transaction.compute_units.to_string(),
            &transaction.signature,
        ]);
    }
    let mut checks = table(["read from the chain", ""]);
    for check in &outcome.checks {
        checks.add_row([check.claim, if check.holds() { "yes" } else { "NO" }]);
    }
    let kept =
        outcome.folder.as_ref().map_or(String::new(), |folder| format!("\nkept in {}", folder.display()));
    format!("{figures}\n{transactions}\n{checks}{kept}")
}
