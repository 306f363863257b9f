//! The account that holds a channel.

use core::ops::{Deref, DerefMut};

use anchor_lang::prelude::*;

use super::Channel;
use crate::constants::{CHANNEL_DISCRIMINATOR, CHANNEL_SIZE, CHANNEL_VERSION, PROGRAM_ID};
use crate::error::ChannelError;

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
