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

#[cfg(test)]
mod tests {
    use anchor_lang::bytemuck::Zeroable;

    use super::*;

    const SIGNER: [u8; 32] = [3; 32];

    fn channel(deposit: u64, settled: u64) -> Channel {
        let mut channel: Channel = Zeroable::zeroed();
        channel.authorized_signer = Address::new_from_array(SIGNER);
        channel.deposit = deposit.into();
        channel.settled = settled.into();
        channel
    }

    /// What a batch signed by [`SIGNER`] does to `channel`.
    fn raises(channel: &Channel, target: u64) -> Result<bool> {
        let mut bytes = [0; toll_protocol::batch_size(1)];
        bytes[..3].copy_from_slice(&[0x56, 0x02, 1]);
        let message = BatchMessage::decode(&bytes).expect("a batch of one");
        Batch { signer: &SIGNER, message }.raises(channel, target)
    }

    #[test]
    fn only_a_target_above_the_watermark_raises_it() {
        for (target, expected) in [(1, false), (50, false), (51, true), (100, true)] {
            assert_eq!(raises(&channel(100, 50), target), Ok(expected), "{target}");
        }
    }

    #[test]
    fn a_target_of_zero_is_refused_before_anything_else() {
        let mut channel = channel(0, 0);
        channel.authorized_signer = Address::new_from_array([4; 32]);
        channel.status = 9;
        assert_eq!(raises(&channel, 0), ChannelError::BatchTargetMustBeNonZero.err());
    }

    #[test]
    fn what_a_voucher_would_be_refused_for_is_refused() {
        assert_eq!(raises(&channel(100, 50), 101), ChannelError::VoucherOverDeposit.err());
        let mut stranger = channel(100, 50);
        stranger.authorized_signer = Address::new_from_array([4; 32]);
        for target in [1, 51] {
            assert_eq!(raises(&stranger, target), ChannelError::VoucherSignerMismatch.err());
        }
    }

    #[test]
    fn only_an_open_channel_rises_but_any_known_status_may_be_there_already() {
        for status in [1, 2, 3] {
            let mut channel = channel(100, 50);
            channel.status = status;
            assert_eq!(raises(&channel, 50), Ok(false));
            assert_eq!(raises(&channel, 51), ChannelError::InvalidChannelStatus.err());
        }
        let mut unknown = channel(100, 50);
        unknown.status = 4;
        assert_eq!(raises(&unknown, 50), ChannelError::InvalidChannelStatus.err());
    }
}
