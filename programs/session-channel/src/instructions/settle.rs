//! `settle`: brings a voucher on chain.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::Unchecked;
use crate::state::ChannelAccount;
use crate::{ed25519, voucher};

/// Anyone may send this: the authority is the voucher.
#[derive(Accounts)]
pub struct Settle {
    /// Its watermark rises in place.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
    /// The instructions sysvar, which shows the ed25519 instruction that proved the voucher.
    pub instructions: Unchecked,
}

impl Settle {
    /// Raises `settled` to the voucher's cumulative amount. No tokens move until `distribute`.
    #[inline(always)]
    pub fn settle(&mut self) -> Result<()> {
        self.channel.require_status(ChannelStatus::Open)?;
        let signed = ed25519::preceding(&self.instructions)?;
        let now = Clock::get()?.unix_timestamp;
        let watermark = voucher::verify(&signed, self.channel.account().address(), &self.channel, now)?;
        self.channel.settle(watermark);
        Ok(())
    }
}
