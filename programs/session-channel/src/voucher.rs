//! Checks a signed voucher against its channel.

use anchor_lang::prelude::*;
use toll_protocol::{BadMagic, Voucher};

use crate::ed25519::{self, Signed};
use crate::error::ChannelError;
use crate::state::{Channel, ChannelAccount};

/// [`verify`] for the voucher that the instruction before this one proved.
#[inline(always)]
pub fn preceding(instructions: &AccountView, channel: &ChannelAccount, now: i64) -> Result<u64> {
    verify(&ed25519::preceding(instructions)?, channel.account().address(), channel, now)
}

/// What `channel`, at `address`, will have settled once this voucher is applied: the voucher's cumulative amount.
///
/// Pure: the caller writes it. The order of the checks is part of the program's interface.
#[inline(always)]
pub fn verify(signed: &Signed, address: &Address, channel: &Channel, now: i64) -> Result<u64> {
    let voucher = Voucher::decode(signed.message)
        .map_err(|BadMagic| ProgramError::from(ChannelError::VoucherBadMagic))?;
    let cumulative = voucher.cumulative_amount.get();
    require!(voucher.channel_id.as_bytes() == address.as_array(), ChannelError::VoucherChannelMismatch);
    require!(!voucher.is_expired(now), ChannelError::VoucherExpired);
    require!(cumulative <= channel.deposit.get(), ChannelError::VoucherOverDeposit);
    // Equal is refused too: a voucher settles its increment once.
    require!(cumulative > channel.settled.get(), ChannelError::VoucherWatermarkNotMonotonic);
    require!(*signed.signer == *channel.authorized_signer.as_array(), ChannelError::VoucherSignerMismatch);
    Ok(cumulative)
}
