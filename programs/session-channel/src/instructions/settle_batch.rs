//! `settle_batch`: one signature settles many channels.

use anchor_lang::prelude::*;

use crate::account::Unchecked;
use crate::batch::Batch;
use crate::ed25519;
use crate::state::ChannelAccount;

/// Anyone may send this: the authority is the batch, signed by the authorized signer that its channels share. Their
/// accounts follow, writable, in strictly ascending order.
#[derive(Accounts)]
pub struct SettleBatch {
    /// The instructions sysvar, which shows the ed25519 instruction that proved the batch.
    pub instructions: Unchecked,
}

impl SettleBatch {
    /// Raises `settled` of every channel to its target, or fails and raises none. No tokens move.
    ///
    /// A target is a state, not a step: a channel that is there already, or beyond, stays as it is, so that one
    /// voucher that somebody settled in the meantime does not stop all others.
    #[inline(always)]
    pub fn settle_batch(&mut self, channels: &[AccountView]) -> Result<()> {
        let signed = ed25519::preceding_of_any_size(&self.instructions)?;
        let batch = Batch::verify(&signed, channels, Clock::get()?.unix_timestamp)?;
        for (channel, target) in channels.iter().zip(batch.targets()) {
            let mut channel = ChannelAccount::load(*channel)?;
            if batch.raises(&channel, target)? {
                channel.settle(target);
            }
        }
        Ok(())
    }
}
