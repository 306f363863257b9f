//! The two payloads that pay a charge.

use std::fmt;

use serde_json::Value;
use solana_signature::Signature;

use crate::json::{Base64, Members, Object};
use crate::{CredentialError, base64_encode};

/// How a charge is paid.
#[derive(Clone, PartialEq, Eq)]
pub enum ChargePayload {
    /// Pull: a transaction, signed by the payer, that the server sends. A sponsor's signature is still zeros.
    Transaction(Vec<u8>),
    /// Push: the signature of a transaction that the payer sent, and that is at least confirmed.
    Signature(Signature),
}

impl ChargePayload {
    /// The value of `payload.type`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Transaction(_) => "transaction",
            Self::Signature(_) => "signature",
        }
    }

    /// The payload as JSON.
    pub fn to_json(&self) -> Value {
        let payload = Object::default().text("type", self.name());
        match self {
            Self::Transaction(bytes) => payload.text(self.name(), base64_encode(bytes)),
            Self::Signature(signature) => payload.text(self.name(), signature),
        }
        .into_value()
    }

    pub(super) fn read(payload: &Members<'_>) -> Result<Self, CredentialError> {
        if payload.has("action") {
            return Err(CredentialError::SessionPayload);
        }
        let kind: String = payload.get("type")?;
        match kind.as_str() {
            "transaction" => Ok(Self::Transaction(payload.get::<Base64>("transaction")?.0)),
            "signature" => Ok(Self::Signature(payload.get("signature")?)),
            _ => Err(CredentialError::UnknownPayload(kind.chars().take(32).collect())),
        }
    }
}

impl fmt::Debug for ChargePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transaction(bytes) => f.debug_struct("Transaction").field("bytes", &bytes.len()).finish(),
            Self::Signature(signature) => f.debug_tuple("Signature").field(signature).finish(),
        }
    }
}
