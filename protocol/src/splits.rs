//! Distribution splits: who shares in what a channel pays, and how the shares are rounded.
//!
//! The canonical preimage is `count u32 LE | count × (recipient[32] | share_bps u16 LE)`. Its SHA-256 is
//! stored at `open`; the same bytes are shown again at every `distribute`. The payee is never listed: it
//! gets what the shares leave over. Source: draft-solana-session, "Distribution Splits".

#[cfg(feature = "std")]
mod owned;

use core::fmt;

#[cfg(feature = "std")]
pub use owned::{Split, Splits};

/// Shares are counted in ten-thousandths.
pub const BPS_DENOMINATOR: u16 = 10_000;

/// Most recipients besides the payee.
pub const MAX_RECIPIENTS: usize = 32;

/// Size of one entry of the preimage.
pub const SPLIT_SIZE: usize = 34;

/// Why a preimage is refused, in the order the checks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitsError {
    /// Shorter than its count field, or not as long as the count says.
    Length,
    /// More than [`MAX_RECIPIENTS`].
    TooManyRecipients,
    /// A share of zero.
    ZeroShare,
    /// One recipient twice.
    DuplicateRecipient,
    /// The shares add up to more than [`BPS_DENOMINATOR`].
    SharesOverflow,
}

impl fmt::Display for SplitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("splits preimage is not as long as its count says"),
            Self::TooManyRecipients => write!(f, "splits name more than {MAX_RECIPIENTS} recipients"),
            Self::ZeroShare => f.write_str("a split has a share of zero"),
            Self::DuplicateRecipient => f.write_str("splits name one recipient twice"),
            Self::SharesOverflow => write!(f, "split shares exceed {BPS_DENOMINATOR} basis points"),
        }
    }
}

impl core::error::Error for SplitsError {}

/// A checked preimage, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitsPreimage<'a>(&'a [u8]);

impl<'a> SplitsPreimage<'a> {
    /// Checks `bytes` as a whole preimage.
    ///
    /// The order of the checks is part of the program's interface: missing count, too many recipients,
    /// length, then entry by entry a zero share or a repeated recipient, last the sum.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SplitsError> {
        let (count, entries) = bytes.split_first_chunk::<4>().ok_or(SplitsError::Length)?;
        let count = u32::from_le_bytes(*count) as usize;
        if count > MAX_RECIPIENTS {
            return Err(SplitsError::TooManyRecipients);
        }
        if entries.len() != count * SPLIT_SIZE {
            return Err(SplitsError::Length);
        }
        let preimage = Self(bytes);
        let mut sum = 0u32;
        let mut seen = [0u64; 4];
        for (index, (recipient, share_bps)) in preimage.iter().enumerate() {
            if share_bps == 0 {
                return Err(SplitsError::ZeroShare);
            }
            // Compared with all earlier ones only if one of them has the same first byte: on chain, comparing
            // every pair costs more than all the rest.
            let (word, bit) = (usize::from(recipient[0] >> 6), 1u64 << (recipient[0] & 63));
            if seen[word] & bit != 0 && preimage.iter().take(index).any(|(earlier, _)| earlier == recipient) {
                return Err(SplitsError::DuplicateRecipient);
            }
            seen[word] |= bit;
            sum += u32::from(share_bps);
        }
        if sum > u32::from(BPS_DENOMINATOR) {
            return Err(SplitsError::SharesOverflow);
        }
        Ok(preimage)
    }

    /// The canonical bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// How many recipients there are.
    pub const fn len(self) -> usize {
        (self.0.len() - 4) / SPLIT_SIZE
    }

    /// Whether the payee gets everything.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Recipients and their shares, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8; 32], u16)> {
        self.0[4..].as_chunks::<SPLIT_SIZE>().0.iter().map(|entry| {
            let (recipient, share_bps) = entry.split_first_chunk::<32>().expect("34 bytes hold 32");
            (recipient, u16::from_le_bytes([share_bps[0], share_bps[1]]))
        })
    }

    /// The payee's share: what the others leave.
    pub fn payee_bps(self) -> u16 {
        BPS_DENOMINATOR - self.iter().map(|(_, share_bps)| share_bps).sum::<u16>()
    }
}

/// `floor(total · share_bps / 10000)`, exactly and without 128-bit arithmetic.
///
/// For `share_bps ≤ 10000` neither product can overflow: the first is at most `total`, the second below
/// 10⁸.
pub const fn share(total: u64, share_bps: u16) -> u64 {
    let (bps, denominator) = (share_bps as u64, BPS_DENOMINATOR as u64);
    (total / denominator).wrapping_mul(bps) + (total % denominator).wrapping_mul(bps) / denominator
}

/// What a share earned between two watermarks: `share(settled) − share(paid)`.
///
/// The differences telescope: however often a channel distributes, a share is paid `share(settled)` in
/// all. `paid` must not exceed `settled`.
pub const fn share_between(paid: u64, settled: u64, share_bps: u16) -> u64 {
    share(settled, share_bps) - share(paid, share_bps)
}
