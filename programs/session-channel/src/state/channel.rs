//! A channel: its 256 bytes, and the moves between its statuses.

use anchor_lang::pinocchio::cpi::Seed;
use anchor_lang::prelude::*;
use bytemuck::{Pod, Zeroable};
use toll_protocol::ChannelStatus;

use crate::constants::*;
use crate::error::ChannelError;

/// One payment channel, as stored after the discriminator byte.
///
/// `payout_watermark ≤ settled ≤ deposit`, always. These numbers are the truth: the escrow's balance is never
/// asked what anyone is owed.
#[derive(Clone, Copy, Pod, Zeroable, IdlType)]
#[repr(C)]
pub struct Channel {
    /// Layout of what follows: 1.
    pub version: u8,
    /// Canonical bump of the channel's address.
    pub bump: u8,
    /// 0 open, 1 sealed, 2 closing, 3 distributed.
    pub status: u8,
    /// Tells apart channels between the same parties; a seed.
    pub salt: PodU64,
    /// Base units escrowed in all.
    pub deposit: PodU64,
    /// Base units that the payee's side may take in all: the highest voucher brought here.
    pub settled: PodU64,
    /// How much of `settled` is distributed.
    pub payout_watermark: PodU64,
    /// Unix seconds of the payer's close request; 0 when there is none.
    pub closure_started_at: PodI64,
    /// Unix seconds of the payer's own refund; 0 when there was none.
    pub payer_withdrawn_at: PodI64,
    /// Seconds between a close request and the moment anyone may seal.
    pub grace_period: PodU32,
    /// SHA-256 of the splits preimage.
    pub distribution_hash: [u8; 32],
    /// Escrows; gets back what is not settled; a seed.
    pub payer: Address,
    /// Earns what the splits leave; a seed.
    pub payee: Address,
    /// Whose vouchers count; a seed.
    pub authorized_signer: Address,
    /// Of the escrowed token; a seed.
    pub mint: Address,
    /// Paid the rent and gets it back.
    pub rent_payer: Address,
    /// The incarnation; a seed.
    pub open_slot: PodU64,
}

const _: () = assert!(1 + size_of::<Channel>() == CHANNEL_SIZE && align_of::<Channel>() == 1);

impl Channel {
    /// Refuses any status but `expected`, unknown ones included.
    #[inline(always)]
    pub fn require_status(&self, expected: ChannelStatus) -> Result<()> {
        require!(self.status == expected as u8, ChannelError::InvalidChannelStatus);
        Ok(())
    }

    /// Refuses a channel that no promise raises any more at `now`: any but an open one and one whose grace period runs.
    #[inline(always)]
    pub fn require_settling(&self, now: i64) -> Result<()> {
        if self.status == ChannelStatus::Open as u8 {
            return Ok(());
        }
        self.require_status(ChannelStatus::Closing)?;
        let deadline = self.deadline().ok_or(ProgramError::ArithmeticOverflow)?;
        require!(now < deadline, ChannelError::InvalidChannelStatus);
        Ok(())
    }

    /// Raises `settled` to `watermark`, which `voucher::verify` found to be higher and covered.
    #[inline(always)]
    pub fn settle(&mut self, watermark: u64) {
        self.settled = watermark.into();
    }

    /// Open → Open: everything settled is paid out, and the deposit that was not settled is refunded.
    ///
    /// No watermark goes back: the next session continues above the last one's.
    #[inline(always)]
    pub fn rearm(&mut self) {
        self.payout_watermark = self.settled;
        self.deposit = self.settled;
    }

    /// Open → Closing: the payer asked to leave at `now`.
    #[inline(always)]
    pub fn request_close(&mut self, now: i64) {
        self.closure_started_at = now.into();
        self.status = ChannelStatus::Closing as u8;
    }

    /// Open or Closing → Sealed: `settled` is final.
    #[inline(always)]
    pub fn seal(&mut self) {
        self.status = ChannelStatus::Sealed as u8;
        self.closure_started_at = 0.into();
    }

