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
