//! Associated token accounts: is this the one, and can it be used?

use anchor_lang::prelude::*;
use anchor_spl::associated_token::ID as ASSOCIATED_TOKEN_PROGRAM;

use super::extension::{self, ExtensionFault, ACCOUNT_EXTENSIONS};
use super::{Token, ACCOUNT_SIZE, ACCOUNT_TYPE_ACCOUNT, ACCOUNT_TYPE_OFFSET};
use crate::error::ChannelError;
use crate::event::RedirectReason;

/// A token account is `mint[32] | owner[32] | amount u64 | …`, with its state further back.
const AMOUNT_OFFSET: usize = 64;
const STATE_OFFSET: usize = 108;
const UNINITIALIZED: u8 = 0;
const INITIALIZED: u8 = 1;

/// What is wrong with a token account, in the order the checks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not the owner's associated token account of the channel's mint.
    Address,
    /// No token account of the token program: missing, closed, of a wrong size.
    Malformed,
    /// Frozen, or never initialized.
    NotInitialized,
    /// The token program says that it belongs to someone else, or to another mint.
    Reassigned,
    /// Its extensions are not allowed, or not readable.
    Extensions(ExtensionFault),
}

impl Fault {
    /// Why a payout to the account goes to the treasury, or `None` where the payout fails instead: a wrong account
    /// is the sender's mistake, and unreadable extensions are nothing that the token program writes.
    pub fn redirect(self) -> Option<RedirectReason> {
        match self {
            Self::Address | Self::Extensions(ExtensionFault::Malformed) => None,
            Self::Extensions(ExtensionFault::Unsupported) => Some(RedirectReason::Extension),
            Self::Malformed => Some(RedirectReason::Malformed),
            Self::NotInitialized => Some(RedirectReason::NotInitialized),
            Self::Reassigned => Some(RedirectReason::Reassigned),
        }
    }
}

/// What a token account is to a channel, which decides how a [`Fault`] is reported.
#[derive(Clone, Copy)]
pub enum Role {
    /// Holds the deposit.
    Escrow,
    /// Funds the deposit, takes the refund.
    Payer,
    /// Takes what the splits leave.
    Payee,
    /// Takes what nobody else can.
    Treasury,
    /// Takes a share.
    Recipient,
}

impl Role {
    /// `fault` of the account in this role.
    #[inline(never)]
    pub fn error(self, fault: Fault) -> ProgramError {
        use ChannelError::*;
        let [mismatch, invalid, extensions] = match self {
            Self::Escrow => {
                [ChannelAccountMismatch, InvalidChannelTokenAccount, InvalidChannelTokenExtensions]
            }
            Self::Payer => [PayerAccountMismatch, InvalidPayerTokenAccount, InvalidPayerTokenExtensions],
            Self::Payee => [PayeeAccountMismatch, InvalidPayeeTokenAccount, InvalidPayeeTokenExtensions],
            Self::Treasury => {
                [TreasuryAccountMismatch, InvalidTreasuryTokenAccount, InvalidTreasuryTokenExtensions]
            }
            Self::Recipient => {
                [RecipientAccountMismatch, InvalidRecipientTokenAccount, InvalidRecipientTokenExtensions]
            }
        };
        match fault {
            Fault::Address | Fault::NotInitialized | Fault::Reassigned => mismatch,
            Fault::Malformed => invalid,
            Fault::Extensions(_) => extensions,
        }
        .into()
    }
}

impl Token {
    /// Requires `account` to be `owner`'s associated token account and usable.
    #[inline(always)]
    pub fn require(&self, account: &AccountView, owner: &Address, role: Role) -> Result<()> {
        self.check(account, owner).map_err(|fault| role.error(fault))
    }

    /// Requires `account` to be at the address of `owner`'s associated token account, whatever it holds.
    #[inline(always)]
    pub fn require_address(&self, account: &AccountView, owner: &Address, role: Role) -> Result<()> {
        self.check_address(account, owner).map_err(|fault| role.error(fault))
    }

