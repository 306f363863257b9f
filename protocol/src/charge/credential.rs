//! The credential that answers a charge, and the one that may answer either intent.

use serde_json::Value;

use super::{CHARGE_INTENT, ChargePayload};
use crate::json::{Members, Object};
use crate::{Challenge, Credential, CredentialError};

/// An answer to a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeCredential {
    /// The challenge, echoed.
    pub challenge: Challenge,
    /// The payment.
    pub payload: ChargePayload,
    /// Who the client says it is; nothing proves it.
    pub source: Option<String>,
}

impl ChargeCredential {
    /// The credential as JSON.
    pub fn to_json(&self) -> Value {
        Object::default()
            .with("challenge", self.challenge.to_json())
            .with("payload", self.payload.to_json())
            .maybe_text("source", self.source.as_ref())
            .into_value()
    }

    /// Reads a credential. Unknown members are ignored.
    pub fn from_json(value: &Value) -> Result<Self, CredentialError> {
        let credential = match value {
            Value::Object(_) => Members::of(value, "")?,
            _ => Members::of(value, "credential")?,
        };
        Ok(Self {
            challenge: Challenge::read(&credential.object("challenge")?)?,
            payload: ChargePayload::read(&credential.object("payload")?)?,
            source: credential.find("source")?,
        })
    }
}

/// A credential for either intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentCredential {
    /// Answers a `session` challenge.
    Session(Credential),
    /// Answers a `charge` challenge.
    Charge(ChargeCredential),
}

impl PaymentCredential {
    /// The challenge it echoes.
    pub const fn challenge(&self) -> &Challenge {
        match self {
            Self::Session(credential) => &credential.challenge,
            Self::Charge(credential) => &credential.challenge,
        }
    }

    /// The credential as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Session(credential) => credential.to_json(),
            Self::Charge(credential) => credential.to_json(),
        }
    }

    /// Reads a credential by the intent of the challenge it echoes; one of neither intent is read as a session's.
    pub fn from_json(value: &Value) -> Result<Self, CredentialError> {
        let intent = value.get("challenge").and_then(|challenge| challenge.get("intent"));
        if intent.and_then(Value::as_str) == Some(CHARGE_INTENT) {
            ChargeCredential::from_json(value).map(Self::Charge)
        } else {
            Credential::from_json(value).map(Self::Session)
        }
    }
}

impl From<Credential> for PaymentCredential {
    fn from(credential: Credential) -> Self {
        Self::Session(credential)
    }
}

impl From<ChargeCredential> for PaymentCredential {
    fn from(credential: ChargeCredential) -> Self {
        Self::Charge(credential)
    }
}
