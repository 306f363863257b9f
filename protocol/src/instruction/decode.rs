//! Any instruction of the channel program, read back.

use solana_pubkey::Pubkey;

use super::batch::batch_channels;
use super::{InstructionError, Open, TopUp, discriminator};
use crate::{Amount, ChannelId, Splits};

/// An instruction of the channel program, as far as it identifies what happens to which channel.
///
/// [`Open`] and [`TopUp`] are checked account by account, because clients send them. The others are read
/// leniently, for looking at transactions that already landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelInstruction {
    /// A new channel.
    Open(Box<Open>),
    /// A voucher was applied.
    Settle(ChannelId),
    /// The deposit grew.
    TopUp(TopUp),
    /// The payee froze `settled`.
    SettleAndSeal {
        /// The channel.
        channel: ChannelId,
        /// Whether a voucher was applied first.
        has_voucher: bool,
    },
    /// The payer started the grace period.
    RequestClose(ChannelId),
    /// The grace period was over.
    Seal(ChannelId),
    /// Tokens were paid out.
    Distribute {
        /// The channel.
        channel: ChannelId,
        /// The splits that were shown.
        splits: Splits,
    },
    /// The payer was refunded.
    WithdrawPayer(ChannelId),
    /// The account was freed.
    Reclaim(ChannelId),
    /// A batch was applied; [`decode_settle_batch`](crate::decode_settle_batch) reads its amounts.
    SettleBatch(Vec<ChannelId>),
    /// A session ended and the next began.
    Rearm {
        /// The channel.
        channel: ChannelId,
        /// Whether a voucher was applied first.
        has_voucher: bool,
        /// The splits that were shown.
        splits: Splits,
    },
    /// A part of a ceiling was applied.
    SettleUpTo {
        /// The channel.
        channel: ChannelId,
        /// What is settled since.
        amount: Amount,
    },
    /// A voucher was applied during the grace period.
    SettleClosing(ChannelId),
    /// The channel's state was emitted.
    Checkpoint(ChannelId),
}

impl ChannelInstruction {
    /// Reads an instruction of the channel program.
    pub fn decode(data: &[u8], accounts: &[Pubkey]) -> Result<Self, InstructionError> {
        let (kind, arguments) = data.split_first().ok_or(InstructionError::Discriminator(None))?;
        let channel_at = |index: usize| {
            let found = accounts.len();
            let channel = accounts.get(index).copied().map(ChannelId::from);
            channel.ok_or(InstructionError::AccountCount { expected: index + 1, found })
        };
        match *kind {
            discriminator::OPEN => Open::decode(data, accounts).map(|open| Self::Open(Box::new(open))),
            discriminator::SETTLE => Ok(Self::Settle(channel_at(0)?)),
            discriminator::TOP_UP => TopUp::decode(data, accounts).map(Self::TopUp),
            discriminator::SETTLE_AND_SEAL => match arguments {
                [flag] => Ok(Self::SettleAndSeal { channel: channel_at(1)?, has_voucher: *flag != 0 }),
                _ => Err(InstructionError::DataLength(data.len())),
            },
            discriminator::REQUEST_CLOSE => Ok(Self::RequestClose(channel_at(1)?)),
            discriminator::SEAL => Ok(Self::Seal(channel_at(0)?)),
            discriminator::DISTRIBUTE => {
                Ok(Self::Distribute { channel: channel_at(0)?, splits: Splits::from_preimage(arguments)? })
            }
            discriminator::WITHDRAW_PAYER => Ok(Self::WithdrawPayer(channel_at(1)?)),
            discriminator::RECLAIM => Ok(Self::Reclaim(channel_at(0)?)),
            discriminator::SETTLE_BATCH => {
                let too_few = InstructionError::AccountCount { expected: 2, found: accounts.len() };
                batch_channels(accounts).map(Self::SettleBatch).ok_or(too_few)
            }
            discriminator::REARM => match arguments.split_first() {
                Some((flag, preimage)) => Ok(Self::Rearm {
                    channel: channel_at(1)?,
                    has_voucher: *flag != 0,
                    splits: Splits::from_preimage(preimage)?,
                }),
                None => Err(InstructionError::DataLength(data.len())),
            },
            discriminator::SETTLE_UP_TO => match arguments.try_into() {
                Ok(amount) => Ok(Self::SettleUpTo {
                    channel: channel_at(1)?,
                    amount: Amount::new(u64::from_le_bytes(amount)),
                }),
                Err(_) => Err(InstructionError::DataLength(data.len())),
            },
            discriminator::SETTLE_CLOSING => Ok(Self::SettleClosing(channel_at(0)?)),
            discriminator::CHECKPOINT => Ok(Self::Checkpoint(channel_at(0)?)),
            other => Err(InstructionError::Discriminator(Some(other))),
        }
    }

    /// The channels it is about: one, unless it is a batch.
    pub fn channels(&self) -> Vec<ChannelId> {
        match self {
            Self::Open(open) => vec![open.channel_id()],
            Self::TopUp(top_up) => vec![top_up.channel],
            Self::SettleBatch(channels) => channels.clone(),
            Self::SettleAndSeal { channel, .. }
            | Self::Distribute { channel, .. }
            | Self::Rearm { channel, .. }
            | Self::SettleUpTo { channel, .. }
            | Self::Settle(channel)
            | Self::RequestClose(channel)
            | Self::Seal(channel)
            | Self::WithdrawPayer(channel)
            | Self::Reclaim(channel)
            | Self::SettleClosing(channel)
            | Self::Checkpoint(channel) => vec![*channel],
        }
    }
}
