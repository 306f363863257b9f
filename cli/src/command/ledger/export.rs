//! `toll ledger export`

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toll_ledger::{Account, Entry, Spending, SpendingKind};

use super::{open, page};
use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::output::Output;
use crate::server::ledger_error;

/// Flags of `toll ledger export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Write to a file instead of stdout; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "toll.toml")]
    config: PathBuf,
}

/// The columns. A value that does not apply is empty, or null.
const COLUMNS: [&str; 10] =
    ["time", "kind", "channelId", "payer", "payee", "mint", "baseUnits", "lamports", "purpose", "signature"];

/// One line: a value for each of [`COLUMNS`].
type Line = [Option<String>; COLUMNS.len()];

/// Seconds of a day.
const DAY: i64 = toll_ledger::DAY;

impl Export {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let book = open(&Config::read(&self.config)?)?;
        let to: Box<dyn Write> = match &self.out {
            Some(path) => Box::new(std::fs::File::create(path).map_err(unwritable)?),
            None => Box::new(std::io::stdout().lock()),
        };
        let mut to = BufWriter::new(to);
        let write = if output.is_json() { json } else { csv };
        if !output.is_json() {
            writeln!(to, "{}", COLUMNS.join(",")).map_err(unwritable)?;
        }
        let mut accounts = page(&book, None).await?;
        while !accounts.is_empty() {
            for account in &accounts {
                for entry in &account.entries {
                    write(&mut to, tokens(account, entry)).map_err(unwritable)?;
                }
            }
            accounts = page(&book, accounts.last()).await?;
        }
        let spending = book.spending_since(i64::MIN).await.map_err(|error| ledger_error(&error))?;
        for spent in spending.iter().filter(|spent| spent.spent > 0) {
            write(&mut to, lamports(spent)).map_err(unwritable)?;
        }
        to.flush().map_err(unwritable)
    }
}

fn tokens(account: &Account, entry: &Entry) -> Line {
    let terms = &account.agreement.terms;
    [
        Some(time(entry.at)),
        Some(entry.kind.as_str().to_owned()),
        Some(account.channel.to_string()),
        Some(terms.payer.to_string()),
        Some(terms.payee.to_string()),
        Some(terms.mint.to_string()),
        Some(entry.amount.to_string()),
        None,
        None,
        entry.signature.map(|signature| signature.to_string()),
    ]
}

/// What the sponsor spent in a day on one purpose.
fn lamports(spent: &Spending) -> Line {
    let is_rent = matches!(spent.kind, SpendingKind::RefundAccount | SpendingKind::OwnAccount);
    let kind = if is_rent { "rent" } else { "fee" };
    let payer = spent.payer.map(|payer| payer.to_string());
    let lamports = Some(spent.spent.to_string());
    let day = Some(time(spent.day.saturating_mul(DAY)));
    let purpose = Some(spent.kind.as_str().to_owned());
    [day, Some(kind.to_owned()), None, payer, None, None, None, lamports, purpose, None]
}

/// As RFC 3339 has it.
fn time(at: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at).ok().and_then(|time| time.format(&Rfc3339).ok());
    time.unwrap_or_else(|| at.to_string())
}

/// Nothing in a line needs quotes: times, words, numbers and base58.
fn csv(to: &mut dyn Write, line: Line) -> std::io::Result<()> {
    let values: Vec<String> = line.into_iter().map(Option::unwrap_or_default).collect();
    writeln!(to, "{}", values.join(","))
}

fn json(to: &mut dyn Write, line: Line) -> std::io::Result<()> {
    let members = COLUMNS.into_iter().zip(line);
    let document: Map<String, Value> = members.map(|(name, value)| (name.to_owned(), value.into())).collect();
    writeln!(to, "{}", Value::Object(document))
}

fn unwritable(error: std::io::Error) -> CliError {
    CliError::new(
        Exit::Internal,
        format_args!("cannot write the export: {error}"),
        "check --out and its disk",
    )
}
