//! Tokens, for SPL Token and Token-2022 alike: which mints and token accounts a channel deals with, and the
//! transfers between them.

mod account;
mod extension;
mod transfer;

use anchor_lang::prelude::*;

pub use account::{Fault, Role};
pub use transfer::{create_associated, Queue};

use crate::error::ChannelError;
use extension::{ExtensionFault, MINT_EXTENSIONS};

/// The SPL Token program.
pub const SPL_TOKEN: Address = Address::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

/// The Token-2022 program.
pub const TOKEN_2022: Address = Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");

/// Size of a mint without extensions.
const MINT_SIZE: usize = 82;
/// Where a mint says how many decimals its token has.
const DECIMALS_OFFSET: usize = 44;
/// Size of a token account without extensions.
const ACCOUNT_SIZE: usize = 165;
/// Size of a multisig, which no extended account may have.
const MULTISIG_SIZE: usize = 355;
/// Where Token-2022 says what an extended account is; the extensions follow.
const ACCOUNT_TYPE_OFFSET: usize = 165;
const ACCOUNT_TYPE_MINT: u8 = 1;
const ACCOUNT_TYPE_ACCOUNT: u8 = 2;

/// The channel's token: a mint that passed the policy, and the program it belongs to.
pub struct Token {
    mint: AccountView,
    program: Address,
    decimals: u8,
    /// SPL Token knows no extensions, and takes several transfers at once.
    is_spl: bool,
}

impl Token {
    /// Checks `mint` against the token program and the extension policy.
    ///
    /// Mint and freeze authorities are not looked at: an issuer who can freeze accounts can hold up a channel, and
    /// USDC's issuer can.
    #[inline(always)]
    pub fn read(mint: AccountView, token_program: &AccountView) -> Result<Self> {
        let program = *token_program.address();
        let is_spl = program == SPL_TOKEN;
        require!(is_spl || program == TOKEN_2022, ChannelError::InvalidMintTokenProgram);
        // SAFETY: nothing in this program holds a reference to a mint's data.
        let data = unsafe { mint.borrow_unchecked() };
        let mut token = Self { mint, program, decimals: 0, is_spl };
        let has_size = data.len() == MINT_SIZE || token.is_extended(data, ACCOUNT_TYPE_MINT);
        require!(has_size && mint.owned_by(&token.program), ChannelError::MintAccountMismatch);
        if data.len() > MINT_SIZE {
            check_extended_mint(data)?;
        }
        token.decimals = data[DECIMALS_OFFSET];
        Ok(token)
    }

    /// Whether `data` has the size and the type byte of a Token-2022 account with extensions.
    #[inline(always)]
    fn is_extended(&self, data: &[u8], account_type: u8) -> bool {
        !self.is_spl
            && data.len() > ACCOUNT_SIZE
            && data.len() != MULTISIG_SIZE
            && data[ACCOUNT_TYPE_OFFSET] == account_type
    }
}

/// Checks what lies behind the 82 bytes of a mint: zeros up to the type byte, then allowed extensions.
#[inline(never)]
fn check_extended_mint(data: &[u8]) -> Result<()> {
    let padding = &data[MINT_SIZE..ACCOUNT_TYPE_OFFSET];
    require!(padding.iter().all(|byte| *byte == 0), ChannelError::MalformedMintTokenAccountData);
    match extension::check(&data[ACCOUNT_TYPE_OFFSET + 1..], MINT_EXTENSIONS) {
        Ok(()) => Ok(()),
        Err(ExtensionFault::Unsupported | ExtensionFault::Malformed) => {
            ChannelError::MalformedMintTokenExtensions.err()
        }
    }
}
