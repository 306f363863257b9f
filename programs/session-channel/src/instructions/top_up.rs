//! `top_up`: the payer escrows more.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::{Signer, Unchecked};
use crate::error::ChannelError;
use crate::state::UnloadedChannel;
use crate::token::{Role, Token};

#[derive(Accounts)]
pub struct TopUp {
    #[account(mut, unsafe(dup))]
    pub payer: Signer,
    /// Its deposit rises. Not loaded with the accounts: a zero amount is refused first.
    #[account(mut, unsafe(dup))]
    pub channel: UnloadedChannel,
    /// The payer's associated token account.
    #[account(mut, unsafe(dup))]
    pub payer_token_account: Unchecked,
    /// The channel's escrow.
    #[account(mut, unsafe(dup))]
    pub channel_token_account: Unchecked,
    pub mint: Unchecked,
    pub token_program: Unchecked,
}

impl TopUp {
    /// Moves `amount` base units into escrow and adds them to the deposit. A closing channel takes none.
    #[inline(always)]
    pub fn top_up(&mut self, amount: u64) -> Result<()> {
        require!(amount != 0, ChannelError::DepositMustBeNonZero);
        let mut channel = self.channel.load()?;
        channel.require_status(ChannelStatus::Open)?;
        require!(*self.payer.address() == channel.payer, ChannelError::InvalidChannelPayer);
        require!(*self.mint.address() == channel.mint, ChannelError::InvalidChannelMint);
        let token = Token::read(*self.mint, &self.token_program)?;
        token.require(&self.channel_token_account, self.channel.address(), Role::Escrow)?;
        token.require(&self.payer_token_account, self.payer.address(), Role::Payer)?;
        let deposit = channel.deposit.get().checked_add(amount);
        channel.deposit = deposit.ok_or(ChannelError::TopUpDepositOverflow)?.into();
        token.transfer(&self.payer_token_account, &self.channel_token_account, &self.payer, amount)
    }
}
