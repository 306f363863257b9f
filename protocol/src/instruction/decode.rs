//! Any instruction of the channel program, read back.

use solana_pubkey::Pubkey;

use super::{InstructionError, Open, TopUp, discriminator};
use crate::{ChannelId, Splits};

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
            other => Err(InstructionError::Discriminator(Some(other))),
        }
    }

    /// The channel it is about.
    pub fn channel(&self) -> ChannelId {
        match self {
            Self::Open(open) => open.channel_id(),
            Self::TopUp(top_up) => top_up.channel,
            Self::SettleAndSeal { channel, .. } | Self::Distribute { channel, .. } => *channel,
            Self::Settle(channel)
            | Self::RequestClose(channel)
            | Self::Seal(channel)
            | Self::WithdrawPayer(channel)
            | Self::Reclaim(channel) => *channel,
        }
    }
}
