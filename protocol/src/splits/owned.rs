//! Splits as a list: what a configuration names and JSON carries.

use serde_json::Value;
use sha2::{Digest, Sha256};
use solana_pubkey::Pubkey;

use super::{BPS_DENOMINATOR, SPLIT_SIZE, SplitsError, SplitsPreimage};
use crate::JsonError;
use crate::json::{read_splits, serde_through_json, write_splits};

/// One recipient's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Split {
    /// The owner of the token account that is paid.
    pub recipient: Pubkey,
    /// Ten-thousandths of everything settled.
    pub share_bps: u16,
}

/// Checked splits, in order. The order is part of the hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Splits(Vec<Split>);

impl Splits {
    /// Checks `splits` by the rules of [`SplitsPreimage::parse`].
    pub fn new(splits: Vec<Split>) -> Result<Self, SplitsError> {
        let splits = Self(splits);
        SplitsPreimage::parse(&splits.preimage())?;
        Ok(splits)
    }

    /// No recipients: the payee gets everything.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Reads a whole preimage.
    pub fn from_preimage(bytes: &[u8]) -> Result<Self, SplitsError> {
        let splits = SplitsPreimage::parse(bytes)?
            .iter()
            .map(|(recipient, share_bps)| Split { recipient: Pubkey::new_from_array(*recipient), share_bps });
        Ok(Self(splits.collect()))
    }

    /// The canonical bytes: the tail of `open` and the data of `distribute`.
    pub fn preimage(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + self.0.len() * SPLIT_SIZE);
        bytes.extend_from_slice(&u32::try_from(self.0.len()).unwrap_or(u32::MAX).to_le_bytes());
        for split in &self.0 {
            bytes.extend_from_slice(split.recipient.as_ref());
            bytes.extend_from_slice(&split.share_bps.to_le_bytes());
        }
        bytes
    }

    /// SHA-256 of the canonical bytes: `distribution_hash` in the channel account.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.preimage()).into()
    }

    /// The splits, in order.
    pub fn as_slice(&self) -> &[Split] {
        &self.0
    }

    /// Whether the payee gets everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `key` is one of the recipients.
    pub fn contains(&self, key: &Pubkey) -> bool {
        self.0.iter().any(|split| split.recipient == *key)
    }

    /// The splits as a JSON array of `{recipient, shareBps}`.
    pub fn to_json(&self) -> Value {
        write_splits(self)
    }

    /// Reads such an array.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        let invalid = || JsonError::Invalid { member: "splits".to_owned(), expected: "an array" };
        read_splits(value.as_array().ok_or_else(invalid)?, "splits")
    }

    /// The payee's share: what the others leave.
    pub fn payee_bps(&self) -> u16 {
        BPS_DENOMINATOR - self.0.iter().map(|split| split.share_bps).sum::<u16>()
    }
}

serde_through_json!(Splits);
