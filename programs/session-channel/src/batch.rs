//! Checks a signed batch against its channels.

use anchor_lang::prelude::*;
use toll_protocol::{BatchError, BatchMessage, ChannelStatus, BATCH_DOMAIN, MAX_BATCH};

use crate::constants::PROGRAM_ID;
use crate::ed25519::Signed;
use crate::error::ChannelError;
use crate::state::Channel;

/// A batch that was signed for exactly these channels and has not expired.
pub struct Batch<'a> {
    signer: &'a [u8; 32],
    message: BatchMessage<'a>,
}

impl<'a> Batch<'a> {
    /// Everything that does not depend on what the channels hold.
    pub fn verify(signed: &Signed<'a, [u8]>, channels: &[AccountView], now: i64) -> Result<Self> {
        let message = BatchMessage::decode(signed.message).map_err(|error| match error {
            BatchError::BadMagic => ChannelError::VoucherBadMagic,
            _ => ChannelError::InvalidBatchSize,
        })?;
        require!(!message.is_expired(now), ChannelError::VoucherExpired);
        require!(channels.len() == message.count(), ChannelError::BatchAccountCountMismatch);
        // So that no account stands here twice.
        let ascending = channels.windows(2).all(|pair| pair[0].address() < pair[1].address());
        require!(ascending, ChannelError::BatchChannelsNotAscending);
        require!(channels_hash(channels) == *message.channels_hash(), ChannelError::BatchChannelsMismatch);
        Ok(Self { signer: signed.signer, message })
    }

    /// What each channel is to have settled at least, in their order.
    pub fn targets(&self) -> impl Iterator<Item = u64> + '_ {
        self.message.targets().map(|target| target.get())
    }

    /// Whether `target` is above what `channel` has settled. Refuses what a voucher would be refused for.
    ///
    /// A channel that has settled as much may have any status: sealed or paid out, it keeps what the batch promises.
    #[inline(always)]
    pub fn raises(&self, channel: &Channel, target: u64) -> Result<bool> {
        require!(target != 0, ChannelError::BatchTargetMustBeNonZero);
        require!(target <= channel.deposit.get(), ChannelError::VoucherOverDeposit);
        require!(*self.signer == *channel.authorized_signer.as_array(), ChannelError::VoucherSignerMismatch);
        if target <= channel.settled.get() {
            let known = ChannelStatus::try_from(channel.status).is_ok();
            require!(known, ChannelError::InvalidChannelStatus);
            return Ok(false);
        }
        channel.require_status(ChannelStatus::Open)?;
        Ok(true)
    }
}

/// SHA-256 of `domain | program id | count u8 | channel addresses`.
///
/// The message has no room for the addresses; the program id is among them so that a batch for this program is none
/// for a fork of it.
fn channels_hash(channels: &[AccountView]) -> [u8; 32] {
    let count = [channels.len() as u8];
    let mut parts: [&[u8]; 3 + MAX_BATCH] = [&[]; 3 + MAX_BATCH];
    parts[..3].copy_from_slice(&[BATCH_DOMAIN, PROGRAM_ID.as_ref(), &count]);
    for (part, channel) in parts[3..].iter_mut().zip(channels) {
        *part = channel.address().as_ref();
    }
    anchor_lang::solana_program::hash::hashv(&parts[..3 + channels.len()]).to_bytes()
}
