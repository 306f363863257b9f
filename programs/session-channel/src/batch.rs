//! Checks a signed batch against its channels.

use anchor_lang::prelude::*;
use toll_protocol::{BatchError, BatchMessage, ChannelStatus, BATCH_DOMAIN, MAX_BATCH};

use crate::constants::PROGRAM_ID;
use crate::ed25519::Signed;
use crate::error::ChannelError;
use crate::event::SkipReason;
use crate::state::Channel;

/// A batch that was signed for exactly these channels and has not expired.
pub struct Batch<'a> {
    signer: &'a [u8; 32],
    message: BatchMessage<'a>,
    /// The channels' accounts, in their order.
    pub channels: &'a [AccountView],
    /// Where to tell of channels that are passed over; not known to be [`EVENT_AUTHORITY`](crate::constants) yet.
    pub event_authority: Option<&'a AccountView>,
}

/// Where a channel stands to its target.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// At it or beyond.
    There,
    /// It can still get there.
    Below,
    /// It never will.
    Dead(SkipReason),
}

impl<'a> Batch<'a> {
    /// Everything that does not depend on what the channels hold.
    pub fn verify(signed: &Signed<'a, [u8]>, accounts: &'a [AccountView], now: i64) -> Result<Self> {
        let message = BatchMessage::decode(signed.message).map_err(|error| match error {
            BatchError::BadMagic => ChannelError::VoucherBadMagic,
            _ => ChannelError::InvalidBatchSize,
        })?;
        require!(!message.is_expired(now), ChannelError::VoucherExpired);
        let (channels, event_authority) = match accounts.len().checked_sub(message.count()) {
            Some(0) => (accounts, None),
            Some(2) => (&accounts[..message.count()], Some(&accounts[message.count()])),
            _ => return ChannelError::BatchAccountCountMismatch.err(),
        };
        // So that no account stands here twice.
        let ascending = channels.windows(2).all(|pair| pair[0].address() < pair[1].address());
        require!(ascending, ChannelError::BatchChannelsNotAscending);
        require!(channels_hash(channels) == *message.channels_hash(), ChannelError::BatchChannelsMismatch);
        Ok(Self { signer: signed.signer, message, channels, event_authority })
    }

    /// What each channel is to have settled at least, in their order.
    pub fn targets(&self) -> impl Iterator<Item = u64> + '_ {
        self.message.targets().map(|target| target.get())
    }

    /// Where `channel` stands to its `target` at `now`. Refuses what a voucher would be refused for.
    ///
    /// A channel that has settled as much may have any status: sealed or paid out, it keeps what the batch promises.
    #[inline(always)]
    pub fn standing(&self, channel: &Channel, target: u64, now: i64) -> Result<Standing> {
        require!(target != 0, ChannelError::BatchTargetMustBeNonZero);
        require!(target <= channel.deposit.get(), ChannelError::VoucherOverDeposit);
        require!(*self.signer == *channel.authorized_signer.as_array(), ChannelError::VoucherSignerMismatch);
        if target <= channel.settled.get() {
            let known = ChannelStatus::try_from(channel.status).is_ok();
            require!(known, ChannelError::InvalidChannelStatus);
            return Ok(Standing::There);
        }
        if channel.status == ChannelStatus::Open as u8 {
            return Ok(Standing::Below);
        }
        closed(channel, now)
    }
}

/// Where a channel that is not open stands to a target above what it has settled.
#[inline(never)]
fn closed(channel: &Channel, now: i64) -> Result<Standing> {
    match ChannelStatus::try_from(channel.status) {
        Ok(ChannelStatus::Sealed | ChannelStatus::Distributed) => Ok(Standing::Dead(SkipReason::Sealed)),
        Ok(ChannelStatus::Closing) => {
            let deadline = channel.deadline().ok_or(ProgramError::ArithmeticOverflow)?;
            Ok(if now < deadline { Standing::Below } else { Standing::Dead(SkipReason::GracePeriodOver) })
        }
        _ => ChannelError::InvalidChannelStatus.err(),
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

    /// Where `channel` stands to a batch signed by [`SIGNER`], at second 1,000.
    fn standing(channel: &Channel, target: u64) -> Result<Standing> {
        let mut bytes = [0; toll_protocol::batch_size(1)];
        bytes[..3].copy_from_slice(&[0x56, 0x02, 1]);
        let message = BatchMessage::decode(&bytes).expect("a batch of one");
        let batch = Batch { signer: &SIGNER, message, channels: &[], event_authority: None };
        batch.standing(channel, target, 1_000)
    }

    fn of_status(status: u8) -> Channel {
        Channel { status, ..channel(100, 50) }
    }

    #[test]
    fn only_a_target_above_the_watermark_raises_it() {
        use Standing::{Below, There};
        for (target, expected) in [(1, There), (50, There), (51, Below), (100, Below)] {
            assert_eq!(standing(&channel(100, 50), target), Ok(expected), "{target}");
        }
    }

    #[test]
    fn a_target_of_zero_is_refused_before_anything_else() {
        let mut channel = channel(0, 0);
        channel.authorized_signer = Address::new_from_array([4; 32]);
        channel.status = 9;
        assert_eq!(standing(&channel, 0), ChannelError::BatchTargetMustBeNonZero.err());
    }

    #[test]
    fn what_a_voucher_would_be_refused_for_is_refused_of_the_dead_too() {
        for status in 0..=3 {
            assert_eq!(standing(&of_status(status), 101), ChannelError::VoucherOverDeposit.err());
            let mut stranger = of_status(status);
            stranger.authorized_signer = Address::new_from_array([4; 32]);
            for target in [1, 51] {
                assert_eq!(standing(&stranger, target), ChannelError::VoucherSignerMismatch.err());
            }
        }
    }

    #[test]
    fn any_known_status_may_be_there_already_and_no_unknown_one() {
        for status in 0..=3 {
            assert_eq!(standing(&of_status(status), 50), Ok(Standing::There));
        }
        for target in [50, 51] {
            assert_eq!(standing(&of_status(4), target), ChannelError::InvalidChannelStatus.err());
        }
    }

    #[test]
    fn the_sealed_and_the_paid_out_are_dead_below_their_target() {
        for status in [1, 3] {
            assert_eq!(standing(&of_status(status), 51), Ok(Standing::Dead(SkipReason::Sealed)));
        }
    }

    #[test]
    fn a_closing_channel_is_dead_from_its_deadline_on() {
        let closing = |since: i64, grace: u32| {
            let mut channel = of_status(2);
            (channel.closure_started_at, channel.grace_period) = (since.into(), grace.into());
            standing(&channel, 51)
        };
        assert_eq!(closing(900, 101), Ok(Standing::Below));
        assert_eq!(closing(900, 100), Ok(Standing::Dead(SkipReason::GracePeriodOver)));
        assert_eq!(closing(i64::MAX, 1), Err(ProgramError::ArithmeticOverflow));
    }
}
