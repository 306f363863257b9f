//! Problem documents (RFC 9457): why a request was refused.

use serde_json::{Map, Value};

use crate::json::{Members, Object, serde_through_json};
use crate::{JsonError, RefusalCode, canonical_json, parse_json};

/// Where the scheme's problem types live.
pub const PROBLEM_BASE: &str = "https://paymentauth.org/problems/";

/// A problem type. Refusals of a session credential use only `malformed-credential`, `invalid-challenge`,
/// `payment-expired` and `verification-failed`.
///
/// Sources: draft-httpauth-payment-01, "Error Codes"; draft-solana-session, "Error Responses".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemType {
    /// No credential came with the request.
    PaymentRequired,
    /// The payment is too small.
    PaymentInsufficient,
    /// The challenge expired.
    PaymentExpired,
    /// The proof of payment does not hold.
    VerificationFailed,
    /// The credential cannot be read.
    MalformedCredential,
    /// The credential can be read, but its payload is none of the method's.
    InvalidPayload,
    /// The challenge is unknown, altered or used.
    InvalidChallenge,
    /// The method is not accepted.
    MethodUnsupported,
    /// The request itself cannot be understood.
    BadRequest,
    /// The server cannot tell whether it was paid.
    InternalPaymentError,
    /// `about:blank`: nothing beyond the status code.
    Blank,
    /// A type this crate does not know.
    Other(String),
}

const KNOWN: [(ProblemType, &str, &str); 11] = [
    (ProblemType::PaymentRequired, "https://paymentauth.org/problems/payment-required", "Payment required"),
    (
        ProblemType::PaymentInsufficient,
        "https://paymentauth.org/problems/payment-insufficient",
        "Payment insufficient",
    ),
    (ProblemType::PaymentExpired, "https://paymentauth.org/problems/payment-expired", "Payment expired"),
    (
        ProblemType::VerificationFailed,
        "https://paymentauth.org/problems/verification-failed",
        "Verification failed",
    ),
    (
        ProblemType::MalformedCredential,
        "https://paymentauth.org/problems/malformed-credential",
        "Malformed credential",
    ),
    (
        ProblemType::InvalidChallenge,
        "https://paymentauth.org/problems/invalid-challenge",
        "Invalid challenge",
    ),
    (
        ProblemType::MethodUnsupported,
        "https://paymentauth.org/problems/method-unsupported",
        "Payment method unsupported",
    ),
    (ProblemType::InvalidPayload, "https://paymentauth.org/problems/invalid-payload", "Invalid payload"),
    (ProblemType::BadRequest, "https://paymentauth.org/problems/bad-request", "Bad request"),
    (
        ProblemType::InternalPaymentError,
        "https://paymentauth.org/problems/internal-payment-error",
        "Internal payment error",
    ),
    (ProblemType::Blank, "about:blank", "Request refused"),
];

impl ProblemType {
    /// The type's URI.
    pub fn uri(&self) -> &str {
        match self {
            Self::Other(uri) => uri,
            known => KNOWN.iter().find(|(kind, _, _)| kind == known).map_or("about:blank", |(_, uri, _)| uri),
        }
    }

    /// The type's title: the same text every time.
    pub fn title(&self) -> &'static str {
        KNOWN.iter().find(|(kind, _, _)| kind == self).map_or("Request refused", |(_, _, title)| title)
    }

    /// What older clients of the scheme know the type by, if they do.
    pub fn urn(&self) -> Option<&'static str> {
        match self {
            Self::PaymentRequired => Some("urn:ietf:params:payment:error:payment-required"),
            Self::PaymentExpired => Some("urn:ietf:params:payment:error:expired"),
            Self::MalformedCredential | Self::InvalidPayload | Self::BadRequest => {
                Some("urn:ietf:params:payment:error:invalid")
            }
            Self::VerificationFailed | Self::InvalidChallenge | Self::PaymentInsufficient => {
                Some("urn:ietf:params:payment:error:verification-failed")
            }
            Self::MethodUnsupported => Some("urn:ietf:params:payment:error:method-unsupported"),
            Self::InternalPaymentError | Self::Blank | Self::Other(_) => None,
        }
    }

    fn from_uri(uri: String) -> Self {
        let known = KNOWN.iter().find(|(_, known, _)| *known == uri);
        known.map_or(Self::Other(uri), |(kind, _, _)| kind.clone())
    }
}

/// The recommended phrase of a status that refusals come with (RFC 9110, 15).
fn phrase(status: u16) -> &'static str {
    match status {
        404 => "Not Found",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => ProblemType::Blank.title(),
    }
}

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem.
    pub kind: ProblemType,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// The cause, for programs.
    pub code: Option<String>,
    /// Further members, such as `requiredCumulative`.
    pub extra: Map<String, Value>,
}

const STANDARD_MEMBERS: [&str; 6] = ["type", "title", "status", "detail", "code", "urn"];

impl Problem {
    /// A problem of `kind`.
    pub fn new(kind: ProblemType, status: u16, detail: impl Into<String>) -> Self {
        // RFC 9457, 4.2.1: "about:blank" is titled like its status.
        let title = if kind == ProblemType::Blank { phrase(status) } else { kind.title() };
        Self { title: title.to_owned(), kind, status, detail: detail.into(), code: None, extra: Map::new() }
    }

    /// A refusal for `code`, at its usual status.
    pub fn refusal(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self::new(code.problem_type(), code.status(), detail).code(code.as_str())
    }

    /// The cause, when it is one of this crate's.
    pub fn refusal_code(&self) -> Option<RefusalCode> {
        self.code.as_deref()?.parse().ok()
    }

    /// The problem with a machine-readable cause.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The problem with one more member. The standard names are not for this and are left as they are.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if !STANDARD_MEMBERS.contains(&name) {
            self.extra.insert(name.to_owned(), value.into());
        }
        self
    }

    /// The document as JSON.
    pub fn to_json(&self) -> Value {
        let document = Object::default()
            .text("type", self.kind.uri())
            .text("title", &self.title)
            .with("status", self.status)
            .text("detail", &self.detail)
            .maybe_text("code", self.code.as_ref())
            .maybe_text("urn", self.kind.urn());
        let extra = self.extra.iter().filter(|(name, _)| !STANDARD_MEMBERS.contains(&name.as_str()));
        extra.fold(document, |document, (name, value)| document.with(name, value.clone())).into_value()
    }

    /// The body of a response: canonical JSON, for `application/problem+json`.
    pub fn body(&self) -> Vec<u8> {
        // A value of finite numbers always serializes.
        canonical_json(&self.to_json()).unwrap_or_default()
    }

    /// Reads a problem document. Absent members take RFC 9457's defaults; unknown ones are kept.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        let problem = Members::of(value, "problem")?;
        let kind = problem.find::<String>("type")?.map_or(ProblemType::Blank, ProblemType::from_uri);
        let extra = value.as_object().into_iter().flatten();
        let extra = extra.filter(|(name, _)| !STANDARD_MEMBERS.contains(&name.as_str()));
        Ok(Self {
            title: problem.find("title")?.unwrap_or_else(|| kind.title().to_owned()),
            kind,
            status: problem.find("status")?.unwrap_or(0),
            detail: problem.find("detail")?.unwrap_or_default(),
            code: problem.find("code")?,
            extra: extra.map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    /// Reads the body of a response.
    pub fn parse(body: &[u8]) -> Result<Self, JsonError> {
        Self::from_json(&parse_json(body)?)
    }
}

serde_through_json!(Problem);
