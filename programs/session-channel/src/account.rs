//! How instructions take their accounts.
//!
//! Anchor's own account types refuse with Anchor's own errors, in the order of the account list. This program's
//! interface fixes another order and other codes, so an account here is one of three things: [`Signer`],
//! [`Unchecked`], or a channel (`state/channel.rs`). None of them asks for a writable flag, and one account may
//! stand in several places: whoever pays the rent is often the payer too.

use anchor_lang::prelude::*;

use crate::error::ChannelError;

/// An account that signed, or [`ChannelError::MissingRequiredSignature`].
pub struct Signer(AccountView);

/// Any account. What it must be is checked where it is used, or by the program it is handed to.
pub struct Unchecked(AccountView);

impl AnchorAccount for Signer {
    type Data = AccountView;
    const IS_SIGNER: bool = true;

    #[inline(always)]
    fn load(view: AccountView) -> Result<Self> {
        require!(view.is_signer(), ChannelError::MissingRequiredSignature);
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

impl AnchorAccount for Unchecked {
    type Data = AccountView;

    #[inline(always)]
    fn load(view: AccountView) -> Result<Self> {
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

impl IdlAccountType for Signer {
    const __IDL_IS_SIGNER: bool = true;
}

impl IdlAccountType for Unchecked {}

impl core::ops::Deref for Signer {
    type Target = AccountView;

    #[inline(always)]
    fn deref(&self) -> &AccountView {
        &self.0
    }
}

impl core::ops::Deref for Unchecked {
    type Target = AccountView;

    #[inline(always)]
    fn deref(&self) -> &AccountView {
        &self.0
    }
}

impl core::ops::DerefMut for Unchecked {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut AccountView {
        &mut self.0
    }
}
