//! `settle_and_seal`: the payee ends the channel.

use anchor_lang::prelude::*;
use toll_protocol::ChannelStatus;

use crate::account::{Signer, Unchecked};
use crate::error::ChannelError;
use crate::state::ChannelAccount;
use crate::{ed25519, voucher};

#[derive(Accounts)]
pub struct SettleAndSeal {
    pub payee: Signer,
    /// Gets its last watermark.
    #[account(mut, unsafe(dup))]
    pub channel: ChannelAccount,
    /// The instructions sysvar; only read when a voucher is applied.
    pub instructions: Unchecked,
}

impl SettleAndSeal {
    /// Applies a last voucher if there is one, then freezes `settled`.
    ///
    /// While the payer's grace period runs the payee may still do so; from its last second on only `seal` can.
    #[inline(always)]
    pub fn settle_and_seal(&mut self, has_voucher: bool) -> Result<()> {
        let now = Clock::get()?.unix_timestamp;
        if self.channel.status == ChannelStatus::Closing as u8 {
            let deadline = self.channel.deadline().ok_or(ProgramError::ArithmeticOverflow)?;
            require!(now < deadline, ChannelError::InvalidChannelStatus);
        } else {
            self.channel.require_status(ChannelStatus::Open)?;
        }
        require!(*self.payee.address() == self.channel.payee, ChannelError::InvalidChannelPayee);
        if has_voucher {
            let signed = ed25519::preceding(&self.instructions)?;
            let watermark = voucher::verify(&signed, self.channel.account().address(), &self.channel, now)?;
            self.channel.settle(watermark);
        }
        self.channel.seal();
        Ok(())
    }
}
