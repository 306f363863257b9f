//! `settle_up_to`: brings a part of a voucher on chain.
//!
//! A voucher may be a ceiling: signed before the price is known, and captured at what was used. Only the payee may
//! say how much that is, and may say more later, up to the ceiling. **Nothing revokes the rest:** once this landed,
//! the voucher is public, and anyone may `settle` it whole. A payer signs ceilings that expire, and that it can bear.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::{Signer, Unchecked};
use crate::error::ChannelError;
use crate::event::{emit, Settled};
use crate::state::ChannelAccount;
use crate::voucher;

#[derive(Accounts)]
pub struct SettleUpTo {
    pub payee: Signer,
    /// Its watermark rises in place.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
    /// The instructions sysvar, which shows the ed25519 instruction that proved the voucher.
    pub instructions: Unchecked,
    pub event_authority: Unchecked,
    pub self_program: Unchecked,
}

impl SettleUpTo {
    /// Raises `settled` to `amount`, at most the voucher's cumulative amount. A voucher that would not settle whole
    /// does not settle in part either. No tokens move.
    #[inline(always)]
    pub fn settle_up_to(&mut self, amount: u64) -> Result<()> {
        self.channel.require_status(ChannelStatus::Open)?;
        require!(*self.payee.address() == self.channel.payee, ChannelError::InvalidChannelPayee);
        let now = Clock::get()?.unix_timestamp;
        let ceiling = voucher::preceding(&self.instructions, &self.channel, now)?;
        require!(amount <= ceiling, ChannelError::AmountOverVoucher);
        require!(amount > self.channel.settled.get(), ChannelError::VoucherWatermarkNotMonotonic);
        self.channel.settle(amount);
        let channel = *self.channel.account().address();
        emit(&self.event_authority, Settled { channel, settled: amount })
    }
}