    /// When the grace period of a closing channel ends, in unix seconds; `None` past the end of time.
    #[inline(always)]
    pub fn deadline(&self) -> Option<i64> {
        self.closure_started_at.get().checked_add(i64::from(self.grace_period.get()))
    }

    /// The last slot in which the channel's address must stay taken.
    ///
    /// Until then `open` would accept this `open_slot` again, and a second channel at this address would honour
    /// the first one's vouchers.
    #[inline(always)]
    pub fn taken_until(&self) -> Result<u64> {
        self.open_slot.get().checked_add(OPEN_SLOT_WINDOW).ok_or(ProgramError::ArithmeticOverflow)
    }

    /// What the channel's address is derived from.
    pub fn seeds(&self) -> [&[u8]; 7] {
        [
            CHANNEL_SEED,
            self.payer.as_ref(),
            self.payee.as_ref(),
            self.mint.as_ref(),
            self.authorized_signer.as_ref(),
            bytemuck::bytes_of(&self.salt),
            bytemuck::bytes_of(&self.open_slot),
        ]
    }

    /// The seeds with which the channel signs, bump included.
    #[inline(always)]
    pub fn signer_seeds(&self) -> [Seed<'_>; 8] {
        let [channel, payer, payee, mint, signer, salt, open_slot] = self.seeds().map(Seed::from);
        [channel, payer, payee, mint, signer, salt, open_slot, Seed::from(core::slice::from_ref(&self.bump))]
    }
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn every_field_has_its_place_in_the_account() {
        let offsets = [
            offset_of!(Channel, version),
            offset_of!(Channel, bump),
            offset_of!(Channel, status),
            offset_of!(Channel, salt),
            offset_of!(Channel, deposit),
            offset_of!(Channel, settled),
            offset_of!(Channel, payout_watermark),
            offset_of!(Channel, closure_started_at),
            offset_of!(Channel, payer_withdrawn_at),
            offset_of!(Channel, grace_period),
            offset_of!(Channel, distribution_hash),
            offset_of!(Channel, payer),
            offset_of!(Channel, payee),
            offset_of!(Channel, authorized_signer),
            offset_of!(Channel, mint),
            offset_of!(Channel, rent_payer),
            offset_of!(Channel, open_slot),
        ]
        .map(|offset| offset + 1);
        assert_eq!(offsets, [1, 2, 3, 4, 12, 20, 28, 36, 44, 52, 56, 88, 120, 152, 184, 216, 248]);
    }

    #[test]
    fn a_deadline_past_the_end_of_time_is_none() {
        let mut channel: Channel = Zeroable::zeroed();
        channel.closure_started_at = (i64::MAX - 10).into();
        channel.grace_period = 10.into();
        assert_eq!(channel.deadline(), Some(i64::MAX));
        channel.grace_period = 11.into();
        assert_eq!(channel.deadline(), None);
    }

    #[test]
    fn rearming_makes_one_number_of_deposit_settled_and_payouts() {
        let mut channel: Channel = Zeroable::zeroed();
        (channel.deposit, channel.settled, channel.payout_watermark) = (900.into(), 500.into(), 300.into());
        channel.rearm();
        let numbers = [channel.deposit, channel.settled, channel.payout_watermark];
        assert_eq!(numbers.map(|number| number.get()), [500; 3]);
        assert_eq!(channel.status, ChannelStatus::Open as u8);
    }

    #[test]
    fn the_address_is_the_protocol_vector() {
        let key = Address::from_str_const;
        let mut channel: Channel = Zeroable::zeroed();
        channel.payer = key("9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu");
        channel.payee = key("AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9");
        channel.authorized_signer = key("GyGKxMyg1p9SsHfm15MkNUu1u9TN2JtTspcdmrtGUdse");
        channel.mint = key("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU");
        channel.salt = 42.into();
        channel.open_slot = 352_114_093.into();
        let reference = key("CHNLxYvVA28MJP9PrFuDXccuoGXAx7jBacfLEkahyGsX");
        let vector = key("7hRdGmZcLYoyrqutCrMfbeSod2gjFcvGS5H2nU7x25Ww");
        assert_eq!(find_program_address(&channel.seeds(), &reference), (vector, 253));
    }
}
