//! `toll inspect`

use std::io::Read;

use clap::Args;
use serde_json::Value;

use crate::error::{CliError, Exit, Result, turns_text};
use crate::inspect::inspect;
use crate::output::Output;

/// Most that is read from standard input, in bytes.
const MOST: u64 = 1024 * 1024;

/// Flags of `toll inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A challenge, credential, receipt, problem, voucher, transaction or channel account: a header with or without its
    /// name, JSON, base64, base58 or hexadecimal; - reads it from standard input
    #[arg(allow_hyphen_values = true)]
    text: String,
}

impl Inspect {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let text = if self.text == "-" { from_stdin()? } else { self.text };
        let found = inspect(&text).map_err(|reason| {
            let remedy = "give the value of one header, one JSON document, or the bytes of one thing";
            CliError::new(Exit::Usage, reason, remedy)
        })?;
        output.result(&found, || lines(&found, 0));
        Ok(())
    }
}

fn from_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().take(MOST).read_to_string(&mut text).map_err(|error| {
        CliError::new(Exit::Usage, format_args!("standard input: {error}"), "give text on standard input")
    })?;
    Ok(text)
}

/// What a stranger wrote, without what would steer a terminal.
fn harmless(text: &str) -> String {
    text.replace(|c: char| c.is_control() || turns_text(c), "\u{fffd}")
}

/// Members on lines of their own, those of members further in.
fn lines(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let member = |name: &str, value: &Value| match value {
        Value::Object(_) | Value::Array(_) => {
            format!("{indent}{}:\n{}", harmless(name), lines(value, depth + 1))
        }
        Value::String(text) => format!("{indent}{name}: {}\n", harmless(text)),
        Value::Null => String::new(),
        other => format!("{indent}{name}: {other}\n"),
    };
    match value {
        Value::Object(members) => {
            // What it is goes before what it says.
            let (kind, rest): (Vec<_>, Vec<_>) = members.iter().partition(|(name, _)| *name == "kind");
            kind.into_iter().chain(rest).map(|(name, value)| member(name, value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| member(&format!("{}", index + 1), item)).collect()
        }
        _ => member("", value),
    }
}
