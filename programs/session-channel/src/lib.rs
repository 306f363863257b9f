//! Payment channels: a payer escrows a deposit, signs vouchers for what it owes, and the payee's side collects.
//!
//! `Open → Closing → Sealed → Distributed → gone`, or straight from `Open` to `Sealed`. Instructions are listed
//! below, one file each in `instructions/`. What an instruction's data and account list must look like before
//! anything else is checked stands in `dispatch.rs`, what keeps everyone's money in `SECURITY.md`.
//!
//! Instructions 1 to 9 and 228 are the reference program's, byte for byte. Those from 10 on are additions: they use
//! the same accounts and the same 50-byte vouchers, and whoever never sends them sees no difference. Where the
//! reference's authors have proposed one of them, ours is that, and its file says what differs and why.
#![cfg_attr(not(test), no_std)]
#![allow(unexpected_cfgs)]

use anchor_lang::prelude::*;

pub mod account;
pub mod batch;
pub mod constants;
mod dispatch;
pub mod ed25519;
pub mod error;
pub mod event;
mod identity;
pub mod instructions;
pub mod payout;
pub mod state;
pub mod token;
pub mod voucher;

pub use constants::PROGRAM_ID as ID;
use instructions::*;
use state::Split;

#[program]
pub mod session_channel {
    use super::*;

    /// Opens a channel and escrows its deposit.
    #[discrim = 1]
    pub fn open(
        ctx: &mut Context<Open>,
        salt: u64,
        deposit: u64,
        grace_period: u32,
        open_slot: u64,
        splits: &[Split],
    ) -> Result<()> {
        ctx.accounts.open(Terms { salt, deposit, grace_period, open_slot }, splits)
    }

    /// Raises what is settled to a voucher's cumulative amount.
    #[inline(always)]
    #[discrim = 2]
    pub fn settle(ctx: &mut Context<Settle>) -> Result<()> {
        ctx.accounts.settle()
    }

    /// Adds to the deposit.
    #[discrim = 3]
    pub fn top_up(ctx: &mut Context<TopUp>, amount: u64) -> Result<()> {
        ctx.accounts.top_up(amount)
    }

    /// Ends the channel for the payee, after a last voucher if `has_voucher` is not zero.
    #[inline(always)]
    #[discrim = 4]
    pub fn settle_and_seal(ctx: &mut Context<SettleAndSeal>, has_voucher: u8) -> Result<()> {
        ctx.accounts.settle_and_seal(has_voucher != 0)
    }

    /// Starts the grace period for the payer.
    #[inline(always)]
    #[discrim = 5]
    pub fn request_close(ctx: &mut Context<RequestClose>) -> Result<()> {
        ctx.accounts.request_close()
    }

    /// Ends a channel whose grace period is over.
    #[inline(always)]
    #[discrim = 6]
    pub fn seal(ctx: &mut Context<Seal>) -> Result<()> {
        ctx.accounts.seal()
    }

    /// Pays out what is settled; closes the escrow of a sealed channel.
    #[discrim = 7]
    pub fn distribute(ctx: &mut Context<Distribute>, splits: &[Split]) -> Result<()> {
        let recipients = ctx.remaining_accounts()?;
        ctx.accounts.distribute(splits, &recipients)
    }

    /// Refunds the payer of a sealed channel.
    #[discrim = 8]
    pub fn withdraw_payer(ctx: &mut Context<WithdrawPayer>) -> Result<()> {
        ctx.accounts.withdraw_payer()
    }

    /// Frees the account of a channel that has paid everyone.
    #[inline(always)]
    #[discrim = 9]
    pub fn reclaim(ctx: &mut Context<Reclaim>) -> Result<()> {
        ctx.accounts.reclaim()
    }

    /// Raises what is settled on many channels at once, by one signature. Passes over those that are closed.
    #[discrim = 10]
    pub fn settle_batch(ctx: &mut Context<SettleBatch>) -> Result<()> {
        let channels = ctx.remaining_accounts()?;
        ctx.accounts.settle_batch(&channels)
    }

    /// Ends one session and begins the next: pays what is due, refunds what is not settled, stays open.
    #[discrim = 11]
    pub fn rearm(ctx: &mut Context<Rearm>, has_voucher: u8, splits: &[Split]) -> Result<()> {
        let recipients = ctx.remaining_accounts()?;
        ctx.accounts.rearm(has_voucher != 0, splits, &recipients)
    }

    /// Raises what is settled to `amount`, at most a ceiling's.
    #[discrim = 12]
    pub fn settle_up_to(ctx: &mut Context<SettleUpTo>, amount: u64) -> Result<()> {
        ctx.accounts.settle_up_to(amount)
    }

    /// Raises what is settled to a voucher's cumulative amount while the grace period runs.
    #[discrim = 13]
    pub fn settle_closing(ctx: &mut Context<SettleClosing>) -> Result<()> {
        ctx.accounts.settle_closing()
    }

    /// Tells indexers what a channel is now.
    #[discrim = 14]
    pub fn checkpoint(ctx: &mut Context<Checkpoint>) -> Result<()> {
        ctx.accounts.checkpoint()
    }

    /// Takes the program's own events.
    #[discrim = 228]
    pub fn emit_event(ctx: &mut Context<EmitEvent>) -> Result<()> {
        ctx.accounts.emit_event()
    }
}
