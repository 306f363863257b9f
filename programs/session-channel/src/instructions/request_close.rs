//! `request_close`: the payer starts the grace period.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::Signer;
use crate::error::ChannelError;
use crate::state::ChannelAccount;

#[derive(Accounts)]
pub struct RequestClose {
    pub payer: Signer,
    /// Starts closing.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
}

impl RequestClose {
    /// Gives the payee the grace period to bring its last voucher. There is no way back.
    #[inline(always)]
    pub fn request_close(&mut self) -> Result<()> {
        self.channel.require_status(ChannelStatus::Open)?;
        require!(*self.payer.address() == self.channel.payer, ChannelError::InvalidChannelPayer);
        self.channel.request_close(Clock::get()?.unix_timestamp);
        Ok(())
    }
}
