//! What indexers are told, in a form that only this program can produce.
//!
//! An event travels as the data of an instruction that the program sends to itself, signed by
//! [`EVENT_AUTHORITY`]: `tag[8] | discriminator[8] | borsh body`. Logs can be truncated, inner instructions cannot.
//!
//! An event costs about as much as two settlements, so instructions 2 to 9 emit none where all goes well: their
//! accounts and their cost are the reference program's. Whoever wants one appends `checkpoint`, and the transaction
//! says itself what became of the channel; an indexer that wants one later sends it alone. The additions from 10 on
//! emit their own. `settle_batch` does so for the channels that it passes over: for the others the signed message names
//! every new watermark.
//!
//! An event is true of a transaction that succeeded. One that failed shows the same inner instructions, and undid what
//! they tell of: readers ask for success first.

use anchor_lang::event::EVENT_IX_TAG_LE;
use anchor_lang::pinocchio::cpi::{invoke_signed, Seed, Signer};
use anchor_lang::pinocchio::instruction::{InstructionAccount, InstructionView};
use anchor_lang::prelude::*;
use anchor_lang::{wincode, BorshConfig, BORSH_CONFIG};

use crate::constants::{EVENT_AUTHORITY, EVENT_AUTHORITY_BUMP, EVENT_AUTHORITY_SEED, PROGRAM_ID};
use crate::error::ChannelError;
use crate::state::Channel;

/// Bytes of the largest event but one, [`PayoutRedirected`], as it travels.
const MAX_EVENT_SIZE: usize = 90;
/// Bytes of a [`Checkpointed`] as it travels.
const CHECKPOINT_SIZE: usize = 16 + 32 + size_of::<Channel>();

/// A channel was opened.
#[event]
pub struct Opened {
    /// The new channel.
    pub channel: Address,
    /// The incarnation: the slot that is part of the channel's address.
    pub open_slot: u64,
}

/// A payout went to the treasury because its beneficiary could not receive it. Final: it is not owed any more.
#[event]
pub struct PayoutRedirected {
    /// The channel that paid.
    pub channel: Address,
    /// Who should have received it.
    pub owner: Address,
    /// Base units of the channel's mint.
    pub amount: u64,
    /// In which role: a [`Beneficiary`].
    pub beneficiary: u8,
    /// Why not: a [`RedirectReason`].
    pub reason: u8,
}

/// A voucher settled, whole or in part, by an addition to the reference's instructions.
#[event]
pub struct Settled {
    /// Whose voucher.
    pub channel: Address,
    /// The watermark that it raised, as it stands now.
    pub settled: u64,
}

/// A session ended and the next began on the same channel: deposit and payout watermark are now what is settled.
#[event]
pub struct Rearmed {
    /// The channel.
    pub channel: Address,
    /// Base units settled since it opened.
    pub settled: u64,
    /// How much of that was still to be paid out, before shares were rounded.
    pub distributed: u64,
    /// Base units of the deposit that went back to the payer.
    pub refunded: u64,
}

/// A batch passed over a channel that cannot settle its target any more. Of one that is gone it says [`Vacant`].
#[event]
pub struct Skipped {
    /// The channel.
    pub channel: Address,
    /// Base units that it was to have settled at least.
    pub target: u64,
    /// Base units that it has settled.
    pub settled: u64,
    /// Why not: a [`SkipReason`].
    pub reason: u8,
}

/// What a channel is at this point of the transaction.
#[event]
pub struct Checkpointed {
    /// The channel.
    pub channel: Address,
    /// Its account after the discriminator byte: terms, status, watermarks.
    pub state: Channel,
}

/// No channel is at this address at this point of the transaction: not yet, or not any more.
#[event]
pub struct Vacant {
    /// The address.
    pub channel: Address,
}

// SAFETY: `size_of` and `write` both say the bytes of the struct. It has no padding, and packed little-endian fields
// in declared order are what borsh writes.
unsafe impl<C: wincode::config::ConfigCore> SchemaWrite<C> for Channel {
    type Src = Self;

    fn size_of(_: &Self) -> wincode::WriteResult<usize> {
        Ok(size_of::<Self>())
    }

    fn write(mut writer: impl wincode::io::Writer, channel: &Self) -> wincode::WriteResult<()> {
        Ok(writer.write(bytemuck::bytes_of(channel))?)
    }
}

