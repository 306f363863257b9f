//! `checkpoint`: tells indexers what a channel is now.
//!
//! Appended to any instruction of the same transaction it makes the event that the instruction itself does not emit:
//! what was settled, added, sealed, paid out or withdrawn shows in the difference to the checkpoint before. After the
//! instruction that freed a channel it says so.

use anchor_lang::prelude::*;

use crate::account::Unchecked;
use crate::constants::PROGRAM_ID;
use crate::event::{emit, emit_checkpoint, Checkpointed, Vacant};
use crate::state::ChannelAccount;

/// Anyone may send this, at any time: it changes nothing, and says nothing that is not so.
#[derive(Accounts)]
pub struct Checkpoint {
    /// In any status, or gone.
    pub channel: Unchecked,
    pub event_authority: Unchecked,
    pub self_program: Unchecked,
}

impl Checkpoint {
    /// Emits the channel's whole account, or that there is none.
    #[inline(always)]
    pub fn checkpoint(&mut self) -> Result<()> {
        let channel = *self.channel.address();
        if !self.channel.owned_by(&PROGRAM_ID) && self.channel.is_data_empty() {
            return emit(&self.event_authority, Vacant { channel });
        }
        let state = *ChannelAccount::load(*self.channel)?;
        emit_checkpoint(&self.event_authority, Checkpointed { channel, state })
    }
}
