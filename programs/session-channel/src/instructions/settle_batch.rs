//! `settle_batch`: one signature settles many channels.
//!
//! Message and accounts are those that the reference program's authors propose (payment-channels, docs/004), so that
//! what is signed and sent for the one settles with the other, and a target means the same: a state, not a step. Two
//! things are ours, and neither changes what a batch of open channels does.
//!
//! * **A channel whose grace period runs settles too.** There a batch is for open channels only, and a payer that asks
//!   to leave makes the payee's batch worthless, which for a voucher no payer can.
//! * **The dead do not stop the living.** Followed by the event authority and this program, a batch passes over channels
//!   that are sealed, past their grace period, or gone, and names each in an event. There they fail the batch, and any
//!   one payer who leaves takes everyone's settlement along until the signer signs again. Without the two accounts they
//!   fail it here as well: nothing is passed over that nobody is told of.

use anchor_lang::prelude::*;

use crate::account::Unchecked;
use crate::batch::{Batch, Standing};
use crate::constants::PROGRAM_ID;
use crate::ed25519;
use crate::error::ChannelError;
use crate::event::{emit, Skipped, Vacant};
use crate::state::ChannelAccount;

/// Anyone may send this: the authority is the batch, signed by the authorized signer that its channels share. Their
/// accounts follow, writable, in strictly ascending order; then, or not, the event authority and this program.
#[derive(Accounts)]
pub struct SettleBatch {
    /// The instructions sysvar, which shows the ed25519 instruction that proved the batch.
    pub instructions: Unchecked,
}

impl SettleBatch {
    /// Raises `settled` of every channel to its target, or fails and raises none. No tokens move.
    ///
    /// A channel that is at its target already, or beyond, stays as it is: one voucher that somebody settled in the
    /// meantime does not stop the others. What is wrong with a promise stops them, as it would stop a voucher.
    #[inline(always)]
    pub fn settle_batch(&mut self, accounts: &[AccountView]) -> Result<()> {
        let signed = ed25519::preceding_of_any_size(&self.instructions)?;
        let now = Clock::get()?.unix_timestamp;
        let batch = Batch::verify(&signed, accounts, now)?;
        for (account, target) in batch.channels.iter().zip(batch.targets()) {
            let Ok(mut channel) = ChannelAccount::load(*account) else {
                skip_vacant(&batch, account, target)?;
                continue;
            };
            match batch.standing(&channel, target, now)? {
                Standing::There => {}
                Standing::Below => channel.settle(target),
                Standing::Dead(reason) => {
                    let settled = channel.settled.get();
                    let (channel, reason) = (*account.address(), reason as u8);
                    skip(&batch, Skipped { channel, target, settled, reason })?;
                }
            }
        }
        Ok(())
    }
}

/// Passes over an address where no channel is; refuses any account that is none.
///
/// Nothing is left there that could say whose signature counts, so the event says no more than anyone may ask for.
#[inline(never)]
fn skip_vacant(batch: &Batch, account: &AccountView, target: u64) -> Result<()> {
    let vacant = !account.owned_by(&PROGRAM_ID) && account.is_data_empty();
    let (true, Some(authority)) = (vacant, batch.event_authority) else {
        return ChannelAccount::load(*account).map(|_| ());
    };
    require!(target != 0, ChannelError::BatchTargetMustBeNonZero);
    emit(authority, Vacant { channel: *account.address() })
}

/// Says so, or refuses where nobody would hear it.
#[inline(never)]
fn skip(batch: &Batch, skipped: Skipped) -> Result<()> {
    let authority = batch.event_authority.ok_or(ChannelError::InvalidChannelStatus)?;
    emit(authority, skipped)
}
