//! The challenge of a 402: its fields, and the id that binds them.
//!
//! The id is an HMAC-SHA256 of the other fields, so a server recognizes its own challenges without storing
//! them. It binds neither URI nor time: whoever accepts one compares the terms with the route and reads
//! `expires`. Source: draft-httpauth-payment, "Challenge Binding".

mod field;
mod secret;

use std::collections::BTreeMap;

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use field::CredentialField;
pub use secret::{ChallengeSecret, SECRET_MIN};

use crate::json::{Members, Object, serde_through_json};
use crate::{
    CHARGE_INTENT, ChargeError, ChargeRequest, EncodingError, JsonError, MAX_HEADER, RequestError,
    SessionRequest, base64url_decode, base64url_encode, canonical_json, parse_json,
};

/// The payment method of this crate.
pub const METHOD: &str = "solana";

/// The intent of this crate.
pub const INTENT: &str = "session";

/// A payment challenge, field by field as it was or will be on the wire.
///
/// `request` and `opaque` stay the raw base64url text, because that text is what the id binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Binds the other fields; opaque to clients.
    pub id: String,
    /// Protection space.
    pub realm: String,
    /// Payment method, lowercase letters.
    pub method: String,
    /// What is asked for: `session`, `charge`, …
    pub intent: String,
    /// base64url of the canonical JSON request.
    pub request: String,
    /// RFC 3339 time after which the challenge is not answered any more.
    pub expires: Option<String>,
    /// Digest of the request body the challenge is for.
    pub digest: Option<String>,
    /// Text for a person; not bound by the id.
    pub description: Option<String>,
    /// base64url of a flat JSON object of strings that the client returns untouched.
    pub opaque: Option<String>,
    /// The header field that the credential belongs in.
    pub field: CredentialField,
}

/// A protection space that can stand in a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm(String);

impl Realm {
    /// Checks `text`: printable ASCII, not empty, and no `|`, which separates the fields under the id.
    pub fn new(text: impl Into<String>) -> Result<Self, ChallengeError> {
        let text = text.into();
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'|');
        if text.is_empty() || !printable { Err(ChallengeError::Realm(text)) } else { Ok(Self(text)) }
    }

    /// The realm as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request that a challenge of this crate can hold.
pub trait IntentRequest: serde::Serialize {
    /// The intent it belongs to.
    const INTENT: &'static str;
}

impl IntentRequest for SessionRequest {
    const INTENT: &'static str = INTENT;
}

impl IntentRequest for ChargeRequest {
    const INTENT: &'static str = CHARGE_INTENT;
}

/// What goes into a challenge besides its id.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a, R = SessionRequest> {
    /// The server's protection space.
    pub realm: &'a Realm,
    /// The terms.
    pub request: &'a R,
    /// Unix seconds after which the challenge is not answered any more.
    pub expires_at: i64,
    /// Returned untouched by the client. Put a random nonce here: equal offers have equal ids.
    pub opaque: &'a BTreeMap<String, String>,
}

/// Why a challenge cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChallengeError {
    /// The realm cannot stand in a challenge.
    #[error("realm {0:?} is empty or has a character other than printable ASCII without |")]
    Realm(String),
    /// The secret is too short to bind anything.
    #[error("challenge secret has {0} bytes, at least {SECRET_MIN} are needed")]
    ShortSecret(usize),
    /// Not a time that RFC 3339 can write, or not such a text.
    #[error("expires {0:?} is not an RFC 3339 time")]
    Expires(String),
    /// `request` or `opaque` is larger than any header.
    #[error("{member} has {size} bytes, at most {MAX_HEADER} are read")]
    TooLarge {
        /// Which field.
        member: &'static str,
        /// Its size.
        size: usize,
    },
    /// `request` or `opaque` is not base64url.
    #[error("{member} is {source}")]
    Encoding {
        /// Which field.
        member: &'static str,
        /// What is wrong with it.
        source: EncodingError,
    },
    /// `request` or `opaque` is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The challenge is for another method or intent.
    #[error("challenge is {method}/{intent}, which is not what was asked")]
    OtherIntent {
        /// Its method.
        method: String,
        /// Its intent.
        intent: String,
    },
    /// The request breaks a rule of the session intent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The request breaks a rule of the charge intent.
    #[error(transparent)]
    Charge(#[from] ChargeError),
}

