//! `seal`: anyone ends a channel whose grace period is over.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::error::ChannelError;
use crate::state::ChannelAccount;

#[derive(Accounts)]
pub struct Seal {
    /// Closing until now.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
}

impl Seal {
    /// Freezes `settled` as it stands. Vouchers that did not come in time are lost.
    #[inline(always)]
    pub fn seal(&mut self) -> Result<()> {
        self.channel.require_status(ChannelStatus::Closing)?;
        let deadline = self.channel.deadline().ok_or(ChannelError::SealDeadlineOverflow)?;
        require!(Clock::get()?.unix_timestamp >= deadline, ChannelError::SealGracePeriodNotElapsed);
        self.channel.seal();
        Ok(())
    }
}
