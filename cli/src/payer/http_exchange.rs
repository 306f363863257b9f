//! One HTTP request and its answer, in the words the payer needs.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use sha2::{Digest, Sha256};
use toll_protocol::{Amount, Problem, Receipt, parse_receipt, parse_u64};

use super::error::PayError;
use toll_chain::cause;

/// The header that makes a retry the same request.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a receipt.
pub const PAYMENT_RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");

/// How much of a server's explanation is worth a user's screen, in characters.
const MAX_WORDS: usize = 200;

/// A request that may have to be paid for.
#[derive(Clone, Debug)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// The resource.
    pub url: reqwest::Url,
    /// Headers of the caller; never payment headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET without headers.
    pub fn get(url: reqwest::Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether nobody on the way can read it: TLS, or a server on this machine.
    pub fn is_private(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        self.url.scheme() == "https"
            || host == "localhost"
            || address.is_some_and(|address| address.is_loopback())
    }

    /// Tells one request from another: SHA-256 over method, URL and body.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for part in [self.method.as_str().as_bytes(), self.url.as_str().as_bytes(), &self.body] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        toll_protocol::base64url_encode(digest.finalize())
    }
}

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
}

impl Response {
    /// The receipt, when there is one that can be read.
    pub fn receipt(&self) -> Result<Option<Receipt>, PayError> {
        let Some(value) = self.headers.get(PAYMENT_RECEIPT) else { return Ok(None) };
        parse_receipt(value.as_bytes())
            .map(Some)
            .map_err(|error| PayError::Dishonest(format!("unreadable receipt: {error}")))
    }

    /// The problem document, or what can be said without one.
    pub fn refusal(&self) -> Refusal {
        let problem = Problem::parse(&self.body).ok();
        let words = |fallback: &str| {
            let text = String::from_utf8_lossy(&self.body);
            let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
            if text.is_empty() { fallback.to_owned() } else { text }
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
            accepted: problem
                .as_ref()
                .and_then(|problem| problem.extra.get("acceptedCumulative"))
                .and_then(|accepted| parse_u64(accepted.as_str()?).ok())
                .map(Amount::new),
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

/// Sends `request` with further headers and reads the whole answer, if it has at most `limit` bytes.
pub(super) async fn send(
    client: &reqwest::Client,
    request: &Request,
    payment: &[(HeaderName, String)],
    limit: usize,
) -> Result<Response, PayError> {
    let unreachable =
        |error: reqwest::Error| PayError::Unreachable { url: request.origin(), reason: cause(&error) };
    let mut headers = request.headers.clone();
    for (name, value) in payment {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| PayError::Malformed(format!("{name} cannot be written as a header")))?;
        // Credentials stay out of debug output.
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let mut response = client
        .request(request.method.clone(), request.url.clone())
        .headers(headers)
        .body(request.body.clone())
        .send()
        .await
        .map_err(unreachable)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > limit {
            return Err(PayError::TooLarge { origin: request.origin(), limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body })
}

#[cfg(test)]
mod tests {
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
    fn the_fingerprint_tells_method_url_and_body_apart() {
        let request = Request::get("http://h/a".parse().unwrap());
        let others = [
            Request { method: Method::POST, ..request.clone() },
            Request { url: "http://h/b".parse().unwrap(), ..request.clone() },
            Request { body: b"x".to_vec(), ..request.clone() },
        ];
        for other in others {
            assert_ne!(other.fingerprint(), request.fingerprint());
        }
        assert_eq!(request.fingerprint(), request.clone().fingerprint());
    }

    #[test]
    fn only_tls_and_this_machine_are_private() {
        let private = |url: &str| Request::get(url.parse().unwrap()).is_private();
        for url in ["https://h/", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost:80/"] {
            assert!(private(url), "{url}");
        }
        for url in ["http://h/", "http://10.0.0.1/", "http://127.0.0.1.h/", "http://localhost.h/"] {
            assert!(!private(url), "{url}");
        }
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
