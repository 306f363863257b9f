//! The voucher: a signed promise of a cumulative amount, and its 50 bytes.
//!
//! The same bytes are what the payer signs, what the Ed25519 precompile checks and what the channel
//! program reads back. Nothing of the JSON around a voucher is signed.

#[cfg(feature = "std")]
mod signed;

#[cfg(feature = "std")]
pub use signed::{SignedVoucher, VerifiedVoucher, VoucherError, VoucherKey, is_voucher_key};
#[cfg(feature = "std")]
pub(crate) use signed::{trust, verify_strict, verifying_key};

use crate::{Amount, ChannelId};

/// Size of the signed message.
pub const VOUCHER_SIZE: usize = 50;

/// First two bytes of every voucher: `V` and the format version.
pub const VOUCHER_MAGIC: [u8; 2] = [0x56, 0x01];

/// A promise that the payee may take up to `cumulative_amount` from a channel, in all.
///
/// | offset | length | field |
/// |---|---|---|
/// | 0 | 2 | magic `56 01` |
/// | 2 | 32 | channel address |
/// | 34 | 8 | cumulative amount, u64 LE |
/// | 42 | 8 | expiry, i64 LE unix seconds, 0 = never |
///
/// Source: draft-solana-session, "Voucher Format".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Voucher {
    /// The channel it draws on. The address binds payer, payee, mint, signer and incarnation.
    pub channel_id: ChannelId,
    /// Total authorized since the channel opened, never a delta.
    pub cumulative_amount: Amount,
    /// Unix seconds from which the voucher no longer settles; 0 means never.
    pub expires_at: i64,
}

/// The message does not start with the magic of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMagic;

/// The layout that vouchers and ceilings share.
pub(crate) fn encode(
    magic: [u8; 2],
    channel_id: &ChannelId,
    amount: Amount,
    expires_at: i64,
) -> [u8; VOUCHER_SIZE] {
    let mut bytes = [0; VOUCHER_SIZE];
    bytes[..2].copy_from_slice(&magic);
    bytes[2..34].copy_from_slice(channel_id.as_bytes());
    bytes[34..42].copy_from_slice(&amount.get().to_le_bytes());
    bytes[42..].copy_from_slice(&expires_at.to_le_bytes());
    bytes
}

/// Channel, amount and expiry of a message with this `magic`.
#[inline(always)]
pub(crate) fn decode(
    magic: [u8; 2],
    bytes: &[u8; VOUCHER_SIZE],
) -> Result<(ChannelId, Amount, i64), BadMagic> {
    let (found, rest) = bytes.split_first_chunk::<2>().expect("50 bytes hold 2");
    if *found != magic {
        return Err(BadMagic);
    }
    let (channel_id, rest) = rest.split_first_chunk::<32>().expect("48 bytes hold 32");
    let (amount, rest) = rest.split_first_chunk::<8>().expect("16 bytes hold 8");
    let (expires_at, _) = rest.split_first_chunk::<8>().expect("8 bytes hold 8");
    let amount = Amount::new(u64::from_le_bytes(*amount));
    Ok((ChannelId::new(*channel_id), amount, i64::from_le_bytes(*expires_at)))
}

impl Voucher {
    /// The 50 bytes to sign.
    pub fn encode(&self) -> [u8; VOUCHER_SIZE] {
        encode(VOUCHER_MAGIC, &self.channel_id, self.cumulative_amount, self.expires_at)
    }

    /// Reads the 50 bytes back.
    pub fn decode(bytes: &[u8; VOUCHER_SIZE]) -> Result<Self, BadMagic> {
        let (channel_id, cumulative_amount, expires_at) = decode(VOUCHER_MAGIC, bytes)?;
        Ok(Self { channel_id, cumulative_amount, expires_at })
    }

    /// Whether the channel program calls the voucher expired at `now` (unix seconds).
    ///
    /// Any non-zero expiry at or before `now` counts, so negative values are expired.
    pub const fn is_expired(&self, now: i64) -> bool {
        self.expires_at != 0 && now >= self.expires_at
    }
}
