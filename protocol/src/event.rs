//! The channel program's events, read from the inner instructions that carry them.
//!
//! The program sends each event to itself, signed by its [`event_authority`](crate::event_authority):
//! `tag[8] | discriminator[8] | borsh body`. An inner instruction of the program with this data and that single
//! account is genuine; nobody else can sign it.
//!
//! **Genuine is not true.** Nodes report the inner instructions of a transaction that failed, too: they happened, and
//! then everything that they tell of was undone. Whoever reads events has to know that the transaction succeeded, and
//! [`ChannelEvent::of_transaction`] asks. A transaction that was not yet finalized can still be undone as a whole.

use solana_pubkey::Pubkey;
use thiserror::Error;

use crate::{Amount, CHANNEL_DISCRIMINATOR, CHANNEL_SIZE, ChannelAccount, ChannelId, event_authority};

const TAG: [u8; 8] = [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];
const OPENED: [u8; 8] = [0xa6, 0xac, 0x61, 0x09, 0x4d, 0x4c, 0xbd, 0x6d];
const PAYOUT_REDIRECTED: [u8; 8] = [0xd1, 0x16, 0xb9, 0xd7, 0x54, 0xa7, 0x54, 0x50];
const SETTLED: [u8; 8] = [0xe8, 0xd2, 0x28, 0x11, 0x8e, 0x7c, 0x91, 0xee];
const REARMED: [u8; 8] = [0x5c, 0xeb, 0xda, 0xf5, 0xe2, 0xac, 0x42, 0x9b];
const CHECKPOINTED: [u8; 8] = [0x62, 0x4b, 0x3c, 0x9a, 0x9d, 0xc1, 0x20, 0xd1];
const VACANT: [u8; 8] = [0x6a, 0x77, 0x52, 0x65, 0x20, 0x58, 0x1c, 0xb0];
const SKIPPED: [u8; 8] = [0x0f, 0x31, 0xc4, 0x67, 0x38, 0x80, 0x54, 0xfe];

/// What the program tells indexers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// A channel was opened.
    Opened {
        /// The new channel.
        channel: ChannelId,
        /// Its incarnation.
        open_slot: u64,
    },
    /// A payout went to the treasury for good, because its beneficiary could not receive it.
    PayoutRedirected {
        /// The channel that paid.
        channel: ChannelId,
        /// Who should have received it.
        owner: Pubkey,
        /// How much.
        amount: Amount,
        /// 0 a recipient, 1 the payee, 2 the payer.
        beneficiary: u8,
        /// 0 forbidden extension, 1 missing or malformed, 2 frozen or not initialized, 3 another owner.
        reason: u8,
    },
    /// `settle_up_to` or `settle_closing` raised what is settled.
    Settled {
        /// The channel.
        channel: ChannelId,
        /// What is settled now.
        settled: Amount,
    },
    /// A session ended and the next began: deposit and payout watermark are now what is settled.
    Rearmed {
        /// The channel.
        channel: ChannelId,
        /// What is settled since it opened.
        settled: Amount,
        /// How much of that was still to be paid out, before shares were rounded.
        distributed: Amount,
        /// What went back to the payer.
        refunded: Amount,
    },
    /// `settle_batch` passed over a channel that cannot settle its target any more. Of one that is gone it says
    /// [`Self::Vacant`].
    Skipped {
        /// The channel.
        channel: ChannelId,
        /// What it was to have settled at least.
        target: Amount,
        /// What it has settled.
        settled: Amount,
        /// Why not.
        reason: SkipReason,
    },
    /// What a channel is at this point of the transaction.
    Checkpointed {
        /// The channel.
        channel: ChannelId,
        /// Its account.
        account: Box<ChannelAccount>,
    },
    /// No channel is at this address at this point of the transaction.
    Vacant {
        /// The address.
        channel: ChannelId,
    },
}

/// Why a channel cannot settle any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// It is sealed, or paid out.
    Sealed,
    /// The payer's grace period is over, and anyone may seal.
    GracePeriodOver,
}

/// An instruction that a program invoked, as nodes report it among a transaction's inner instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invocation<'a> {
    /// The invoked program.
    pub program: &'a Pubkey,
    /// Its accounts.
    pub accounts: &'a [Pubkey],
    /// Its data.
    pub data: &'a [u8],
}

/// Why data is no event of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EventError {
    /// The data of some other instruction.
    #[error("instruction data does not start with the event tag")]
    Tag,
    /// An event of another version of the program.
    #[error("event discriminator {0:02x?} is unknown")]
    Unknown([u8; 8]),
    /// Too short, too long, or a channel account that is none.
    #[error("event body of {0} bytes is malformed")]
    Body(usize),
}

