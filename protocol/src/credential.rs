//! The credential of an `Authorization: Payment` header: an echoed challenge and one of five actions.
//!
//! Reading a credential checks its shape only. Whether the challenge is ours, the transaction does what the
//! JSON says and the voucher verifies is asked elsewhere. Source: draft-solana-session, "Credential Schema".

mod action;
mod authentication;

use serde_json::Value;
use thiserror::Error;

pub use action::{Action, CloseAction, CloseAuthority, OpenAction, TopUpAction, UseAction, VoucherAction};
pub use authentication::{Authentication, PROOF_DOMAIN, ProofError};

use crate::json::{Members, Object};
use crate::{Challenge, EncodingError, JsonError};

/// An answer to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The challenge, echoed.
    pub challenge: Challenge,
    /// What the client wants done.
    pub action: Action,
    /// Who the client says it is; nothing proves it.
    pub source: Option<String>,
}

/// Why a credential cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// Larger than any credential.
    #[error("credential has {size} bytes, at most {limit} are read")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Not base64url, or more than one value.
    #[error("credential is {0}")]
    Encoding(#[from] EncodingError),
    /// Not JSON, or a member is missing or mistyped.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// None of the five actions.
    #[error("payload.action {0:?} is not open, voucher, use, topUp or close")]
    UnknownAction(String),
    /// A member that must not be there.
    #[error("payload.{member} is not allowed in {action}")]
    Forbidden {
        /// The member.
        member: &'static str,
        /// The action.
        action: &'static str,
    },
    /// A close carries both proofs, or neither.
    #[error("close takes either payload.voucher or payload.authentication")]
    CloseAuthority,
    /// The payload of a charge.
    #[error("payload has a type and no action: a charge payload does not answer a session challenge")]
    ChargePayload,
    /// The payload of a session.
    #[error("payload has an action: a session payload does not answer a charge challenge")]
    SessionPayload,
    /// None of the ways to pay a charge.
    #[error("payload.type {0:?} is not transaction or signature")]
    UnknownPayload(String),
    /// The shape used before the draft.
    #[error("superseded session wire: payload.{found} is no longer used, {expected} is expected")]
    Superseded {
        /// The member that gives it away.
        found: &'static str,
        /// What the draft has in its place.
        expected: &'static str,
    },
}

impl Credential {
    /// The credential as JSON.
    pub fn to_json(&self) -> Value {
        Object::default()
            .with("challenge", self.challenge.to_json())
            .with("payload", self.action.to_json())
            .maybe_text("source", self.source.as_ref())
            .into_value()
    }

    /// Reads a credential. Unknown members are ignored, except those that an action forbids.
    pub fn from_json(value: &Value) -> Result<Self, CredentialError> {
        let credential = match value {
            Value::Object(_) => Members::of(value, "")?,
            _ => Members::of(value, "credential")?,
        };
        Ok(Self {
            challenge: Challenge::read(&credential.object("challenge")?)?,
            action: Action::read(&credential.object("payload")?)?,
            source: credential.find("source")?,
        })
    }
}

impl serde::Serialize for Credential {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}
