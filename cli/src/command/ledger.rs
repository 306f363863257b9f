//! `toll ledger`

mod export;
mod reconcile;
mod since;

use clap::Subcommand;
use toll_ledger::{Ledger as Book, SystemClock};

use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::output::Output;
use crate::server::ledger_error;

/// Subcommands of `toll ledger`.
#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Write the log of money: deposits, acceptances, payouts, refunds, fees and rent
    ///
    /// The log is only ever added to; what a fork took back is another line, below zero. Lines are numbered without a
    /// gap: --after the last number you have gives what is new. Tokens are in base units, lamports are the fee payer's;
    /// rent that came back is below zero. Requests are one line for each channel and hour, or what
    /// settler.purge_interval_seconds says. CSV, or with --json one JSON document a line.
    Export(export::Export),
    /// Hold the log against every channel, and both against the chain; code 12 when anything differs
    ///
    /// Compares each channel's lines with its row, its account and its escrow, and every lamport that left the fee
    /// payer or came back with what the cluster remembers. Funding and whatever else the fee payer did outside of this
    /// server is listed, and is no difference. What a running server has on its way may differ for a moment.
    Reconcile(reconcile::Reconcile),
}

impl Ledger {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        match self {
            Self::Export(command) => command.run(output).await,
            Self::Reconcile(command) => command.run(output).await,
        }
    }
}

/// The ledger that the configuration names, which must be there, with all in its log that has happened.
async fn open(config: &Config) -> Result<Book> {
    let config = config.ledger.clone();
    if let Some(file) = config.file().filter(|file| !file.exists()) {
        let what = format!("there is no ledger at {}", file.display());
        return Err(CliError::new(Exit::Ledger, what, "check ledger.path; a server makes it when it starts"));
    }
    let book = Book::with(config, SystemClock).map_err(|error| ledger_error(&error))?;
    book.bring_journal_up_to_date().await.map_err(|error| ledger_error(&error))?;
    Ok(book)
}