/// A body, read from its front.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn take<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn channel(&mut self) -> Option<ChannelId> {
        self.take().map(ChannelId::new)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn amount(&mut self) -> Option<Amount> {
        self.number().map(Amount::new)
    }

    fn account(&mut self) -> Option<Box<ChannelAccount>> {
        let mut data = [CHANNEL_DISCRIMINATOR; CHANNEL_SIZE];
        data[1..].copy_from_slice(&self.take::<{ CHANNEL_SIZE - 1 }>()?);
        ChannelAccount::decode(&data).ok().map(Box::new)
    }
}

impl ChannelEvent {
    /// The events of `program` in a transaction, in their order. None if it failed, whatever it invoked before.
    ///
    /// `status` is the transaction's: `Err` when a node says that it failed, for whatever reason.
    ///
    /// # Errors
    ///
    /// When an event is of another version of the program.
    pub fn of_transaction<'a, Failure>(
        status: &Result<(), Failure>,
        program: &Pubkey,
        invocations: impl IntoIterator<Item = Invocation<'a>>,
    ) -> Result<Vec<Self>, EventError> {
        if status.is_err() {
            return Ok(Vec::new());
        }
        let authority = event_authority(program);
        let genuine = |invocation: &Invocation<'_>| {
            invocation.program == program
                && invocation.accounts == [authority]
                && invocation.data.starts_with(&TAG)
        };
        invocations.into_iter().filter(genuine).map(|invocation| Self::decode(invocation.data)).collect()
    }

    /// Reads the data of an instruction that the program sent to itself.
    ///
    /// That the program sent it, and that its transaction succeeded, is for the caller to know;
    /// [`Self::of_transaction`] looks at both.
    pub fn decode(data: &[u8]) -> Result<Self, EventError> {
        let (name, body) =
            data.strip_prefix(&TAG).and_then(<[u8]>::split_first_chunk).ok_or(EventError::Tag)?;
        let mut rest = Body(body);
        let event = match *name {
            OPENED => Self::opened(&mut rest),
            PAYOUT_REDIRECTED => Self::payout_redirected(&mut rest),
            SETTLED => Self::settled(&mut rest),
            REARMED => Self::rearmed(&mut rest),
            SKIPPED => Self::skipped(&mut rest),
            CHECKPOINTED => Self::checkpointed(&mut rest),
            VACANT => rest.channel().map(|channel| Self::Vacant { channel }),
            unknown => return Err(EventError::Unknown(unknown)),
        };
        event.filter(|_| rest.0.is_empty()).ok_or(EventError::Body(body.len()))
    }

    /// The channel it is about.
    pub const fn channel(&self) -> ChannelId {
        match self {
            Self::Opened { channel, .. }
            | Self::PayoutRedirected { channel, .. }
            | Self::Settled { channel, .. }
            | Self::Rearmed { channel, .. }
            | Self::Skipped { channel, .. }
            | Self::Checkpointed { channel, .. }
            | Self::Vacant { channel } => *channel,
        }
    }

    fn opened(body: &mut Body<'_>) -> Option<Self> {
        Some(Self::Opened { channel: body.channel()?, open_slot: body.number()? })
    }

    fn payout_redirected(body: &mut Body<'_>) -> Option<Self> {
        let (channel, owner, amount) = (body.channel()?, body.take()?, body.amount()?);
        let [beneficiary, reason] = body.take()?;
        let owner = Pubkey::new_from_array(owner);
        Some(Self::PayoutRedirected { channel, owner, amount, beneficiary, reason })
    }

    fn settled(body: &mut Body<'_>) -> Option<Self> {
        Some(Self::Settled { channel: body.channel()?, settled: body.amount()? })
    }

    fn rearmed(body: &mut Body<'_>) -> Option<Self> {
        Some(Self::Rearmed {
            channel: body.channel()?,
            settled: body.amount()?,
            distributed: body.amount()?,
            refunded: body.amount()?,
        })
    }

    fn skipped(body: &mut Body<'_>) -> Option<Self> {
        let (channel, target, settled) = (body.channel()?, body.amount()?, body.amount()?);
        let reason = match body.take()? {
            [0] => SkipReason::Sealed,
            [1] => SkipReason::GracePeriodOver,
            _ => return None,
        };
        Some(Self::Skipped { channel, target, settled, reason })
    }

    fn checkpointed(body: &mut Body<'_>) -> Option<Self> {
        Some(Self::Checkpointed { channel: body.channel()?, account: body.account()? })
    }
}
