//! The three headers of the Payment scheme: `WWW-Authenticate`, `Authorization`, `Payment-Receipt`.
//!
//! Parsers take a header value of at most [`MAX_HEADER`] bytes and never panic. Source:
//! draft-httpauth-payment, "Challenge and Credential Syntax".

mod grammar;

use serde_json::Value;
use thiserror::Error;

use crate::{
    Challenge, Credential, CredentialError, CredentialField, JsonError, PaymentCredential, Receipt,
    base64url_decode, base64url_encode, canonical_json, parse_json,
};
use grammar::{Group, Param};

/// Largest header value that is read or written, in bytes.
pub const MAX_HEADER: usize = 16 * 1_024;

const SCHEME: &str = "Payment";

/// What a `WWW-Authenticate` value offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenges {
    /// Payment challenges, in order.
    pub payment: Vec<Challenge>,
    /// Other schemes, in order.
    pub others: Vec<String>,
    /// What was wrong with the challenges that could not be read.
    pub malformed: Vec<HeaderError>,
}

/// Why a header value cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Larger than [`MAX_HEADER`].
    #[error("header value has {0} bytes, at most {MAX_HEADER} are handled")]
    TooLarge(usize),
    /// The challenge list breaks the grammar.
    #[error("challenge breaks the grammar at {0:?}")]
    Syntax(String),
    /// A parameter comes twice.
    #[error("challenge parameter {0} appears twice")]
    DuplicateParameter(String),
    /// A required parameter is not there, or empty.
    #[error("challenge parameter {0} is missing or empty")]
    MissingParameter(&'static str),
    /// A parameter has a character it may not have.
    #[error("challenge parameter {0} has a character it may not have")]
    Parameter(&'static str),
    /// The credential would belong in a field that the scheme does not know.
    #[error("challenge selects the unknown credential field {0:?}")]
    CredentialField(String),
    /// Not base64url.
    #[error("header value is not base64url")]
    Encoding,
    /// Not the JSON it should be.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// Writes a challenge: every value quoted, in the order of the draft.
///
/// Refuses what a header cannot carry: control characters and anything outside ASCII.
pub fn format_www_authenticate(challenge: &Challenge) -> Result<String, HeaderError> {
    let selected = challenge.field.parameter().map(str::to_owned);
    let params = [
        ("id", Some(&challenge.id)),
        ("realm", Some(&challenge.realm)),
        ("method", Some(&challenge.method)),
        ("intent", Some(&challenge.intent)),
        ("request", Some(&challenge.request)),
        ("expires", challenge.expires.as_ref()),
        ("digest", challenge.digest.as_ref()),
        ("description", challenge.description.as_ref()),
        ("opaque", challenge.opaque.as_ref()),
        ("header", selected.as_ref()),
    ];
    check_names(&challenge.method, &challenge.intent)?;
    let mut value = String::new();
    for (name, text) in params {
        let Some(text) = text else { continue };
        // Under the id, an empty value and an absent one are the same.
        if text.is_empty() {
            return Err(HeaderError::MissingParameter(name));
        }
        value.push_str(if value.is_empty() { "Payment " } else { ", " });
        value.push_str(name);
        value.push('=');
        grammar::quote(&mut value, text).ok_or(HeaderError::Parameter(name))?;
    }
    sized(value)
}

/// Reads a `WWW-Authenticate` value: any number of challenges, of any schemes.
///
/// A challenge that cannot be read does not hide the others.
pub fn parse_www_authenticate(value: impl AsRef<[u8]>) -> Result<Challenges, HeaderError> {
    let value = value.as_ref();
    if value.len() > MAX_HEADER {
        return Err(HeaderError::TooLarge(value.len()));
    }
    let mut challenges = Challenges::default();
    for group in grammar::groups(value) {
        match group {
            Ok(group) if group.scheme.eq_ignore_ascii_case(SCHEME) => match challenge(group) {
                Ok(challenge) => challenges.payment.push(challenge),
                Err(error) => challenges.malformed.push(error),
            },
            Ok(group) => challenges.others.push(group.scheme),
            Err(error) => challenges.malformed.push(error),
        }
    }
    Ok(challenges)
}

/// A Payment challenge out of its parameters. Unknown ones are ignored.
fn challenge(group: Group) -> Result<Challenge, HeaderError> {
    let Group { params, .. } = group;
    for (index, param) in params.iter().enumerate() {
        if params[..index].iter().any(|earlier| earlier.name == param.name) {
            return Err(HeaderError::DuplicateParameter(param.name.clone()));
        }
    }
    let optional =
        |name| params.iter().find(|param: &&Param| param.name == name).map(|param| param.value.clone());
    let required =
        |name| optional(name).filter(|value| !value.is_empty()).ok_or(HeaderError::MissingParameter(name));
    let (method, intent) = (required("method")?, required("intent")?);
    check_names(&method, &intent)?;
    let header = optional("header");
    let field = CredentialField::selected_by(header.as_deref())
        .ok_or_else(|| HeaderError::CredentialField(header.unwrap_or_default()))?;
    Ok(Challenge {
        id: required("id")?,
        realm: required("realm")?,
        method,
        intent,
        request: required("request")?,
        expires: optional("expires"),
        digest: optional("digest"),
        description: optional("description"),
        opaque: optional("opaque"),
        field,
    })
}

/// Methods are lowercase letters; intents may have letters, digits and hyphens.
fn check_names(method: &str, intent: &str) -> Result<(), HeaderError> {
    if !method.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(HeaderError::Parameter("method"));
    }
    if !intent.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(HeaderError::Parameter("intent"));
    }
    Ok(())
}

