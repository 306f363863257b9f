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
