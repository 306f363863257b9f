//! A stream of events, cut at its blank lines, and what is said in one about payment.
//!
//! Source: HTML Living Standard, "Server-sent events"; the names of the payment events are those of the streamed
//! sessions of the other methods of the Payment scheme.

use serde_json::Value;

use crate::json::{Members, Object};
use crate::{Amount, ChannelId, JsonError, Receipt, canonical_json, parse_json};

/// Longest event, in bytes: it is held in memory until it is whole.
const LONGEST: usize = 1024 * 1024;

/// Name of the event that asks for a voucher.
const NEED_VOUCHER: &str = "payment-need-voucher";

/// Name of the event with the final receipt.
const RECEIPT: &str = "payment-receipt";

/// One event as it came, its blank line included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// The event's lines.
    pub bytes: Vec<u8>,
    /// Its name; empty for one without.
    pub name: String,
    /// Its data lines; `None` where it has none, like a comment that keeps a connection alive.
    pub data: Option<String>,
}

/// What an event says about payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentEvent {
    /// What is authorized is used up.
    NeedVoucher(NeedVoucher),
    /// The stream has ended; this is what it came to.
    Receipt(Box<Receipt>),
}

/// A stream waits for a voucher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedVoucher {
    /// The channel that pays.
    pub channel_id: ChannelId,
    /// The least cumulative amount with which the stream goes on. Above the deposit, a top-up comes first.
    pub required_cumulative: Amount,
    /// Highest accepted voucher amount.
    pub accepted_cumulative: Amount,
    /// What is escrowed.
    pub deposit: Amount,
}

impl StreamEvent {
    fn new(bytes: Vec<u8>) -> Self {
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

    /// Whether it speaks of payment.
    pub fn is_of_payment(&self) -> bool {
        self.name.trim().to_ascii_lowercase().starts_with("payment-")
    }

    /// What it says about payment, if it does and that can be read. Other names are for others.
    pub fn payment(&self) -> Option<Result<PaymentEvent, JsonError>> {
        let json = || parse_json(self.data.as_deref().unwrap_or_default().as_bytes());
        match self.name.as_str() {
            NEED_VOUCHER => {
                Some(json().and_then(|json| NeedVoucher::from_json(&json)).map(PaymentEvent::NeedVoucher))
            }
            RECEIPT => {
                let receipt = json().and_then(|json| Receipt::from_json(&json));
                Some(receipt.map(|receipt| PaymentEvent::Receipt(Box::new(receipt))))
            }
            _ => None,
        }
    }
}

impl PaymentEvent {
    /// The event's lines, its data on one of them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (name, json) = match self {
            Self::NeedVoucher(needed) => (NEED_VOUCHER, needed.to_json()),
            Self::Receipt(receipt) => (RECEIPT, receipt.to_json()),
        };
        let data = canonical_json(&json).unwrap_or_default();
        [b"event: ", name.as_bytes(), b"\ndata: ", &data, b"\n\n"].concat()
    }
}

impl NeedVoucher {
    /// The event's data.
    pub fn to_json(&self) -> Value {
        Object::default()
            .text("channelId", self.channel_id)
            .text("requiredCumulative", self.required_cumulative)
            .text("acceptedCumulative", self.accepted_cumulative)
            .text("deposit", self.deposit)
            .into_value()
    }

    /// Reads the event's data. Unknown members are ignored.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        let needed = Members::of(value, NEED_VOUCHER)?;
        Ok(Self {
            channel_id: needed.get("channelId")?,
            required_cumulative: needed.get("requiredCumulative")?,
            accepted_cumulative: needed.get("acceptedCumulative")?,
            deposit: needed.get("deposit")?,
        })
    }
}

/// Puts events together from the pieces that come.
#[derive(Debug, Default)]
pub struct EventCutter {
    held: Vec<u8>,
    searched: usize,
}

/// An event that is longer than anybody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {LONGEST} bytes")]
pub struct EventTooLong;

impl EventCutter {
    /// Adds what came next.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), EventTooLong> {
        self.held.extend_from_slice(piece);
        if self.held.len() > LONGEST && self.end().is_none() {
            return Err(EventTooLong);
        }
        Ok(())
    }

    /// The next whole event, if there is one.
    #[expect(clippy::should_implement_trait, reason = "there may be more after none")]
    pub fn next(&mut self) -> Option<StreamEvent> {
        let end = self.end()?;
        self.searched = 0;
        let rest = self.held.split_off(end);
        Some(StreamEvent::new(std::mem::replace(&mut self.held, rest)))
    }

    /// What is left when the stream ends, which browsers would drop.
    pub fn rest(&mut self) -> Option<StreamEvent> {
        let rest = std::mem::take(&mut self.held);
        (!rest.is_empty()).then(|| StreamEvent::new(rest))
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

    fn cut(pieces: impl Iterator<Item = Vec<u8>>) -> (Vec<StreamEvent>, Option<StreamEvent>) {
        let (mut cutter, mut events) = (EventCutter::default(), Vec::new());
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
        assert!(matches!(whole[2].payment(), Some(Err(_))));
        assert_eq!(rest.as_ref().unwrap().data.as_deref(), Some("rest"));
        for size in 1..STREAM.len() {
            let pieces = STREAM.as_bytes().chunks(size).map(<[u8]>::to_vec);
            assert_eq!(cut(pieces), (whole.clone(), rest.clone()), "in pieces of {size}");
        }
        let joined: Vec<u8> = whole.iter().chain(&rest).flat_map(|event| event.bytes.clone()).collect();
        assert_eq!(joined, STREAM.as_bytes());
    }

    #[test]
    fn an_event_without_end_is_not_waited_for() {
        let mut cutter = EventCutter::default();
        assert_eq!(cutter.push(&vec![b'x'; LONGEST]), Ok(()));
        assert_eq!(cutter.push(b"x"), Err(EventTooLong));
    }

    #[test]
    fn a_voucher_is_asked_for_in_four_strings_on_one_line() {
        let needed = NeedVoucher {
            channel_id: ChannelId::new([7; 32]),
            required_cumulative: Amount::new(250_025),
            accepted_cumulative: Amount::new(250_000),
            deposit: Amount::new(u64::MAX),
        };
        let bytes = PaymentEvent::NeedVoucher(needed.clone()).to_bytes();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let id = ChannelId::new([7; 32]);
        assert_eq!(
            text,
            format!(
                "event: payment-need-voucher\ndata: {{\"acceptedCumulative\":\"250000\",\"channelId\":\"{id}\",\
                 \"deposit\":\"18446744073709551615\",\"requiredCumulative\":\"250025\"}}\n\n"
            )
        );
        let mut cutter = EventCutter::default();
        cutter.push(&bytes).unwrap();
        let read = cutter.next().unwrap().payment().unwrap().unwrap();
        assert_eq!(read, PaymentEvent::NeedVoucher(needed));
    }
}
