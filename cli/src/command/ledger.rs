//! `toll ledger`

mod export;
mod reconcile;

use clap::Subcommand;
use toll_ledger::{Account, Ledger as Book, SystemClock};

use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::output::Output;
use crate::server::ledger_error;

/// Channels whose accounts are read at once.
const PAGE: usize = 50;

/// Subcommands of `toll ledger`.
#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Write every movement of money: deposits, acceptances, payouts, refunds, fees and rent
    ///
    /// Channel by channel, tokens in base units, lamports by day and purpose. Where single requests are no longer on
    /// record, one line has their sum. CSV, or with --json one JSON document a line.
    Export(export::Export),
    /// Hold every channel against the chain, and its books against themselves; code 12 when anything differs
    ///
    /// Of a server that runs, what is on its way may differ for a moment.
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

/// The ledger that the configuration names, which must be there.
fn open(config: &Config) -> Result<Book> {
    let config = config.ledger.clone();
    if !config.path.exists() {
        let what = format!("there is no ledger at {}", config.path.display());
        return Err(CliError::new(Exit::Ledger, what, "check ledger.path; a server makes it when it starts"));
    }
    Book::with(config, SystemClock).map_err(|error| ledger_error(&error))
}

/// The next accounts behind `last`; none at the end.
async fn page(book: &Book, last: Option<&Account>) -> Result<Vec<Account>> {
    book.accounts(last.map(|account| account.channel), PAGE).await.map_err(|error| ledger_error(&error))
}
