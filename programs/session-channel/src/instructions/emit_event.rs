//! `emit_event`: what the program's own events arrive as.

use anchor_lang::prelude::*;

use crate::account::Signer;
use crate::constants::EVENT_AUTHORITY;
use crate::error::ChannelError;

#[derive(Accounts)]
pub struct EmitEvent {
    pub event_authority: Signer,
}

impl EmitEvent {
    /// Accepts an event. Its data is for those who read the transaction; the signature says who wrote it.
    #[inline(always)]
    pub fn emit_event(&mut self) -> Result<()> {
        require!(*self.event_authority.address() == EVENT_AUTHORITY, ChannelError::InvalidEventAuthority);
        Ok(())
    }
}
