//! `rearm`: ends one session and begins the next on the same channel.
//!
//! A session is a range of the watermark: from what was settled when it began to what is settled when it ends. No
//! watermark goes back, so a voucher settles its increment once, in whichever session.
//!
//! The first eight accounts are those of the reference program's authors' proposal (payment-channels, docs/005). The
//! next three are ours, for what the proposal means to do with them but does not list: shares whose account is unusable
//! go to the treasury, as in `distribute`, and the event needs its authority. They stand before the recipients because
//! what follows a list of unknown length has no name in an interface description.
//!
//! **A voucher outlives its session.** What is refunded is the deposit above `settled`, not the promise: a voucher
//! above the new deposit settles nothing until the payer tops up again, and then it settles as ever, for it says what
//! the payee may take *since the channel opened*. So
//!
//! * the payee, who alone may send this, bears what it does not bring: a voucher that it keeps back is unsecured
//!   until the payer tops up, and worth nothing if the payer never does;
//! * the payer never owes more than the highest amount it signed, whatever was refunded in between. Its client goes on
//!   signing from that amount, not from what is settled, and tops up to cover it. If the session ended by agreement
//!   below that amount, it wants vouchers that expire, or a new channel.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::{Signer, Unchecked};
use crate::constants::TREASURY_OWNER;
use crate::error::ChannelError;
use crate::event::{emit, Rearmed};
use crate::payout::Payouts;
use crate::state::{ChannelAccount, Split};
use crate::token::{Role, Token};
use crate::voucher;

/// The recipients' associated token accounts follow, in the order of the splits.
#[derive(Accounts)]
pub struct Rearm {
    pub payee: Signer,
    /// Open, and stays so.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
    /// The channel's escrow.
    #[account(mut, unsafe(dup))]
    pub channel_token_account: Unchecked,
    pub mint: Unchecked,
    /// Takes the refund, and has to be usable: nothing of it goes to the treasury.
    #[account(mut, unsafe(dup))]
    pub payer_token_account: Unchecked,
    pub token_program: Unchecked,
    /// The instructions sysvar; only read when a voucher is applied.
    pub instructions: Unchecked,
    #[account(mut, unsafe(dup))]
    pub payee_token_account: Unchecked,
    #[account(mut, unsafe(dup))]
    pub treasury_token_account: Unchecked,
    pub event_authority: Unchecked,
    pub self_program: Unchecked,
}

impl Rearm {
    /// Applies a last voucher if there is one, pays every share that is due as `distribute` would, and gives the
    /// payer back what is not settled. Afterwards deposit, `settled` and payout watermark are one number.
    #[inline(always)]
    pub fn rearm(&mut self, has_voucher: bool, splits: &[Split], recipients: &[AccountView]) -> Result<()> {
        let token = self.check_accounts()?;
        self.check_splits(splits, recipients)?;
        if has_voucher {
            let now = Clock::get()?.unix_timestamp;
            let watermark = voucher::preceding(&self.instructions, &self.channel, now)?;
            self.channel.settle(watermark);
        }
        let rearmed = self.end_of_session()?;
        self.pay(&token, splits, recipients, rearmed.refunded)?;
        self.channel.rearm();
        emit(&self.event_authority, rearmed)
    }

    #[inline(always)]
    fn check_accounts(&self) -> Result<Token> {
        let channel = &self.channel;
        channel.require_status(ChannelStatus::Open)?;
        require!(*self.payee.address() == channel.payee, ChannelError::InvalidChannelPayee);
        require!(*self.mint.address() == channel.mint, ChannelError::InvalidChannelMint);
        let token = Token::read(*self.mint, &self.token_program)?;
        token.require(&self.channel_token_account, channel.account().address(), Role::Escrow)?;
        token.require(&self.payer_token_account, &channel.payer, Role::Payer)?;
        token.require(&self.treasury_token_account, &TREASURY_OWNER, Role::Treasury)?;
        Ok(token)
    }

    #[inline(always)]
    fn check_splits(&self, splits: &[Split], recipients: &[AccountView]) -> Result<()> {
        let hash = Split::hash(splits);
        require!(hash == self.channel.distribution_hash, ChannelError::InvalidDistributionHash);
        require!(recipients.len() == splits.len(), ChannelError::RecipientAccountCountMismatch);
        Ok(())
    }

    /// What is due and what is refunded, now that everything is settled.
    #[inline(always)]
    fn end_of_session(&self) -> Result<Rearmed> {
        let channel = &self.channel;
        let settled = channel.settled.get();
        let distributed = settled.checked_sub(channel.payout_watermark.get());
        let distributed = distributed.ok_or(ChannelError::DistributePoolOverflow)?;
        let refunded = channel.deposit.get().checked_sub(settled);
        let refunded = refunded.ok_or(ChannelError::RefundCalculationOverflow)?;
        require!(distributed != 0 || refunded != 0, ChannelError::NothingToRearm);
        Ok(Rearmed { channel: *channel.account().address(), settled, distributed, refunded })
    }

    #[inline(always)]
    fn pay(&self, token: &Token, splits: &[Split], recipients: &[AccountView], refund: u64) -> Result<()> {
        let mut payouts =
            Payouts::new(&self.channel, token, &self.treasury_token_account, &self.event_authority);
        payouts.pay_shares(splits, recipients, &self.payee_token_account)?;
        payouts.refund_to(&self.payer_token_account, refund)?;
        payouts.send(&self.channel_token_account)
    }
}
