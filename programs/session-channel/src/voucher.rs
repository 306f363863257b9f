//! Checks a signed voucher, or a ceiling, against its channel.

use anchor_lang::prelude::*;
use toll_protocol::{BadMagic, Ceiling, Voucher};

use crate::ed25519::{self, Signed};
use crate::error::ChannelError;
use crate::state::{Channel, ChannelAccount};

/// [`verify`] for the voucher that the instruction before this one proved.
#[inline(always)]
pub fn preceding(instructions: &AccountView, channel: &ChannelAccount, now: i64) -> Result<u64> {
    verify(&ed25519::preceding(instructions)?, channel.account().address(), channel, now)
}

/// What the ceiling that the instruction before this one proved allows `channel` to have settled at most. Refuses what
/// a voucher would be refused for: a ceiling that could not be captured whole is not captured in part.
#[inline(always)]
pub fn preceding_ceiling(instructions: &AccountView, channel: &ChannelAccount, now: i64) -> Result<u64> {
    let signed = ed25519::preceding(instructions)?;
    let Ceiling { channel_id, maximum: cumulative_amount, expires_at } = Ceiling::decode(signed.message)
        .map_err(|BadMagic| ProgramError::from(ChannelError::VoucherBadMagic))?;
    let promise = Voucher { channel_id, cumulative_amount, expires_at };
    covers(&promise, signed.signer, channel.account().address(), channel, now)
}

/// What `channel`, at `address`, will have settled once this voucher is applied: the voucher's cumulative amount.
///
/// Pure: the caller writes it. The order of the checks is part of the program's interface.
#[inline(always)]
pub fn verify(signed: &Signed, address: &Address, channel: &Channel, now: i64) -> Result<u64> {
    let voucher = Voucher::decode(signed.message)
        .map_err(|BadMagic| ProgramError::from(ChannelError::VoucherBadMagic))?;
    covers(&voucher, signed.signer, address, channel, now)
}

/// The amount of `voucher`, signed by `signer`, if it is one that raises what `channel` has settled.
#[inline(always)]
fn covers(
    voucher: &Voucher,
    signer: &[u8; 32],
    address: &Address,
    channel: &Channel,
    now: i64,
) -> Result<u64> {
    let cumulative = voucher.cumulative_amount.get();
    require!(voucher.channel_id.as_bytes() == address.as_array(), ChannelError::VoucherChannelMismatch);
    require!(!voucher.is_expired(now), ChannelError::VoucherExpired);
    require!(cumulative <= channel.deposit.get(), ChannelError::VoucherOverDeposit);
    // Equal is refused too: a voucher settles its increment once.
    require!(cumulative > channel.settled.get(), ChannelError::VoucherWatermarkNotMonotonic);
    require!(*signer == *channel.authorized_signer.as_array(), ChannelError::VoucherSignerMismatch);
    Ok(cumulative)
}