/// Whom a payout is for.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Beneficiary {
    /// A recipient of the splits.
    Recipient = 0,
    /// The payee.
    Payee = 1,
    /// The payer, for its refund.
    Payer = 2,
}

/// Why a channel cannot settle any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SkipReason {
    /// It is sealed, or paid out.
    Sealed = 0,
    /// The payer's grace period is over, and anyone may seal.
    GracePeriodOver = 1,
}

/// Why a beneficiary's token account cannot be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RedirectReason {
    /// It carries a Token-2022 extension that is not allowed.
    Extension = 0,
    /// It is missing, closed, or not a token account.
    Malformed = 1,
    /// It is frozen or was never initialized.
    NotInitialized = 2,
    /// Its owner gave it to someone else.
    Reassigned = 3,
}

/// Sends `event` to this program itself.
///
/// Fails with [`ChannelError::InvalidEventAuthority`] when `authority` is not [`EVENT_AUTHORITY`].
#[inline(never)]
pub fn emit<E: Event + SchemaWrite<BorshConfig, Src = E>>(authority: &AccountView, event: E) -> Result<()> {
    emit_within::<MAX_EVENT_SIZE, E>(authority, &event)
}

/// [`emit`] for the one event that is larger than the others.
#[inline(never)]
pub fn emit_checkpoint(authority: &AccountView, event: Checkpointed) -> Result<()> {
    emit_within::<CHECKPOINT_SIZE, _>(authority, &event)
}

/// Sends an event of up to `SIZE` bytes.
#[inline(always)]
fn emit_within<const SIZE: usize, E: Event + SchemaWrite<BorshConfig, Src = E>>(
    authority: &AccountView,
    event: &E,
) -> Result<()> {
    require!(authority.address() == &EVENT_AUTHORITY, ChannelError::InvalidEventAuthority);
    let mut data = [0; SIZE];
    data[..8].copy_from_slice(EVENT_IX_TAG_LE);
    data[8..16].copy_from_slice(E::DISCRIMINATOR);
    let mut body = &mut data[16..];
    wincode::config::serialize_into(&mut body, event, BORSH_CONFIG)
        .map_err(|_| ProgramError::InvalidInstructionData)?;
    let unused = body.len();
    let instruction = InstructionView {
        program_id: &PROGRAM_ID,
        accounts: &[InstructionAccount::readonly_signer(authority.address())],
        data: &data[..SIZE - unused],
    };
    let seeds = [Seed::from(EVENT_AUTHORITY_SEED), Seed::from(core::slice::from_ref(&EVENT_AUTHORITY_BUMP))];
    invoke_signed(&instruction, &[authority], &[Signer::from(&seeds)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The borsh body of `event`.
    fn body<E: SchemaWrite<BorshConfig, Src = E>>(event: &E) -> Vec<u8> {
        let mut bytes = Vec::new();
        wincode::config::serialize_into(&mut bytes, event, BORSH_CONFIG).expect("a vector takes any bytes");
        bytes
    }

    #[test]
    fn a_checkpoint_is_the_address_and_the_account_as_it_is() {
        let mut state: Channel = bytemuck::Zeroable::zeroed();
        (state.bump, state.settled, state.open_slot) = (254, 7.into(), 9.into());
        let channel = Address::new_from_array([5; 32]);
        let bytes = body(&Checkpointed { channel, state });
        assert_eq!(bytes, [&[5; 32], bytemuck::bytes_of(&state)].concat());
        assert_eq!(16 + bytes.len(), CHECKPOINT_SIZE);
    }

    #[test]
    fn every_other_event_fits_its_buffer() {
        let channel = Address::new_from_array([5; 32]);
        let sizes = [
            body(&Opened { channel, open_slot: 1 }).len(),
            body(&PayoutRedirected { channel, owner: channel, amount: 1, beneficiary: 0, reason: 0 }).len(),
            body(&Settled { channel, settled: 1 }).len(),
            body(&Rearmed { channel, settled: 1, distributed: 1, refunded: 1 }).len(),
            body(&Skipped { channel, target: 1, settled: 1, reason: 0 }).len(),
            body(&Vacant { channel }).len(),
        ];
        assert_eq!(sizes, [40, 74, 40, 56, 49, 32]);
        assert!(sizes.iter().all(|size| 16 + size <= MAX_EVENT_SIZE));
    }
}
