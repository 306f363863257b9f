//! The receipt of a paid response or a lifecycle step.

use serde_json::Value;
use solana_signature::Signature;

use crate::challenge::{format_time, parse_time};
use crate::json::{Members, Object, serde_through_json};
use crate::{Amount, ChannelId, INTENT, JsonError, METHOD};

/// What the server says it accepted and charged. A client compares it with what it signed.
///
/// Source: draft-solana-session, "Receipt Format".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The channel.
    pub reference: ChannelId,
    /// When it was issued, in unix seconds; written as the nearest time from 1970 to 9999.
    pub timestamp: i64,
    /// The challenge that was answered.
    pub challenge_id: Option<String>,
    /// Highest accepted voucher amount.
    pub accepted_cumulative: Amount,
    /// Charged so far; after a close, settled in all.
    pub spent: Amount,
    /// Idle timeout in force, in seconds.
    pub idle_timeout: u32,
    /// After a close: the transaction that settled.
    pub tx_hash: Option<Signature>,
    /// After a close: what went back to the payer.
    pub refunded: Option<Amount>,
}

/// A receipt's members in the order of canonical JSON (RFC 8785), by their names on the wire.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Canonical<'a> {
    accepted_cumulative: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge_id: Option<&'a str>,
    idle_timeout_seconds: u32,
    intent: &'static str,
    method: &'static str,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded: Option<String>,
    spent: String,
    status: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_hash: Option<String>,
}

/// The last second that RFC 3339 can write.
pub(crate) const LAST_SECOND: i64 = 253_402_300_799;

impl Receipt {
    /// The receipt as JSON.
    pub fn to_json(&self) -> Value {
        let timestamp = format_time(self.timestamp.clamp(0, LAST_SECOND));
        Object::default()
            .text("method", METHOD)
            .text("intent", INTENT)
            .text("status", "success")
            .text("reference", self.reference)
            .text("timestamp", timestamp.expect("RFC 3339 writes the years 1970 to 9999"))
            .maybe_text("challengeId", self.challenge_id.as_ref())
            .text("acceptedCumulative", self.accepted_cumulative)
            .text("spent", self.spent)
            .with("idleTimeoutSeconds", self.idle_timeout)
            .maybe_text("txHash", self.tx_hash)
            .maybe_text("refunded", self.refunded)
            .into_value()
    }

    /// [`Receipt::to_json`] as canonical JSON. Every paid answer waits for one, so no values are made on the way.
    pub(crate) fn to_canonical_json(&self) -> Vec<u8> {
        let timestamp = format_time(self.timestamp.clamp(0, LAST_SECOND));
        let canonical = Canonical {
            accepted_cumulative: self.accepted_cumulative.get().to_string(),
            challenge_id: self.challenge_id.as_deref(),
            idle_timeout_seconds: self.idle_timeout,
            intent: INTENT,
            method: METHOD,
            reference: self.reference.to_string(),
            refunded: self.refunded.map(|refunded| refunded.get().to_string()),
            spent: self.spent.get().to_string(),
            status: "success",
            timestamp: timestamp.expect("RFC 3339 writes the years 1970 to 9999"),
            tx_hash: self.tx_hash.map(|signature| signature.to_string()),
        };
        serde_json::to_vec(&canonical).expect("strings and integers serialize")
    }

    /// Reads a session receipt. Unknown members are ignored.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        let receipt = Members::of(value, "receipt")?;
        receipt.exactly("method", METHOD)?;
        receipt.exactly("intent", INTENT)?;
        receipt.exactly("status", "success")?;
        let timestamp = parse_time(&receipt.get::<String>("timestamp")?);
        Ok(Self {
            reference: receipt.get("reference")?,
            timestamp: timestamp.map_err(|_| receipt.invalid("timestamp", "an RFC 3339 time"))?,
            challenge_id: receipt.find("challengeId")?,
            accepted_cumulative: receipt.get("acceptedCumulative")?,
            spent: receipt.get("spent")?,
            idle_timeout: receipt.get("idleTimeoutSeconds")?,
            tx_hash: receipt.find("txHash")?,
            refunded: receipt.find("refunded")?,
        })
    }
}

serde_through_json!(Receipt);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical_json;

    #[test]
    fn a_receipt_is_written_as_its_values_are_canonically() {
        let mut receipt = Receipt {
            reference: ChannelId::new([7; 32]),
            timestamp: 1_790_000_000,
            challenge_id: Some("a \"challenge\"\n\u{1}é".to_owned()),
            accepted_cumulative: Amount::new(u64::MAX),
            spent: Amount::ZERO,
            idle_timeout: u32::MAX,
            tx_hash: Some(Signature::from([9; 64])),
            refunded: Some(Amount::new(5)),
        };
        for _ in 0..2 {
            let values = canonical_json(&receipt.to_json()).expect("canonical");
            assert_eq!(String::from_utf8(receipt.to_canonical_json()), String::from_utf8(values));
            receipt = Receipt { challenge_id: None, tx_hash: None, refunded: None, ..receipt };
        }
    }
}
