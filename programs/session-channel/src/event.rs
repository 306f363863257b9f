//! What indexers are told, in a form that only this program can produce.
//!
//! An event travels as the data of an instruction that the program sends to itself, signed by
//! [`EVENT_AUTHORITY`]: `tag[8] | discriminator[8] | borsh body`. Logs can be truncated, inner instructions cannot.

use anchor_lang::event::EVENT_IX_TAG_LE;
use anchor_lang::pinocchio::cpi::{invoke_signed, Seed, Signer};
use anchor_lang::pinocchio::instruction::{InstructionAccount, InstructionView};
use anchor_lang::prelude::*;
use anchor_lang::{wincode, BorshConfig, BORSH_CONFIG};

use crate::constants::{EVENT_AUTHORITY, EVENT_AUTHORITY_BUMP, EVENT_AUTHORITY_SEED, PROGRAM_ID};
use crate::error::ChannelError;

/// Bytes of the largest event, [`PayoutRedirected`], as it travels.
const MAX_EVENT_SIZE: usize = 90;

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
    require!(authority.address() == &EVENT_AUTHORITY, ChannelError::InvalidEventAuthority);
    let mut data = [0; MAX_EVENT_SIZE];
    data[..8].copy_from_slice(EVENT_IX_TAG_LE);
    data[8..16].copy_from_slice(E::DISCRIMINATOR);
    let mut body = &mut data[16..];
    wincode::config::serialize_into(&mut body, &event, BORSH_CONFIG)
        .map_err(|_| ProgramError::InvalidInstructionData)?;
    let unused = body.len();
    let instruction = InstructionView {
        program_id: &PROGRAM_ID,
        accounts: &[InstructionAccount::readonly_signer(authority.address())],
        data: &data[..MAX_EVENT_SIZE - unused],
    };
    let seeds = [Seed::from(EVENT_AUTHORITY_SEED), Seed::from(core::slice::from_ref(&EVENT_AUTHORITY_BUMP))];
    invoke_signed(&instruction, &[authority], &[Signer::from(&seeds)])
}
