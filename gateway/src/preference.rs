//! Which ways to pay a client wants, and which of them first: `Accept-Payment`.
//!
//! A wish, never a demand: what cannot be read is passed over, and where nothing on offer is wanted everything is
//! offered, since a 402 says how to pay. Source: draft-httpauth-payment, "Client Payment Preferences".

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use toll_protocol::METHOD;

/// The field.
const ACCEPT_PAYMENT: HeaderName = HeaderName::from_static("accept-payment");

/// A weight that says nothing, in thousandths.
const WHOLE: u16 = 1_000;

/// A client's wishes, in its order. None: everything is as welcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preference(Vec<Range>);

/// `method/intent;q=weight`; `None` is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    method: Option<String>,
    intent: Option<String>,
    weight: u16,
}

impl Preference {
    /// What `headers` say.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let read = |value: &HeaderValue| -> Option<Vec<Range>> {
            let elements = value.to_str().ok()?.split(',').map(str::trim);
            elements.filter(|element| !element.is_empty()).map(Range::read).collect()
        };
        let lists: Option<Vec<Vec<Range>>> = headers.get_all(ACCEPT_PAYMENT).iter().map(read).collect();
        Self(lists.unwrap_or_default().concat())
    }

    /// Those of `offers`, each with its intent, that are wanted, the most wanted first; all of them as they are where
    /// none is.
    pub(crate) fn choose<T>(&self, offers: Vec<(&'static str, T)>) -> Vec<T> {
        let mut offers: Vec<_> =
            offers.into_iter().map(|(intent, offer)| (self.weight(intent), offer)).collect();
        if offers.iter().any(|(weight, _)| *weight > 0) {
            offers.retain(|(weight, _)| *weight > 0);
            offers.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        }
        offers.into_iter().map(|(_, offer)| offer).collect()
    }

    /// How much a payment of `intent` by our method is wanted: as the most specific range says.
    fn weight(&self, intent: &str) -> u16 {
        if self.0.is_empty() {
            return WHOLE;
        }
        let is = |wanted: &Option<String>, offered: &str| wanted.as_deref().is_none_or(|it| it == offered);
        let matching = self.0.iter().filter(|range| is(&range.method, METHOD) && is(&range.intent, intent));
        // Of equally specific ones the first.
        let specific = |range: &&Range| (range.method.is_some(), range.intent.is_some());
        matching.rev().max_by_key(specific).map_or(0, |range| range.weight)
    }
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let (range, weight) = match text.split_once(';') {
            None => (text, WHOLE),
            Some((range, weight)) => (range.trim_end(), thousandths(weight.trim_start())?),
        };
        let (method, intent) = range.split_once('/')?;
        let part = |text: &str, is_fit: fn(u8) -> bool| match text {
            "*" => Some(None),
            "" => None,
            text => text.bytes().all(is_fit).then(|| Some(text.to_owned())),
        };
        let method = part(method, |byte| byte.is_ascii_lowercase())?;
        let intent = part(intent, |byte| byte.is_ascii_alphanumeric() || byte == b'-')?;
        Some(Self { method, intent, weight })
    }
}

/// `q=0.5` in thousandths (RFC 9110, section 12.4.2).
fn thousandths(weight: &str) -> Option<u16> {
    let value = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !matches!(whole, "0" | "1")
        || fraction.len() > 3
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let weight: u16 = format!("{whole}{fraction:0<3}").parse().ok()?;
    (weight <= WHOLE).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_PAYMENT, HeaderValue::from_str(value).expect("a value"));
        }
        Preference::of(&headers).choose(vec![("session", "session"), ("charge", "charge")]).join(" ")
    }

    #[test]
    fn everything_is_offered_to_who_says_nothing() {
        assert_eq!(chosen(&[]), "session charge");
        assert_eq!(chosen(&[""]), "session charge");
    }

    #[test]
    fn offers_are_filtered_and_ordered_by_weight_and_ties_keep_our_order() {
        for (value, expected) in [
            ("solana/charge", "charge"),
            ("solana/charge, solana/session", "session charge"),
            ("solana/session;q=0.3, solana/charge;q=0.5", "charge session"),
            ("solana/*;q=0.5, tempo/charge", "session charge"),
            ("*/charge, */*;q=0.1", "charge session"),
            ("solana/session ; q=0.001,, solana/charge;q=1.000", "charge session"),
        ] {
            assert_eq!(chosen(&[value]), expected, "{value}");
        }
        assert_eq!(chosen(&["solana/session;q=0.2", "solana/charge;q=0.8"]), "charge session");
    }

    #[test]
    fn the_most_specific_range_decides() {
        for (value, expected) in [
            ("solana/*, solana/session;q=0", "charge"),
            ("*/*;q=0, solana/session;q=0.1", "session"),
            ("*/session;q=0, solana/*", "session charge"),
            ("*/charge;q=0.9, solana/charge;q=0.2, solana/session;q=0.5", "session charge"),
        ] {
            assert_eq!(chosen(&[value]), expected, "{value}");
        }
    }

    #[test]
    fn a_402_is_never_empty() {
        for value in ["tempo/charge", "*/*;q=0", "solana/session;q=0, solana/charge;q=0.000"] {
            assert_eq!(chosen(&[value]), "session charge", "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_passed_over_as_a_whole() {
        for value in [
            "charge",
            "solana/charge;q=2",
            "solana/charge;q=0.1234",
            "solana/charge;q=1.001",
            "solana/charge;level=1",
            "solana/charge;q=-1",
            "Solana/charge",
            "solana/char ge",
            "/charge",
            "solana/",
            "solana/charge;",
        ] {
            assert_eq!(chosen(&[value]), "session charge", "{value}");
            assert_eq!(chosen(&["solana/charge", value]), "session charge", "{value}");
        }
    }
}
