//! The splits argument of `open` and `distribute`.

use anchor_lang::prelude::*;
use anchor_lang::solana_program::hash::hashv;
use bytemuck::{Pod, Zeroable};
use toll_protocol::{SplitsError, SplitsPreimage, BPS_DENOMINATOR, SPLIT_SIZE};

use crate::error::ChannelError;

/// A `u16`, little-endian at any alignment. Interface descriptions know the type by this name.
#[derive(Clone, Copy, Pod, Zeroable, AnchorDeserialize, AnchorSerialize)]
#[repr(transparent)]
pub struct PodU16([u8; 2]);

impl PodU16 {
    /// The number.
    pub const fn get(self) -> u16 {
        u16::from_le_bytes(self.0)
    }
}

impl IdlAccountType for PodU16 {}

/// One recipient and its share.
#[derive(Clone, Copy, Pod, Zeroable, AnchorDeserialize, AnchorSerialize, IdlType)]
#[repr(C)]
pub struct Split {
    /// Owner of the token account that is paid.
    pub recipient: Address,
    /// Ten-thousandths of what is settled.
    pub share_bps: PodU16,
}

const _: () = assert!(size_of::<Split>() == SPLIT_SIZE);

impl Split {
    /// What the payee keeps when `splits` are paid. They add up to at most the whole: [`check`] saw to it.
    pub fn payee_bps(splits: &[Self]) -> u16 {
        BPS_DENOMINATOR - splits.iter().map(|split| split.share_bps.get()).sum::<u16>()
    }

    /// The hash that a channel commits to.
    pub fn hash(splits: &[Self]) -> [u8; 32] {
        hashv(&[&(splits.len() as u32).to_le_bytes(), bytemuck::cast_slice(splits)]).to_bytes()
    }
}

/// Checks a splits preimage, which must be the whole of `bytes`.
#[inline(never)]
pub fn check(bytes: &[u8]) -> Result<()> {
    match SplitsPreimage::parse(bytes) {
        Ok(_) => Ok(()),
        Err(SplitsError::Length) => Err(ProgramError::InvalidInstructionData),
        Err(SplitsError::TooManyRecipients) => ChannelError::InvalidRecipientCount.err(),
        Err(SplitsError::DuplicateRecipient) => ChannelError::DuplicateRecipient.err(),
        Err(SplitsError::ZeroShare | SplitsError::SharesOverflow) => ChannelError::InvalidSplitConfig.err(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(recipient: u8, share_bps: u16) -> Split {
        Split {
            recipient: Address::new_from_array([recipient; 32]),
            share_bps: PodU16(share_bps.to_le_bytes()),
        }
    }

    #[test]
    fn the_hash_is_the_protocol_vector() {
        // V4 of the session draft's digest.
        let vector = [
            0x61, 0x00, 0x59, 0x33, 0x69, 0xf3, 0xf0, 0xf2, 0x31, 0x3a, 0x7e, 0x1a, 0xb2, 0xab, 0x6d, 0x0c,
            0x41, 0x2e, 0xdd, 0xe8, 0x3d, 0x91, 0xa2, 0x3f, 0x1c, 0x06, 0x82, 0x9c, 0x9d, 0xd1, 0xc9, 0xdf,
        ];
        assert_eq!(Split::hash(&[entry(0x11, 1000), entry(0x22, 250)]), vector);
    }

    #[test]
    fn no_splits_have_a_hash_too() {
        let vector = [
            0xdf, 0x3f, 0x61, 0x98, 0x04, 0xa9, 0x2f, 0xdb, 0x40, 0x57, 0x19, 0x2d, 0xc4, 0x3d, 0xd7, 0x48,
            0xea, 0x77, 0x8a, 0xdc, 0x52, 0xbc, 0x49, 0x8c, 0xe8, 0x05, 0x24, 0xc0, 0x14, 0xb8, 0x11, 0x19,
        ];
        assert_eq!(Split::hash(&[]), vector);
    }

    #[test]
    fn the_payee_keeps_what_the_splits_leave() {
        assert_eq!(Split::payee_bps(&[]), 10_000);
        assert_eq!(Split::payee_bps(&[entry(1, 1), entry(2, 9_999)]), 0);
    }
}
