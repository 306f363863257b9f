//! `reclaim`: frees the account of a channel that has paid everyone.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::Unchecked;
use crate::error::ChannelError;
use crate::state::ChannelAccount;

#[derive(Accounts)]
pub struct Reclaim {
    /// Distributed; ceases to exist.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
    /// Gets the rent back.
    #[account(mut, unsafe(dup))]
    pub rent_payer: Unchecked,
}

impl Reclaim {
    /// Returns the rent and leaves the address empty, once `open` would no longer accept its slot.
    #[inline(always)]
    pub fn reclaim(&mut self) -> Result<()> {
        self.channel.require_status(ChannelStatus::Distributed)?;
        require!(
            *self.rent_payer.address() == self.channel.rent_payer,
            ChannelError::InvalidChannelRentPayer
        );
        let taken_until = self.channel.taken_until()?;
        require!(Clock::get()?.slot > taken_until, ChannelError::ChannelCloseTooEarly);
        self.channel.free(&mut self.rent_payer)
    }
}
