//! Reading what the upstream says was used.

use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::tariff::{Tariff, Unit, Usage};

/// How much of the end of an answer is searched for what it used, in bytes.
pub(super) const SEARCHED: usize = 16 * 1024;

impl Tariff {
    /// Nothing yet.
    pub(super) fn unused(&self) -> Usage {
        Usage { reported: vec![None; self.rates.len()], ..Usage::default() }
    }

    /// Whether it goes by what stands in bodies, so that they must be readable.
    pub(super) fn reads_bodies(&self) -> bool {
        self.rates.iter().any(|rate| matches!(rate.unit, Unit::Field(_)))
    }

    pub(super) fn read_headers(&self, usage: &mut Usage, headers: &HeaderMap) {
        self.note(usage, |unit| match unit {
            Unit::Header(name) => number(headers, name),
            _ => None,
        });
    }

    pub(super) fn read_trailers(&self, usage: &mut Usage, trailers: &HeaderMap) {
        self.note(usage, |unit| match unit {
            Unit::Trailer(name) => number(trailers, name),
            _ => None,
        });
    }

    /// Reads an answer, or what an event says: the whole of it as JSON, or without that the last [`SEARCHED`] bytes.
    pub(super) fn read_text(&self, usage: &mut Usage, text: &[u8]) {
        if !self.reads_bodies() {
            return;
        }
        let json: Option<Value> = serde_json::from_slice(text).ok();
        let tail = &text[text.len().saturating_sub(SEARCHED)..];
        self.note(usage, |unit| match (unit, &json) {
            (Unit::Field(path), Some(json)) => {
                path.iter().try_fold(json, |value, name| value.get(name))?.as_u64()
            }
            (Unit::Field(path), None) => search(tail, path),
            _ => None,
        });
    }

    /// Takes what is said of each unit. Running totals: what is less than before says nothing.
    fn note(&self, usage: &mut Usage, said: impl Fn(&Unit) -> Option<u64>) {
        for (rate, known) in self.rates.iter().zip(&mut usage.reported) {
            *known = (*known).max(said(&rate.unit));
        }
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The number behind the last of `path`, after all its names in order, the first of them where it stands last.
fn search(tail: &[u8], path: &[String]) -> Option<u64> {
    let (first, rest) = path.split_first()?;
    let mut at = occurrences(tail, first).last()?;
    for name in rest {
        at += occurrences(&tail[at..], name).next()?;
    }
    let value = tail[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

/// Where `"name"` ends, wherever it stands: within a string its quotes would be escaped.
fn occurrences<'a>(text: &'a [u8], name: &str) -> impl Iterator<Item = usize> + 'a {
    let quoted = format!("\"{name}\"").into_bytes();
    let length = quoted.len();
    text.windows(length).enumerate().filter_map(move |(at, window)| {
        let is_escaped = at > 0 && text[at - 1] == b'\\';
        (window == quoted && !is_escaped).then_some(at + length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, path: &[&str]) -> Option<u64> {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        search(text.as_bytes(), &path)
    }

    #[test]
    fn the_last_word_on_usage_counts() {
        let text = r#"…"usage":{"in":1}},{"usage": {"in" : 12, "out":3}}"#;
        assert_eq!(found(text, &["usage", "in"]), Some(12));
        assert_eq!(found(text, &["usage", "out"]), Some(3));
        assert_eq!(found(text, &["usage", "cached"]), None);
    }

    #[test]
    fn what_an_answer_quotes_is_not_what_it_used() {
        assert_eq!(found(r#""text":"\"usage\":{\"in\":1}""#, &["usage", "in"]), None);
        assert_eq!(found(r#""usage":{"in":"12"}"#, &["usage", "in"]), None);
        assert_eq!(found(r#""usage":{"in":-1}"#, &["usage", "in"]), None);
    }
}
