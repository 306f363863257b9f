//! The receipt of a response that a charge paid for.

use serde_json::Value;
use solana_signature::Signature;

use crate::challenge::{format_time, parse_time};
use crate::json::{Members, Object, serde_through_json};
use crate::receipt::LAST_SECOND;
use crate::{JsonError, METHOD, base64url_encode, canonical_json};

/// What the server says it was paid by. Source: draft-solana-charge, "Receipt".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeReceipt {
    /// The transaction's signature.
    pub reference: Signature,
    /// When it was issued, in unix seconds; written as the nearest time from 1970 to 9999.
    pub timestamp: i64,
    /// The challenge that was answered.
    pub challenge_id: String,
}

impl ChargeReceipt {
    /// The receipt as JSON.
    pub fn to_json(&self) -> Value {
        let timestamp = format_time(self.timestamp.clamp(0, LAST_SECOND));
        Object::default()
            .text("method", METHOD)
            .text("status", "success")
            .text("reference", self.reference)
            .text("timestamp", timestamp.expect("RFC 3339 writes the years 1970 to 9999"))
            .text("challengeId", &self.challenge_id)
            .into_value()
    }

    /// Reads a charge's receipt. Unknown members are ignored.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        let receipt = Members::of(value, "receipt")?;
        receipt.exactly("method", METHOD)?;
        receipt.exactly("status", "success")?;
        let timestamp = parse_time(&receipt.get::<String>("timestamp")?);
        Ok(Self {
            reference: receipt.get("reference")?,
            timestamp: timestamp.map_err(|_| receipt.invalid("timestamp", "an RFC 3339 time"))?,
            challenge_id: receipt.get("challengeId")?,
        })
    }

    /// The value of a `Payment-Receipt` header.
    pub fn to_header(&self) -> String {
        base64url_encode(canonical_json(&self.to_json()).expect("strings serialize"))
    }
}

serde_through_json!(ChargeReceipt);
