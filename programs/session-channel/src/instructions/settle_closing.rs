//! `settle_closing`: brings a voucher on chain while the payer waits to leave.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::Unchecked;
use crate::error::ChannelError;
use crate::event::{emit, Settled};
use crate::state::ChannelAccount;
use crate::voucher;

/// Anyone may send this: the authority is the voucher. Where `settle_and_seal` needs the payee's key, this does not,
/// so that whoever keeps its vouchers can save them while that key is out of reach.
#[derive(Accounts)]
pub struct SettleClosing {
    /// Its watermark rises in place; it goes on closing.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
    /// The instructions sysvar, which shows the ed25519 instruction that proved the voucher.
    pub instructions: Unchecked,
    pub event_authority: Unchecked,
    pub self_program: Unchecked,
}

impl SettleClosing {
    /// Raises `settled` to the voucher's cumulative amount, up to the last second of the grace period. The grace
    /// period neither ends nor grows, and a higher voucher may follow.
    #[inline(always)]
    pub fn settle_closing(&mut self) -> Result<()> {
        self.channel.require_status(ChannelStatus::Closing)?;
        let now = Clock::get()?.unix_timestamp;
        let deadline = self.channel.deadline().ok_or(ProgramError::ArithmeticOverflow)?;
        require!(now < deadline, ChannelError::InvalidChannelStatus);
        let settled = voucher::preceding(&self.instructions, &self.channel, now)?;
        self.channel.settle(settled);
        let channel = *self.channel.account().address();
        emit(&self.event_authority, Settled { channel, settled })
    }
}
