//! `settle_up_to`: captures a part of a ceiling.
//!
//! A ceiling is signed before the price is known, and captured at what was used. Only the payee may say how much that
//! is, and may say more later, up to the ceiling, until it expires. It is no voucher and no instruction but this takes
//! it: once a part was captured everybody can see the ceiling, and nobody but the payee can do anything with it.

use crate::account::{Signer, Unchecked};
use crate::error::ChannelError;
use crate::event::{emit, Settled};
use crate::state::ChannelAccount;
use crate::voucher;
use anchor_lang::prelude::*;

#[derive(Accounts)]
pub struct SettleUpTo {
    pub payee: Signer,
    /// Its watermark rises in place.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
    /// The instructions sysvar, which shows the ed25519 instruction that proved the ceiling.
    pub instructions: Unchecked,
    pub event_authority: Unchecked,
    pub self_program: Unchecked,
}

impl SettleUpTo {
    /// Raises `settled` to `amount`, at most the ceiling, while the channel is open or its grace period runs. A ceiling
    /// that could not be captured whole is not captured in part either. No tokens move.
    #[inline(always)]
    pub fn settle_up_to(&mut self, amount: u64) -> Result<()> {
        let now = Clock::get()?.unix_timestamp;
        self.channel.require_settling(now)?;
        require!(*self.payee.address() == self.channel.payee, ChannelError::InvalidChannelPayee);
        let ceiling = voucher::preceding_ceiling(&self.instructions, &self.channel, now)?;
        require!(amount <= ceiling, ChannelError::AmountOverVoucher);
        require!(amount > self.channel.settled.get(), ChannelError::VoucherWatermarkNotMonotonic);
        self.channel.settle(amount);
        let channel = *self.channel.account().address();
        emit(&self.event_authority, Settled { channel, settled: amount })
    }
}
