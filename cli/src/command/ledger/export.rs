//! `toll ledger export`

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toll_ledger::Entry;

use super::open;
use super::since::since;
use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::output::Output;
use crate::server::ledger_error;

/// Lines that are read at once.
const PAGE: usize = 5_000;

/// Flags of `toll ledger export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Only lines behind the one with this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,

    /// Only lines that were entered on this day (UTC) or later, or at this moment (RFC 3339) or later
    #[arg(long, value_name = "TIME", value_parser = since, default_value = "1970-01-01")]
    since: i64,

    /// Write to a file instead of stdout; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "toll.toml")]
    config: PathBuf,
}

/// The columns. A value that does not apply is empty, or null.
const COLUMNS: [&str; 11] = [
    "entry",
    "time",
    "kind",
    "channelId",
    "payer",
    "payee",
    "mint",
    "baseUnits",
    "lamports",
    "purpose",
    "signature",
];

/// One line: a value for each of [`COLUMNS`].
type Line = [Option<String>; COLUMNS.len()];

impl Export {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let book = open(&Config::read(&self.config)?).await?;
        let to: Box<dyn Write> = match &self.out {
            Some(path) => Box::new(std::fs::File::create(path).map_err(unwritable)?),
            None => Box::new(std::io::stdout().lock()),
        };
        let mut to = BufWriter::new(to);
        let write = if output.is_json() { json_line } else { csv };
        if !output.is_json() {
            writeln!(to, "{}", COLUMNS.join(",")).map_err(unwritable)?;
        }
        let (_, length) = book.journal_length().await.map_err(|error| ledger_error(&error))?;
        let progress = output.progress(length.saturating_sub(self.after), "exporting");
        let (mut last, mut lines) = (self.after, 0u64);
        loop {
            let page = book.journal(last, self.since, PAGE).await.map_err(|error| ledger_error(&error))?;
            let Some(end) = page.last() else { break };
            last = end.number;
            for entry in &page {
                write(&mut to, line(entry)).map_err(unwritable)?;
            }
            lines += page.len() as u64;
            progress.set_position(last.saturating_sub(self.after));
        }
        to.flush().map_err(unwritable)?;
        progress.finish_and_clear();
        if let Some(path) = &self.out {
            let path = path.display().to_string();
            let document = json!({ "file": path, "lines": lines, "lastEntry": last });
            output.result(&document, || format!("{lines} lines in {path}; the last entry is {last}"));
        }
        Ok(())
    }
}

fn line(entry: &Entry) -> Line {
    let [payer, payee, mint] = match entry.parties {
        Some(parties) => parties.map(|party| Some(party.to_string())),
        None => [None, None, None],
    };
    let amount = Some(entry.amount.to_string());
    let (base_units, lamports) = if entry.fee_payer.is_some() { (None, amount) } else { (amount, None) };
    [
        Some(entry.number.to_string()),
        Some(time(entry.at)),
        Some(entry.kind.as_str().to_owned()),
        entry.channel.map(|channel| channel.to_string()),
        payer,
        payee,
        mint,
        base_units,
        lamports,
        entry.purpose.clone(),
        entry.signature.map(|signature| signature.to_string()),
    ]
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

fn json_line(to: &mut dyn Write, line: Line) -> std::io::Result<()> {
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
