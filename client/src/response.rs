//! An answer, and what a server says in it about the payment.

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use toll_protocol::{
    Amount, ChargeReceipt, Problem, Receipt, RefusalCode, base64url_decode, parse_json, parse_receipt,
    parse_u64,
};

use crate::error::PayError;

/// The header of a receipt.
pub const PAYMENT_RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");

/// How much of a server's explanation is worth a user's screen, in characters.
const MAX_WORDS: usize = 200;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// What a refusal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The machine-readable cause; empty when the server gives none.
    pub code: String,
    /// The cause in words.
    pub detail: String,
    /// The accepted watermark, as the server claims it.
    pub accepted: Option<Amount>,
    /// What was charged, as the server claims it.
    pub spent: Option<Amount>,
    /// What is escrowed, as the server claims it.
    pub deposit: Option<Amount>,
}

impl Refusal {
    /// The code, if it is one that this version knows.
    pub fn code(&self) -> Option<RefusalCode> {
        self.code.parse().ok()
    }
}

impl Response {
    /// The receipt, when there is one that can be read.
    pub fn receipt(&self) -> Result<Option<Receipt>, PayError> {
        let Some(value) = self.headers.get(PAYMENT_RECEIPT) else { return Ok(None) };
        parse_receipt(value.as_bytes())
            .map(Some)
            .map_err(|error| PayError::Dishonest(format!("unreadable receipt: {error}")))
    }

    /// The receipt of a charge, when there is one that can be read.
    pub fn charge_receipt(&self) -> Result<Option<ChargeReceipt>, PayError> {
        let Some(value) = self.headers.get(PAYMENT_RECEIPT) else { return Ok(None) };
        let unreadable =
            |error: &dyn std::fmt::Display| PayError::Dishonest(format!("unreadable receipt: {error}"));
        let json = base64url_decode(value.as_bytes()).map_err(|error| unreadable(&error))?;
        let json = parse_json(&json).map_err(|error| unreadable(&error))?;
        ChargeReceipt::from_json(&json).map(Some).map_err(|error| unreadable(&error))
    }

    /// The problem document, or what can be said without one.
    pub fn refusal(&self) -> Refusal {
        let problem = Problem::parse(&self.body).ok();
        let words = |fallback: &str| {
            let text = String::from_utf8_lossy(&self.body);
            let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
            if text.is_empty() { fallback.to_owned() } else { text }
        };
        let amount = |member: &str| {
            let text = problem.as_ref()?.extra.get(member)?.as_str()?;
            parse_u64(text).ok().map(Amount::new)
        };
        let reason = self.status.canonical_reason().unwrap_or("no reason given");
        Refusal {
            status: self.status.as_u16(),
            code: problem.as_ref().and_then(|problem| problem.code.clone()).unwrap_or_default(),
            detail: match &problem {
                Some(problem) if !problem.detail.is_empty() => {
                    problem.detail.chars().take(MAX_WORDS).collect()
                }
                _ => words(reason),
            },
            // What is settled was accepted before.
            accepted: amount("acceptedCumulative").or_else(|| amount("settled")),
            spent: amount("spent"),
            deposit: amount("deposit"),
        }
    }

    /// How long the server asks to wait, at most ten seconds.
    pub fn retry_after(&self) -> Duration {
        let seconds = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Duration::from_secs(seconds.unwrap_or(1).min(10))
    }
}

impl From<Refusal> for PayError {
    fn from(refusal: Refusal) -> Self {
        let code = if refusal.code.is_empty() { "without a code".to_owned() } else { refusal.code };
        Self::Refused { status: refusal.status, code, detail: refusal.detail }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn response(status: u16, body: &str) -> Response {
        Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_problem_document_gives_code_detail_and_watermark() {
        let refusal = response(
            402,
            r#"{"type":"https://paymentauth.org/problems/verification-failed","status":402,
                "detail":"too low","code":"not-increasing","acceptedCumulative":"32"}"#,
        )
        .refusal();
        assert_eq!(refusal.code, "not-increasing");
        assert_eq!(refusal.detail, "too low");
        assert_eq!(refusal.accepted, Some(Amount::new(32)));
    }

    #[test]
    fn a_refusal_without_a_problem_document_still_says_something() {
        assert_eq!(response(402, "").refusal().detail, "Payment Required");
        assert_eq!(response(402, "no\nway").refusal().detail, "noway");
    }

    #[test]
    fn a_server_that_explains_itself_at_length_is_cut_short() {
        let body = serde_json::json!({"type": "about:blank", "status": 402, "detail": "x".repeat(10_000)});
        assert_eq!(response(402, &body.to_string()).refusal().detail.len(), MAX_WORDS);
    }

    #[test]
    fn a_wait_is_bounded_whatever_the_server_asks() {
        let mut slow = response(503, "");
        slow.headers.insert(RETRY_AFTER, HeaderValue::from_static("86400"));
        assert_eq!(slow.retry_after(), Duration::from_secs(10));
    }
}
