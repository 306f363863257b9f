//! A stream of events, cut at its blank lines. Source: HTML Living Standard, "Server-sent events".

use bytes::{Bytes, BytesMut};

/// Longest event, in bytes: it is held in memory until it is whole.
const LONGEST: usize = 1024 * 1024;

/// One event as it came, its blank line included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) bytes: Bytes,
    /// Its name; empty for one without.
    pub(super) name: String,
    /// Its data lines; `None` where it has none, like a comment that keeps a connection alive.
    pub(super) data: Option<String>,
}

impl Event {
    fn new(bytes: Bytes) -> Self {
        let (mut name, mut data) = (String::new(), None::<String>);
        let text = String::from_utf8_lossy(&bytes);
        for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match (field, &mut data) {
                ("event", _) => name = value.to_owned(),
                ("data", Some(data)) => {
                    data.push('\n');
                    data.push_str(value);
                }
                ("data", None) => data = Some(value.to_owned()),
                _ => {}
            }
        }
        Self { bytes, name, data }
    }

    /// Whether it speaks of payment, which only the gateway may.
    pub(super) fn is_of_payment(&self) -> bool {
        self.name.trim().to_ascii_lowercase().starts_with("payment-")
    }

    /// Whether it delivers something.
    pub(super) fn is_counted(&self) -> bool {
        self.data.as_deref().is_some_and(|data| data != "[DONE]")
    }
}

/// Puts events together from the pieces that come.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    held: BytesMut,
    searched: usize,
}

/// An event that is longer than anybody waits for.
#[derive(Debug, thiserror::Error)]
#[error("an event of the upstream is longer than {LONGEST} bytes")]
pub(super) struct TooLong;

impl Cutter {
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), TooLong> {
        self.held.extend_from_slice(piece);
        if self.held.len() > LONGEST && self.end().is_none() {
            return Err(TooLong);
        }
        Ok(())
    }

    /// The next whole event, if there is one.
    pub(super) fn next(&mut self) -> Option<Event> {
        let end = self.end()?;
        self.searched = 0;
        Some(Event::new(self.held.split_to(end).freeze()))
    }

    /// What is left when the stream ends, which browsers would drop.
    pub(super) fn rest(&mut self) -> Option<Event> {
        let rest = self.held.split().freeze();
        (!rest.is_empty()).then(|| Event::new(rest))
    }

    /// Where the first event ends. A carriage return at the very end may be half of a line's end.
    fn end(&mut self) -> Option<usize> {
        let held = &self.held[..];
        let mut at = self.searched;
        while at < held.len() {
            let Some(first) = line_end(&held[at..]) else {
                at += 1;
                continue;
            };
            let Some(second) = line_end(&held[at + first..]) else {
                if at + first >= held.len() {
                    break;
                }
                at += first;
                continue;
            };
            if held[at + first..] == *b"\r" {
                break;
            }
            return Some(at + first + second);
        }
        self.searched = at.min(held.len());
        None
    }
}

/// How long the end of a line is that stands at the beginning of `text`.
fn line_end(text: &[u8]) -> Option<usize> {
    match text {
        [b'\r', b'\n', ..] => Some(2),
        [b'\r' | b'\n', ..] => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: a\n\n: alive\n\nevent: payment-receipt\r\ndata: {}\r\n\r\ndata:b\ndata: c\n\nid: 1\r\rdata: rest\n";

    fn cut(pieces: impl Iterator<Item = Vec<u8>>) -> (Vec<Event>, Option<Event>) {
        let (mut cutter, mut events) = (Cutter::default(), Vec::new());
        for piece in pieces {
            cutter.push(&piece).unwrap();
            while let Some(event) = cutter.next() {
                events.push(event);
            }
        }
        let rest = cutter.rest();
        (events, rest)
    }

    #[test]
    fn a_stream_is_cut_alike_however_it_arrives() {
        let (whole, rest) = cut(std::iter::once(STREAM.as_bytes().to_vec()));
        let data: Vec<_> = whole.iter().map(|event| event.data.as_deref()).collect();
        assert_eq!(data, [Some("a"), None, Some("{}"), Some("b\nc"), None]);
        assert!(whole[2].is_of_payment() && !whole[0].is_of_payment());
        assert_eq!(rest.as_ref().unwrap().data.as_deref(), Some("rest"));
        for size in 1..STREAM.len() {
            let pieces = STREAM.as_bytes().chunks(size).map(<[u8]>::to_vec);
            assert_eq!(cut(pieces), (whole.clone(), rest.clone()), "in pieces of {size}");
        }
        let joined: Vec<u8> = whole.iter().chain(&rest).flat_map(|event| event.bytes.to_vec()).collect();
        assert_eq!(joined, STREAM.as_bytes());
    }

    #[test]
    fn an_event_without_end_is_not_waited_for() {
        let mut cutter = Cutter::default();
        assert!(cutter.push(&vec![b'x'; LONGEST]).is_ok());
        assert!(cutter.push(b"x").is_err());
    }
}
