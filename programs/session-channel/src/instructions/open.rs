//! `open`: a new channel, its escrow, and the deposit in it.

use anchor_lang::pinocchio::cpi::Signer as PdaSigner;
use anchor_lang::prelude::*;
use pinocchio_system::create_account_with_minimum_balance_signed;
use toll_protocol::ChannelStatus;

use crate::account::{Signer, Unchecked};
use crate::constants::*;
use crate::error::ChannelError;
use crate::event::{emit, Opened};
use crate::state::{Channel, ChannelAccount, Split};
use crate::token::{create_associated, Role, Token};

#[derive(Accounts)]
pub struct Open {
    /// Escrows the deposit.
    #[account(mut, unsafe(dup))]
    pub payer: Signer,
    /// Pays the rent of channel and escrow; may be the payer.
    #[account(mut, unsafe(dup))]
    pub rent_payer: Signer,
    pub payee: Unchecked,
    pub mint: Unchecked,
    /// Whose vouchers will count.
    pub authorized_signer: Unchecked,
    /// The new channel.
    #[account(mut, unsafe(dup))]
    pub channel: Unchecked,
    /// The payer's associated token account.
    #[account(mut, unsafe(dup))]
    pub payer_token_account: Unchecked,
    /// The escrow: the channel's associated token account.
    #[account(mut, unsafe(dup))]
    pub channel_token_account: Unchecked,
    pub token_program: Unchecked,
    pub system_program: Unchecked,
    pub rent: Unchecked,
    pub associated_token_program: Unchecked,
    pub event_authority: Unchecked,
    pub self_program: Unchecked,
}

/// What payer and payee agreed on, besides the accounts and the splits.
pub struct Terms {
    /// Tells apart channels between the same parties.
    pub salt: u64,
    /// Base units to escrow.
    pub deposit: u64,
    /// Seconds between a close request and the moment anyone may seal.
    pub grace_period: u32,
    /// A recent slot, which makes the address unique to this incarnation.
    pub open_slot: u64,
}

impl Open {
    /// Creates the channel at the address that follows from its terms, and funds it.
    ///
    /// Lamports or tokens that already lie at these addresses do no harm and are not counted.
    #[inline(always)]
    pub fn open(&mut self, terms: Terms, splits: &[Split]) -> Result<()> {
        self.check(&terms)?;
        let channel = self.derive(&terms, splits)?;
        let token = Token::read(*self.mint, &self.token_program)?;
        token.require_address(&self.channel_token_account, self.channel.address(), Role::Escrow)?;
        token.require(&self.payer_token_account, self.payer.address(), Role::Payer)?;
        self.create(&channel)?;
        token.transfer(&self.payer_token_account, &self.channel_token_account, &self.payer, terms.deposit)?;
        ChannelAccount::create(*self.channel, channel)?;
        emit(&self.event_authority, Opened { channel: *self.channel.address(), open_slot: terms.open_slot })
    }

    fn check(&self, terms: &Terms) -> Result<()> {
        require!(self.payer.address() != self.payee.address(), ChannelError::PayerPayeeMustDiffer);
        require!(terms.deposit != 0, ChannelError::DepositMustBeNonZero);
        require!(terms.grace_period != 0, ChannelError::GracePeriodMustBeNonZero);
        require!(self.authorized_signer.address().is_on_curve(), ChannelError::InvalidAuthorizedSigner);
        let age = Clock::get()?.slot.checked_sub(terms.open_slot);
        require!(age.is_some_and(|age| age <= OPEN_SLOT_WINDOW), ChannelError::OpenSlotOutOfWindow);
        Ok(())
    }

    /// The channel that these terms make, if its account is where they say.
    #[inline(never)]
    fn derive(&self, terms: &Terms, splits: &[Split]) -> Result<Channel> {
        let mut channel = Channel {
            version: CHANNEL_VERSION,
            bump: 0,
            status: ChannelStatus::Open as u8,
            salt: terms.salt.into(),
            deposit: terms.deposit.into(),
            settled: 0.into(),
            payout_watermark: 0.into(),
            closure_started_at: 0.into(),
            payer_withdrawn_at: 0.into(),
            grace_period: terms.grace_period.into(),
            distribution_hash: Split::hash(splits),
            payer: *self.payer.address(),
            payee: *self.payee.address(),
            authorized_signer: *self.authorized_signer.address(),
            mint: *self.mint.address(),
            rent_payer: *self.rent_payer.address(),
            open_slot: terms.open_slot.into(),
        };
        let (address, bump) = find_program_address(&channel.seeds(), &PROGRAM_ID);
        channel.bump = bump;
        let pays_itself = splits.iter().any(|split| split.recipient == address);
        require!(!pays_itself, ChannelError::InvalidSplitConfig);
        require!(*self.channel.address() == address, ChannelError::ChannelAddressMismatch);
        Ok(channel)
    }

    /// Creates the accounts of channel and escrow.
    #[inline(never)]
    fn create(&mut self, channel: &Channel) -> Result<()> {
        let seeds = channel.signer_seeds();
        create_account_with_minimum_balance_signed(
            &mut self.channel,
            CHANNEL_SIZE,
            &PROGRAM_ID,
            &self.rent_payer,
            Some(&self.rent),
            &[PdaSigner::from(&seeds)],
        )?;
        create_associated(
            &self.rent_payer,
            &self.channel_token_account,
            &self.channel,
            &self.mint,
            [&self.system_program, &self.token_program],
        )
    }
}