/// Writes a credential.
pub fn format_authorization(credential: &Credential) -> Result<String, HeaderError> {
    sized(format!("{SCHEME} {}", base64url_encode(canonical_json(&credential.to_json())?)))
}

/// Reads a session credential from an `Authorization` value; `None` when it is of another scheme.
pub fn parse_authorization(value: impl AsRef<[u8]>) -> Option<Result<Credential, CredentialError>> {
    let credential = credential_of(value.as_ref())?;
    Some(parse_credential(credential).and_then(|json| Credential::from_json(&json)))
}

/// Writes a credential for either intent.
pub fn format_payment(credential: &PaymentCredential) -> Result<String, HeaderError> {
    sized(format!("{SCHEME} {}", base64url_encode(canonical_json(&credential.to_json())?)))
}

/// Reads a credential for either intent from an `Authorization` value; `None` when it is of another scheme.
pub fn parse_payment(value: impl AsRef<[u8]>) -> Option<Result<PaymentCredential, CredentialError>> {
    let credential = credential_of(value.as_ref())?;
    Some(parse_credential(credential).and_then(|json| PaymentCredential::from_json(&json)))
}

/// What follows the name of our scheme.
fn credential_of(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
    let (scheme, credential) = value.split_at(end);
    scheme.eq_ignore_ascii_case(SCHEME.as_bytes()).then(|| credential.trim_ascii())
}

fn parse_credential(text: &[u8]) -> Result<Value, CredentialError> {
    if text.len() > MAX_HEADER {
        return Err(CredentialError::TooLarge { size: text.len(), limit: MAX_HEADER });
    }
    Ok(parse_json(&base64url_decode(text)?)?)
}

/// Writes a receipt.
pub fn format_receipt(receipt: &Receipt) -> String {
    base64url_encode(receipt.to_canonical_json())
}

/// Reads a `Payment-Receipt` value.
pub fn parse_receipt(value: impl AsRef<[u8]>) -> Result<Receipt, HeaderError> {
    let value = value.as_ref().trim_ascii();
    if value.len() > MAX_HEADER {
        return Err(HeaderError::TooLarge(value.len()));
    }
    let json = base64url_decode(value).map_err(|_| HeaderError::Encoding)?;
    Ok(Receipt::from_json(&parse_json(&json)?)?)
}

fn sized(value: String) -> Result<String, HeaderError> {
    if value.len() > MAX_HEADER { Err(HeaderError::TooLarge(value.len())) } else { Ok(value) }
}
