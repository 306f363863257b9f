//! The ceiling: a promise made before the price is known, of which the payee captures a part. Its 50 bytes.

#[cfg(feature = "std")]
mod signed;

#[cfg(feature = "std")]
pub use signed::SignedCeiling;

use crate::voucher::{self, BadMagic};
use crate::{Amount, ChannelId, VOUCHER_SIZE};

/// First two bytes of every ceiling: `C` and the format version. Not `V`: the numbers after that letter are the
/// draft's to give out.
pub const CEILING_MAGIC: [u8; 2] = [0x43, 0x01];

/// A promise that the payee may settle what it used, up to `maximum` in all.
///
/// | offset | length | field |
/// |---|---|---|
/// | 0 | 2 | magic `43 01` |
/// | 2 | 32 | channel address |
/// | 34 | 8 | maximum, u64 LE: a cumulative amount |
/// | 42 | 8 | expiry, i64 LE unix seconds, 0 = never |
///
/// A voucher but for the magic, which only `settle_up_to` takes, and only from the payee. Whoever else learns of a
/// ceiling, as everyone does once a part of it was captured, can settle nothing with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ceiling {
    /// The channel it draws on.
    pub channel_id: ChannelId,
    /// The most that may be settled with it: total since the channel opened, never a delta.
    pub maximum: Amount,
    /// Unix seconds from which nothing more of it settles; 0 means never.
    pub expires_at: i64,
}

impl Ceiling {
    /// The 50 bytes to sign.
    pub fn encode(&self) -> [u8; VOUCHER_SIZE] {
        voucher::encode(CEILING_MAGIC, &self.channel_id, self.maximum, self.expires_at)
    }

    /// Reads the 50 bytes back.
    pub fn decode(bytes: &[u8; VOUCHER_SIZE]) -> Result<Self, BadMagic> {
        let (channel_id, maximum, expires_at) = voucher::decode(CEILING_MAGIC, bytes)?;
        Ok(Self { channel_id, maximum, expires_at })
    }

    /// Whether the channel program calls it expired at `now` (unix seconds), by the rule for vouchers.
    pub const fn is_expired(&self, now: i64) -> bool {
        self.expires_at != 0 && now >= self.expires_at
    }
}