    /// Whether `account` is `owner`'s associated token account, usable for transfers.
    ///
    /// Delegates and close authorities are not looked at: neither can stop a transfer into the account.
    #[inline(never)]
    pub fn check(&self, account: &AccountView, owner: &Address) -> core::result::Result<(), Fault> {
        self.check_address(account, owner)?;
        self.check_contents(account, owner)
    }

    /// Base units held by a token account that [`Self::check`] accepted.
    pub fn balance(&self, account: &AccountView) -> u64 {
        // SAFETY: nothing in this program holds a reference to a token account's data.
        let data = unsafe { account.borrow_unchecked() };
        data.get(AMOUNT_OFFSET..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |amount| u64::from_le_bytes(*amount))
    }

    fn check_contents(&self, account: &AccountView, owner: &Address) -> core::result::Result<(), Fault> {
        // SAFETY: nothing in this program holds a reference to a token account's data.
        let data = unsafe { account.borrow_unchecked() };
        let has_size = data.len() == ACCOUNT_SIZE || self.is_extended(data, ACCOUNT_TYPE_ACCOUNT);
        if !has_size || !account.owned_by(&self.program) {
            return Err(Fault::Malformed);
        }
        if data[STATE_OFFSET] != INITIALIZED {
            return Err(Fault::NotInitialized);
        }
        if data[..32] != *self.mint.address().as_array() || data[32..64] != *owner.as_array() {
            return Err(Fault::Reassigned);
        }
        if data.len() > ACCOUNT_SIZE {
            extension::check(&data[ACCOUNT_TYPE_OFFSET + 1..], ACCOUNT_EXTENSIONS)
                .map_err(Fault::Extensions)?;
        }
        Ok(())
    }

    /// Whether `account` is at the canonical associated address of `owner`.
    ///
    /// To derive that address is to show, with a curve operation each, that no higher bump would do: the largest
    /// part of what a payout costs. It is avoided where the account vouches for itself: an **initialized account
    /// of the token program** whose address is the hash of (owner, token program, mint, *some* bump) is the
    /// canonical one. To be initialized it must have been allocated, and that takes the address's own signature.
    /// For the canonical bump the associated token program signs; for any lower bump it never does; and for a
    /// higher one the hash is a point of the curve whose private key nobody knows.
    ///
    /// Any other account takes the full derivation. That matters where a payout is redirected because an account is
    /// unusable: anyone can name an *empty* address with a lower bump, and if that passed for the beneficiary's
    /// account, whoever sends `distribute` could forfeit the beneficiary's payout to the treasury.
    #[inline(never)]
    fn check_address(&self, account: &AccountView, owner: &Address) -> core::result::Result<(), Fault> {
        let is_associated = if self.is_initialized(account) {
            self.hashes_to(account.address(), owner)
        } else {
            let seeds = [owner.as_ref(), self.program.as_ref(), self.mint.address().as_ref()];
            find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM).0 == *account.address()
        };
        if is_associated {
            Ok(())
        } else {
            Err(Fault::Address)
        }
    }

    /// Whether the token program initialized `account` as a token account (it may be frozen since).
    fn is_initialized(&self, account: &AccountView) -> bool {
        // SAFETY: nothing in this program holds a reference to a token account's data.
        let data = unsafe { account.borrow_unchecked() };
        account.owned_by(&self.program)
            && (data.len() == ACCOUNT_SIZE || self.is_extended(data, ACCOUNT_TYPE_ACCOUNT))
            && data[STATE_OFFSET] != UNINITIALIZED
    }

    /// Whether `address` is the associated address of `owner` under any bump.
    fn hashes_to(&self, address: &Address, owner: &Address) -> bool {
        // One buffer, of which only the bump changes: cheaper to hash than six slices.
        let mut preimage = [0; 150];
        preimage[..32].copy_from_slice(owner.as_ref());
        preimage[32..64].copy_from_slice(self.program.as_ref());
        preimage[64..96].copy_from_slice(self.mint.address().as_ref());
        preimage[97..129].copy_from_slice(ASSOCIATED_TOKEN_PROGRAM.as_ref());
        preimage[129..].copy_from_slice(b"ProgramDerivedAddress");
        (0..=u8::MAX).rev().any(|bump| {
            preimage[96] = bump;
            sha256(&preimage) == *address.as_array()
        })
    }
}
