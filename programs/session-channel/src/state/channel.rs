//! The channel account: its 256 bytes, and the moves between its statuses.

use core::ops::{Deref, DerefMut};

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

    /// Raises `settled` to `watermark`, which `voucher::verify` found to be higher and covered.
    #[inline(always)]
    pub fn settle(&mut self, watermark: u64) {
        self.settled = watermark.into();
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

    /// The address that follows from the channel's terms, and its canonical bump.
    pub fn derive_address(&self) -> (Address, u8) {
        let seeds = [
            CHANNEL_SEED,
            self.payer.as_ref(),
            self.payee.as_ref(),
            self.mint.as_ref(),
            self.authorized_signer.as_ref(),
            bytemuck::bytes_of(&self.salt),
            bytemuck::bytes_of(&self.open_slot),
        ];
        find_program_address(&seeds, &PROGRAM_ID)
    }

    /// The seeds with which the channel signs, bump included.
    #[inline(always)]
    pub fn signer_seeds(&self) -> [Seed<'_>; 8] {
        [
            Seed::from(CHANNEL_SEED),
            Seed::from(self.payer.as_array()),
            Seed::from(self.payee.as_array()),
            Seed::from(self.mint.as_array()),
            Seed::from(self.authorized_signer.as_array()),
            Seed::from(bytemuck::bytes_of(&self.salt)),
            Seed::from(bytemuck::bytes_of(&self.open_slot)),
            Seed::from(core::slice::from_ref(&self.bump)),
        ]
    }
}

/// A channel of this program, checked by owner, length, discriminator and version.
///
/// Its address is not derived again: only `open` creates accounts with this owner, at derived addresses.
pub struct ChannelAccount(AccountView);

impl ChannelAccount {
    /// Fills the account that `open` just created.
    pub fn create(view: AccountView, channel: Channel) -> Result<Self> {
        let mut this = Self(view);
        // SAFETY: `open` allocated CHANNEL_SIZE bytes here, and nobody borrows them.
        unsafe { *this.0.data_mut_ptr() = CHANNEL_DISCRIMINATOR };
        *this = channel;
        Ok(this)
    }

    /// Frees the account: every lamport goes to `rent_payer`, no data is left.
    #[inline(always)]
    pub fn free(&mut self, rent_payer: &mut AccountView) -> Result<()> {
        let lamports = rent_payer.lamports().checked_add(self.0.lamports());
        rent_payer.set_lamports(lamports.ok_or(ChannelError::RentPayerBalanceOverflow)?);
        self.0.set_lamports(0);
        self.0.close()
    }
}

impl AnchorAccount for ChannelAccount {
    type Data = Channel;
    const MIN_DATA_LEN: usize = CHANNEL_SIZE;

    #[inline(always)]
    fn load(view: AccountView) -> Result<Self> {
        require!(view.owned_by(&PROGRAM_ID), ProgramError::InvalidAccountOwner);
        require!(view.data_len() == CHANNEL_SIZE, ProgramError::InvalidAccountData);
        // SAFETY: the length was checked, and no reference to the data is alive while accounts are loaded.
        let [discriminator, version] = unsafe { *view.data_ptr().cast::<[u8; 2]>() };
        require!(discriminator == CHANNEL_DISCRIMINATOR, ChannelError::InvalidAccountDiscriminator);
        require!(version == CHANNEL_VERSION, ChannelError::UnsupportedChannelVersion);
        Ok(Self(view))
    }

    #[inline(always)]
    unsafe fn load_mut(view: AccountView) -> Result<Self> {
        Self::load(view)
    }

    #[inline(always)]
    fn account(&self) -> &AccountView {
        &self.0
    }
}

impl Deref for ChannelAccount {
    type Target = Channel;

    #[inline(always)]
    fn deref(&self) -> &Channel {
        // SAFETY: both constructors leave CHANNEL_SIZE bytes here; a Channel is any 255 bytes at any alignment.
        // No other reference exists: no account of another type hands out this program's data.
        unsafe { &*self.0.data_ptr().add(1).cast() }
    }
}

impl DerefMut for ChannelAccount {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Channel {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { &mut *self.0.data_mut_ptr().add(1).cast() }
    }
}

/// A channel that is checked only when the instruction asks for it.
pub struct UnloadedChannel(AccountView);

impl UnloadedChannel {
    /// Checks it now.
    #[inline(always)]
    pub fn load(&self) -> Result<ChannelAccount> {
        ChannelAccount::load(self.0)
    }
}

impl AnchorAccount for UnloadedChannel {
    type Data = AccountView;

    #[inline(always)]
    fn load(view: AccountView) -> Result<Self> {
        Ok(Self(view))
    }

    #[inline(always)]
    unsafe fn load_mut(view: AccountView) -> Result<Self> {
        Ok(Self(view))
    }

    #[inline(always)]
    fn account(&self) -> &AccountView {
        &self.0
    }
}

impl Deref for UnloadedChannel {
    type Target = AccountView;

    #[inline(always)]
    fn deref(&self) -> &AccountView {
        &self.0
    }
}

impl IdlAccountType for UnloadedChannel {}

impl IdlAccountType for ChannelAccount {
    const __IDL_ACCOUNT_ENTRY: Option<&'static str> = Some(r#"{"name":"Channel","discriminator":[1]}"#);

    #[cfg(feature = "idl-build")]
    fn __register_idl_deps(
        accounts: &mut anchor_lang::__alloc::vec::Vec<&'static str>,
        types: &mut anchor_lang::__alloc::vec::Vec<&'static str>,
    ) {
        accounts.extend(Self::__IDL_ACCOUNT_ENTRY);
        <Channel as IdlAccountType>::__register_idl_deps(accounts, types);
    }
}
const _: () = assert!(CHANNEL_DISCRIMINATOR == 1, "the account entry above says 1");