impl Challenge {
    /// Makes a challenge under the current secret.
    ///
    /// Fails only when `expires_at` is a time that RFC 3339 cannot write.
    pub fn issue<R: IntentRequest>(
        secret: &ChallengeSecret,
        offer: Offer<'_, R>,
    ) -> Result<Self, ChallengeError> {
        Self::issue_for_body(secret, offer, None)
    }

    /// The same, bound to a request body by its `digest` ([`crate::BodyDigest`]).
    pub fn issue_for_body<R: IntentRequest>(
        secret: &ChallengeSecret,
        offer: Offer<'_, R>,
        digest: Option<String>,
    ) -> Result<Self, ChallengeError> {
        let mut challenge = Self {
            id: String::new(),
            realm: offer.realm.as_str().to_owned(),
            method: METHOD.to_owned(),
            intent: R::INTENT.to_owned(),
            request: base64url_encode(canonical_json(offer.request)?),
            expires: Some(format_time(offer.expires_at)?),
            digest,
            description: None,
            opaque: if offer.opaque.is_empty() {
                None
            } else {
                Some(base64url_encode(canonical_json(offer.opaque)?))
            },
            field: CredentialField::Authorization,
        };
        challenge.id = challenge.id_under(secret.current());
        Ok(challenge)
    }

    /// The same challenge, for a credential in `field`, under the current secret.
    #[must_use]
    pub fn answered_in(self, field: CredentialField, secret: &ChallengeSecret) -> Self {
        if self.field == field {
            return self;
        }
        let mut challenge = Self { field, ..self };
        challenge.id = challenge.id_under(secret.current());
        challenge
    }

    /// The id of these fields under `key`: base64url of an HMAC-SHA256 over seven fields joined by `|`, and an eighth
    /// where the challenge has a `header` parameter.
    pub fn id_under(&self, key: &[u8]) -> String {
        base64url_encode(self.mac(key).finalize().into_bytes())
    }

    /// Whether this server made the challenge: its id is right under the current or the previous secret.
    ///
    /// Takes as long for a wrong id as for a right one of the same length.
    pub fn is_authentic(&self, secret: &ChallengeSecret) -> bool {
        let Ok(id) = base64url_decode(&self.id) else { return false };
        // A padded spelling of the id is another id.
        self.id.len() == 43 && secret.keys().any(|key| self.mac(key).verify_slice(&id).is_ok())
    }

    fn mac(&self, key: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        let slots = [
            Some(&self.realm),
            Some(&self.method),
            Some(&self.intent),
            Some(&self.request),
            self.expires.as_ref(),
            self.digest.as_ref(),
            self.opaque.as_ref(),
        ];
        for (index, slot) in slots.into_iter().enumerate() {
            if index > 0 {
                mac.update(b"|");
            }
            mac.update(slot.map_or(&[], |text| text.as_bytes()));
        }
        // Last and only where it is there, so that ids without it stay what they were. Nobody but the issuer makes ids:
        // peers that put it before `opaque` are none the worse.
        if let Some(parameter) = self.field.parameter() {
            mac.update(b"|");
            mac.update(parameter.as_bytes());
        }
        mac
    }

    /// When the challenge expires, in unix seconds; fractions are dropped. `None` when it does not say.
    pub fn expires_at(&self) -> Result<Option<i64>, ChallengeError> {
        self.expires.as_deref().map(parse_time).transpose()
    }

