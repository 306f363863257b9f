//! Moving tokens.

use core::mem::MaybeUninit;

use anchor_lang::pinocchio::cpi::{invoke, Signer};
use anchor_lang::pinocchio::instruction::{InstructionAccount, InstructionView};
use anchor_lang::prelude::*;
use anchor_spl::associated_token::ID as ASSOCIATED_TOKEN_PROGRAM;
use pinocchio_token::instructions::{BatchState, IntoBatch};
use pinocchio_token_2022::instructions::{CloseAccount, TransferChecked};

use super::Token;
use crate::error::ChannelError;
use crate::state::ChannelAccount;

/// Transfers in one call to SPL Token.
const BATCH_SIZE: usize = 16;

/// Most transfers that one `distribute` makes: 32 recipients, payee, payer, treasury.
const QUEUE_SIZE: usize = 35;

impl Token {
    /// Moves `amount` out of a token account whose owner signed the transaction.
    #[inline(always)]
    pub fn transfer(
        &self,
        from: &AccountView,
        to: &AccountView,
        owner: &AccountView,
        amount: u64,
    ) -> Result<()> {
        self.transfer_signed(from, to, owner, amount, &[])
    }

    /// Moves `amount` out of the escrow of `channel`, which signs with its own seeds.
    #[inline(always)]
    pub fn pay(
        &self,
        escrow: &AccountView,
        to: &AccountView,
        channel: &ChannelAccount,
        amount: u64,
    ) -> Result<()> {
        let seeds = channel.signer_seeds();
        self.transfer_signed(escrow, to, channel.account(), amount, &[Signer::from(&seeds)])
    }

    /// Closes the empty escrow of `channel`; its rent goes to `rent_payer`.
    #[inline(always)]
    pub fn close(
        &self,
        escrow: &AccountView,
        rent_payer: &AccountView,
        channel: &ChannelAccount,
    ) -> Result<()> {
        let seeds = channel.signer_seeds();
        let close = CloseAccount {
            account: escrow,
            destination: rent_payer,
            authority: channel.account(),
            token_program: &self.program,
        };
        close.invoke_signed(&[Signer::from(&seeds)])
    }

    #[inline(always)]
    fn transfer_signed(
        &self,
        from: &AccountView,
        to: &AccountView,
        authority: &AccountView,
        amount: u64,
        signers: &[Signer],
    ) -> Result<()> {
        let transfer = TransferChecked {
            from,
            mint: &self.mint,
            to,
            authority,
            amount,
            decimals: self.decimals,
            token_program: &self.program,
        };
        transfer.invoke_signed(signers)
    }
}

/// Transfers out of one escrow, collected first and sent together.
pub struct Queue {
    transfers: [MaybeUninit<(AccountView, u64)>; QUEUE_SIZE],
    length: usize,
    total: u64,
}

impl Queue {
    /// No transfers yet.
    pub fn empty() -> Self {
        Self { transfers: [const { MaybeUninit::uninit() }; QUEUE_SIZE], length: 0, total: 0 }
    }

    /// Adds a transfer of `amount` to `destination`, unless there is nothing to transfer.
    pub fn push(&mut self, destination: &AccountView, amount: u64) -> Result<()> {
        if amount > 0 {
            let total = self.total.checked_add(amount);
            self.total = total.ok_or(ChannelError::DistributeBalanceCalculationOverflow)?;
            let slot = self.transfers.get_mut(self.length);
            slot.ok_or(ChannelError::DistributeTransferQueueOverflow)?.write((*destination, amount));
            self.length += 1;
        }
        Ok(())
    }

    fn transfers(&self) -> &[(AccountView, u64)] {
        // SAFETY: `push` initialized the first `length` slots.
        unsafe { core::slice::from_raw_parts(self.transfers.as_ptr().cast(), self.length) }
    }

    /// Base units in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Makes the transfers. SPL Token takes several in one call; Token-2022 takes them one by one.
    #[inline(never)]
    pub fn send(&self, token: &Token, escrow: &AccountView, channel: &ChannelAccount) -> Result<()> {
        if token.is_spl && self.length > 1 {
            for transfers in self.transfers().chunks(BATCH_SIZE) {
                send_batch(token, escrow, channel, transfers)?;
            }
            return Ok(());
        }
        for (destination, amount) in self.transfers() {
            token.pay(escrow, destination, channel, *amount)?;
        }
        Ok(())
    }
}

#[inline(always)]
fn send_batch(
    token: &Token,
    escrow: &AccountView,
    channel: &ChannelAccount,
    transfers: &[(AccountView, u64)],
) -> Result<()> {
    let seeds = channel.signer_seeds();
    let mut buffers = BatchState::new(4 * transfers.len(), 1 + 12 * transfers.len());
    let mut batch = buffers.as_batch()?;
    for (destination, amount) in transfers {
        pinocchio_token::instructions::TransferChecked::new(
            escrow,
            &token.mint,
            destination,
            channel.account(),
            *amount,
            token.decimals,
        )
        .into_batch(&mut batch)?;
    }
    batch.invoke_signed(&[Signer::from(&seeds)])
}

/// Creates `owner`'s associated token account, unless it exists.
///
/// `programs` are the system program and the token program, as the transaction names them.
#[inline(always)]
pub fn create_associated(
    rent_payer: &AccountView,
    account: &AccountView,
    owner: &AccountView,
    mint: &AccountView,
    programs: [&AccountView; 2],
) -> Result<()> {
    const CREATE_IDEMPOTENT: u8 = 1;
    let [system_program, token_program] = programs;
    let instruction = InstructionView {
        program_id: &ASSOCIATED_TOKEN_PROGRAM,
        accounts: &[
            InstructionAccount::writable_signer(rent_payer.address()),
            InstructionAccount::writable(account.address()),
            InstructionAccount::readonly(owner.address()),
            InstructionAccount::readonly(mint.address()),
            InstructionAccount::readonly(system_program.address()),
            InstructionAccount::readonly(token_program.address()),
        ],
        data: &[CREATE_IDEMPOTENT],
    };
    invoke(&instruction, &[rent_payer, account, owner, mint, system_program, token_program])
}
