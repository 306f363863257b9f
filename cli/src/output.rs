//! What reaches the user: one JSON document or text on stdout, everything else on stderr.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{CliError, turns_text};

/// Whether stdout has a result already: an error that follows one is told on stderr only.
static RESULT_PRINTED: AtomicBool = AtomicBool::new(false);

/// Where a command's results go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// JSON documents, or text.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether results are JSON.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints a result: the document, or the text made from it.
    pub(crate) fn result(self, document: &impl Serialize, text: impl FnOnce() -> String) {
        let text = if self.json {
            serde_json::to_string_pretty(document).expect("documents have text keys and finite numbers")
        } else {
            text()
        };
        RESULT_PRINTED.store(true, Ordering::Relaxed);
        // A closed pipe (`toll … | head`) is not worth an error.
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
    }

    /// Prints bytes as they are, or on a terminal without what would steer it.
    pub(crate) fn bytes(self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        let shown = if stdout.is_terminal() { harmless(bytes) } else { Cow::Borrowed(bytes) };
        let _ = stdout.write_all(&shown).and_then(|()| stdout.flush());
    }

    /// A line for a person who watches; nothing in JSON mode.
    pub(crate) fn note(self, line: impl std::fmt::Display) {
        if !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        }
    }

    /// Prints an error: one line on stderr, and in JSON mode a document on stdout, unless the result is there.
    pub(crate) fn error(self, error: &CliError) {
        let _ = writeln!(std::io::stderr().lock(), "error: {error}");
        if self.json && !RESULT_PRINTED.load(Ordering::Relaxed) {
            let _ = writeln!(std::io::stdout().lock(), "{:#}", error_document(error));
        }
    }
}

/// A body for a terminal: whoever sent it may print, but not move the cursor, retitle the window or worse. It
/// ends its last line.
fn harmless(bytes: &[u8]) -> Cow<'_, [u8]> {
    let steers = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || turns_text(c);
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_empty() || (text.ends_with('\n') && !text.contains(steers)) => {
            Cow::Borrowed(bytes)
        }
        _ => {
            let text = String::from_utf8_lossy(bytes).replace(steers, "\u{fffd}");
            Cow::Owned(format!("{}\n", text.trim_end_matches('\n')).into_bytes())
        }
    }
}

/// The document of an error: `{"error": {"code", "exit", "message", "remedy"}}`.
pub(crate) fn error_document(error: &CliError) -> Value {
    json!({
        "error": {
            "code": error.exit.name(),
            "exit": error.exit.code(),
            "message": error.what,
            "remedy": error.remedy,
        }
    })
}

/// An empty table in the one style there is.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    if header.iter().any(|title| !title.is_empty()) {
        table.set_header(header);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn a_body_cannot_steer_the_terminal_it_is_shown_on() {
        assert_eq!(&*harmless("a\tb\nö".as_bytes()), "a\tb\nö\n".as_bytes());
        assert_eq!(&*harmless(b"a\n\n"), b"a\n\n");
        assert_eq!(&*harmless(b"a\x1b[2Jb\rc\xff"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\n".as_bytes());
        assert_eq!(&*harmless("\u{202e}x\u{9b}1A".as_bytes()), "\u{fffd}x\u{fffd}1A\n".as_bytes());
    }

    #[test]
    fn an_error_document_names_code_exit_message_and_remedy() {
        let document = error_document(&CliError::new(Exit::Funds, "no tokens", "get some"));
        assert_eq!(
            document,
            json!({"error": {"code": "funds", "exit": 6, "message": "no tokens", "remedy": "get some"}})
        );
    }
}