    /// The decoded and checked request of a `solana`/`session` challenge.
    pub fn session_request(&self) -> Result<SessionRequest, ChallengeError> {
        Ok(SessionRequest::from_json(&self.request_of(INTENT)?)?)
    }

    /// The decoded and checked request of a `solana`/`charge` challenge.
    pub fn charge_request(&self) -> Result<ChargeRequest, ChallengeError> {
        Ok(ChargeRequest::from_json(&self.request_of(CHARGE_INTENT)?)?)
    }

    fn request_of(&self, intent: &str) -> Result<Value, ChallengeError> {
        if self.method != METHOD || self.intent != intent {
            let (method, intent) = (self.method.clone(), self.intent.clone());
            return Err(ChallengeError::OtherIntent { method, intent });
        }
        decode("request", &self.request)
    }

    /// The members of `opaque`; none when the challenge has none.
    pub fn opaque_members(&self) -> Result<BTreeMap<String, String>, ChallengeError> {
        let Some(opaque) = &self.opaque else { return Ok(BTreeMap::new()) };
        let opaque = decode("opaque", opaque)?;
        let flat = opaque.as_object().and_then(|members| {
            let member = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
            members.iter().map(member).collect()
        });
        let expected = "a flat object of strings";
        flat.ok_or_else(|| JsonError::Invalid { member: "opaque".to_owned(), expected }.into())
    }

    /// The challenge as it is echoed in a credential.
    pub fn to_json(&self) -> Value {
        Object::default()
            .text("id", &self.id)
            .text("realm", &self.realm)
            .text("method", &self.method)
            .text("intent", &self.intent)
            .text("request", &self.request)
            .maybe_text("expires", self.expires.as_ref())
            .maybe_text("digest", self.digest.as_ref())
            .maybe_text("description", self.description.as_ref())
            .maybe_text("opaque", self.opaque.as_ref())
            .maybe_text("header", self.field.parameter())
            .into_value()
    }

    /// Reads an echoed challenge. Unknown members are ignored.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        Self::read(&Members::of(value, "challenge")?)
    }

    pub(crate) fn read(challenge: &Members<'_>) -> Result<Self, JsonError> {
        let id: String = challenge.get("id")?;
        if id.is_empty() {
            return Err(challenge.invalid("id", "a string that is not empty"));
        }
        let header: Option<String> = challenge.find("header")?;
        let field = CredentialField::selected_by(header.as_deref())
            .ok_or_else(|| challenge.invalid("header", "Payment-Authorization or absent"))?;
        Ok(Self {
            id,
            realm: challenge.get("realm")?,
            method: challenge.get("method")?,
            intent: challenge.get("intent")?,
            request: challenge.get("request")?,
            expires: challenge.find("expires")?,
            digest: challenge.find("digest")?,
            description: challenge.find("description")?,
            opaque: challenge.find("opaque")?,
            field,
        })
    }
}

/// Decodes the JSON in `request` or `opaque`.
fn decode(member: &'static str, text: &str) -> Result<Value, ChallengeError> {
    if text.len() > MAX_HEADER {
        return Err(ChallengeError::TooLarge { member, size: text.len() });
    }
    let bytes = base64url_decode(text).map_err(|source| ChallengeError::Encoding { member, source })?;
    Ok(parse_json(&bytes)?)
}

/// `at` (unix seconds) in RFC 3339, in UTC.
pub(crate) fn format_time(at: i64) -> Result<String, ChallengeError> {
    OffsetDateTime::from_unix_timestamp(at)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .ok_or_else(|| ChallengeError::Expires(at.to_string()))
}

/// Unix seconds of an RFC 3339 time; fractions are dropped.
pub(crate) fn parse_time(text: &str) -> Result<i64, ChallengeError> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(OffsetDateTime::unix_timestamp)
        .map_err(|_| ChallengeError::Expires(text.to_owned()))
}

serde_through_json!(Challenge);
