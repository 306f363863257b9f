//! The batch voucher: one signature over the cumulative amounts of many channels, and its bytes.
//!
//! Whoever signs vouchers for many channels, as an operator does, signs one message for all of them, and one
//! transaction settles them. The message has no room for the channels' addresses: it carries their hash, and the
//! transaction's account list carries the addresses.

#[cfg(feature = "std")]
mod signed;

use core::fmt;

#[cfg(feature = "std")]
pub use signed::{BatchVoucher, SignedBatch};

use crate::Amount;

/// First two bytes of every batch: `V`, and 2 where a voucher has 1.
pub const BATCH_MAGIC: [u8; 2] = [0x56, 0x02];

/// Most channels of one batch. A transaction locks 64 accounts: these, the fee payer, the channel program, the
/// Ed25519 program and the instructions sysvar. The event authority takes the place of one channel, and so does a
/// compute-budget instruction.
pub const MAX_BATCH: usize = 60;

/// First bytes of what is hashed into [`BatchMessage::channels_hash`]: the message is the one that the reference
/// program's authors propose for batches (payment-channels, docs/004), so that a batch means the same to both.
pub const BATCH_DOMAIN: &[u8] = b"payment_channels:batch_voucher:v2";

const HEADER_SIZE: usize = 43;
const TARGET_SIZE: usize = 8;

/// Size of the signed message for `count` channels. Never that of a voucher.
pub const fn batch_size(count: usize) -> usize {
    HEADER_SIZE + TARGET_SIZE * count
}

/// Why a batch is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The message does not start with [`BATCH_MAGIC`].
    BadMagic,
    /// No channel, more than [`MAX_BATCH`], or another length than the count asks for.
    Size,
    /// A target of zero, which says nothing.
    ZeroTarget,
    /// One channel twice.
    DuplicateChannel,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMagic => f.write_str("message is not a batch voucher"),
            Self::Size => write!(f, "batch does not hold 1 to {MAX_BATCH} targets, as many as it says"),
            Self::ZeroTarget => f.write_str("batch has a target of zero"),
            Self::DuplicateChannel => f.write_str("batch names one channel twice"),
        }
    }
}

impl core::error::Error for BatchError {}

/// A promise for many channels: that each may have settled up to its target, in all.
///
/// | offset | length | field |
/// |---|---|---|
/// | 0 | 2 | magic `56 02` |
/// | 2 | 1 | number of channels, 1 to 60 |
/// | 3 | 8 | expiry, i64 LE unix seconds, 0 = never |
/// | 11 | 32 | SHA-256 of `domain`, program id, number u8, channel addresses in ascending order |
/// | 43 | 8 each | target, u64 LE: a cumulative amount, in the order of the addresses |
///
/// A target means what the cumulative amount of a voucher means: total since the channel opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMessage<'a> {
    expires_at: i64,
    channels_hash: &'a [u8; 32],
    targets: &'a [[u8; TARGET_SIZE]],
}

impl<'a> BatchMessage<'a> {
    /// Reads the signed bytes. Their length has to be exactly what the count says.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let rest = bytes.strip_prefix(&BATCH_MAGIC).ok_or(BatchError::BadMagic)?;
        let ([count], rest) = rest.split_first_chunk::<1>().ok_or(BatchError::Size)?;
        let (expires_at, rest) = rest.split_first_chunk::<8>().ok_or(BatchError::Size)?;
        let (channels_hash, rest) = rest.split_first_chunk::<32>().ok_or(BatchError::Size)?;
        let (targets, excess) = rest.as_chunks::<TARGET_SIZE>();
        let count = usize::from(*count);
        if !excess.is_empty() || targets.len() != count || count == 0 || count > MAX_BATCH {
            return Err(BatchError::Size);
        }
        Ok(Self { expires_at: i64::from_le_bytes(*expires_at), channels_hash, targets })
    }

    /// How many channels it is for.
    pub const fn count(&self) -> usize {
        self.targets.len()
    }

    /// Unix seconds from which it no longer settles; 0 means never.
    pub const fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// Whether the channel program calls it expired at `now` (unix seconds), by the rule for vouchers.
    pub const fn is_expired(&self, now: i64) -> bool {
        self.expires_at != 0 && now >= self.expires_at
    }

    /// For which channels of which program it is.
    pub const fn channels_hash(&self) -> &'a [u8; 32] {
        self.channels_hash
    }

    /// The targets, in the order of the channels' addresses.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = Amount> + 'a {
        self.targets.iter().map(|target| Amount::new(u64::from_le_bytes(*target)))
    }
}
