//! `distribute`: pays out what is settled; ends a sealed channel.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::Unchecked;
use crate::constants::TREASURY_OWNER;
use crate::error::ChannelError;
use crate::payout::Payouts;
use crate::state::{ChannelAccount, Split};
use crate::token::{Role, Token};

/// Anyone may send this: who gets what was fixed when the channel was opened. The recipients' associated token
/// accounts follow, in the order of the splits.
#[derive(Accounts)]
pub struct Distribute {
    /// Open or sealed.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
    #[account(mut, unsafe(dup))]
    pub payer: Unchecked,
    /// Gets back the rent of what is closed.
    #[account(mut, unsafe(dup))]
    pub rent_payer: Unchecked,
    /// The channel's escrow.
    #[account(mut, unsafe(dup))]
    pub channel_token_account: Unchecked,
    #[account(mut, unsafe(dup))]
    pub payer_token_account: Unchecked,
    #[account(mut, unsafe(dup))]
    pub payee_token_account: Unchecked,
    #[account(mut, unsafe(dup))]
    pub treasury_token_account: Unchecked,
    pub mint: Unchecked,
    pub token_program: Unchecked,
    pub event_authority: Unchecked,
    pub self_program: Unchecked,
}

impl Distribute {
    /// Pays every share of what was settled since the last time. A sealed channel also refunds its payer, sends
    /// what is left to the treasury, closes its escrow, and goes away if its address may be used again.
    #[inline(always)]
    pub fn distribute(&mut self, splits: &[Split], recipients: &[AccountView]) -> Result<()> {
        let sealed = self.is_sealed()?;
        let token = self.check_accounts()?;
        self.check_splits(splits, recipients, sealed)?;
        let mut payouts =
            Payouts::new(&self.channel, &token, &self.treasury_token_account, &self.event_authority);
        payouts.pay_shares(splits, recipients, &self.payee_token_account)?;
        if !sealed {
            payouts.send(&self.channel_token_account)?;
            self.channel.payout_watermark = self.channel.settled;
            return Ok(());
        }
        payouts.refund_payer(&self.payer_token_account)?;
        payouts.sweep(&self.channel_token_account)?;
        payouts.send(&self.channel_token_account)?;
        token.close(&self.channel_token_account, &self.rent_payer, &self.channel)?;
        self.leave()
    }

    #[inline(always)]
    fn is_sealed(&self) -> Result<bool> {
        match ChannelStatus::try_from(self.channel.status) {
            Ok(ChannelStatus::Open) => Ok(false),
            Ok(ChannelStatus::Sealed) => Ok(true),
            Ok(ChannelStatus::Closing | ChannelStatus::Distributed) => {
                ChannelError::ChannelNotDistributable.err()
            }
            Err(_) => ChannelError::InvalidChannelStatus.err(),
        }
    }

    /// Everything that does not depend on the splits. The accounts of payee and payer are looked at when they are
    /// paid: what is wrong with them must not stop anyone else's payout.
    #[inline(always)]
    fn check_accounts(&self) -> Result<Token> {
        let channel = &self.channel;
        require!(*self.payer.address() == channel.payer, ChannelError::InvalidChannelPayer);
        require!(*self.mint.address() == channel.mint, ChannelError::InvalidChannelMint);
        require!(*self.rent_payer.address() == channel.rent_payer, ChannelError::InvalidChannelRentPayer);
        let token = Token::read(*self.mint, &self.token_program)?;
        token.require(&self.channel_token_account, channel.account().address(), Role::Escrow)?;
        token.require(&self.treasury_token_account, &TREASURY_OWNER, Role::Treasury)?;
        Ok(token)
    }

    #[inline(always)]
    fn check_splits(&self, splits: &[Split], recipients: &[AccountView], sealed: bool) -> Result<()> {
        let (paid, settled) = (self.channel.payout_watermark.get(), self.channel.settled.get());
        require!(
            Split::hash(splits) == self.channel.distribution_hash,
            ChannelError::InvalidDistributionHash
        );
        require!(recipients.len() == splits.len(), ChannelError::RecipientAccountCountMismatch);
        require!(sealed || paid != settled, ChannelError::NothingToDistribute);
        require!(paid <= settled, ChannelError::DistributePoolOverflow);
        Ok(())
    }

    /// The last step of a sealed channel: it goes away, or waits for `reclaim` until its address may be used again.
    #[inline(always)]
    fn leave(&mut self) -> Result<()> {
        if Clock::get()?.slot > self.channel.taken_until()? {
            return self.channel.free(&mut self.rent_payer);
        }
        self.channel.status = ChannelStatus::Distributed as u8;
        Ok(())
    }
}
