//! `withdraw_payer`: the payer takes its refund.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::{Signer, Unchecked};
use crate::error::ChannelError;
use crate::state::ChannelAccount;
use crate::token::{Role, Token};

#[derive(Accounts)]
pub struct WithdrawPayer {
    pub payer: Signer,
    /// Sealed; remembers the refund.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
    /// The channel's escrow.
    #[account(mut, unsafe(dup))]
    pub channel_token_account: Unchecked,
    /// The payer's associated token account.
    #[account(mut, unsafe(dup))]
    pub payer_token_account: Unchecked,
    pub mint: Unchecked,
    pub token_program: Unchecked,
}

impl WithdrawPayer {
    /// Pays `deposit − settled` back, once. `distribute` would do the same: this does not wait for it.
    #[inline(always)]
    pub fn withdraw_payer(&mut self) -> Result<()> {
        let channel = &mut self.channel;
        channel.require_status(ChannelStatus::Sealed)?;
        require!(*self.payer.address() == channel.payer, ChannelError::InvalidChannelPayer);
        require!(channel.payer_withdrawn_at.get() == 0, ChannelError::PayerAlreadyWithdrawn);
        require!(*self.mint.address() == channel.mint, ChannelError::InvalidChannelMint);
        let token = Token::read(*self.mint, &self.token_program)?;
        token.require(&self.channel_token_account, channel.account().address(), Role::Escrow)?;
        token.require(&self.payer_token_account, self.payer.address(), Role::Payer)?;
        channel.payer_withdrawn_at = Clock::get()?.unix_timestamp.into();
        let refund = channel.deposit.get().checked_sub(channel.settled.get());
        match refund.ok_or(ChannelError::RefundCalculationOverflow)? {
            0 => Ok(()),
            refund => token.pay(&self.channel_token_account, &self.payer_token_account, channel, refund),
        }
    }
}
