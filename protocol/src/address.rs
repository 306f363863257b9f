//! Addresses: the programs and sysvars an instruction names, and the accounts derived from keys.

use solana_pubkey::Pubkey;

use crate::{CHANNEL_SEED, ChannelId};

/// The channel program of a build that names no other: the program crate's localnet default.
pub const PROGRAM_ID: Pubkey = Pubkey::from_str_const("ToLLkeeperSessionChanneL1111111111111111111");

/// The owner of the treasury's token accounts in that build: a placeholder that no one holds a key for.
pub const TREASURY_OWNER: Pubkey = Pubkey::new_from_array([
    0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE,
    0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF, 0xBE, 0xEF,
]);

/// SPL Token.
pub const TOKEN_PROGRAM: Pubkey = Pubkey::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// SPL Token-2022.
pub const TOKEN_2022_PROGRAM: Pubkey = Pubkey::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// The program that creates associated token accounts.
pub const ASSOCIATED_TOKEN_PROGRAM: Pubkey =
    Pubkey::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/// The system program.
pub const SYSTEM_PROGRAM: Pubkey = solana_sdk_ids::system_program::ID;
/// The rent sysvar.
pub const RENT_SYSVAR: Pubkey = solana_sdk_ids::sysvar::rent::ID;
/// The sysvar through which a program reads the other instructions of its transaction.
pub const INSTRUCTIONS_SYSVAR: Pubkey = solana_sdk_ids::sysvar::instructions::ID;
/// The precompile that verifies Ed25519 signatures.
pub const ED25519_PROGRAM: Pubkey = solana_sdk_ids::ed25519_program::ID;
/// The program whose instructions set a transaction's compute limit and price.
pub const COMPUTE_BUDGET_PROGRAM: Pubkey = solana_sdk_ids::compute_budget::ID;

/// The seeds of a channel's address: who, in which token, signed by whom, and which incarnation.
///
/// Two channels with equal terms are one channel. Source: draft-solana-session, "Channel Program Interface".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelTerms {
    /// Who deposits, and gets back what was not settled.
    pub payer: Pubkey,
    /// Who earns what the splits leave over.
    pub payee: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// The key whose vouchers count.
    pub authorized_signer: Pubkey,
    /// Tells apart channels of the same parties.
    pub salt: u64,
    /// The slot the payer built on: the incarnation's epoch.
    pub open_slot: u64,
}

impl ChannelTerms {
    /// The channel's address under `program`, and its canonical bump.
    pub fn address(&self, program: &Pubkey) -> (ChannelId, u8) {
        let (address, bump) = Pubkey::find_program_address(
            &[
                CHANNEL_SEED,
                self.payer.as_ref(),
                self.payee.as_ref(),
                self.mint.as_ref(),
                self.authorized_signer.as_ref(),
                &self.salt.to_le_bytes(),
                &self.open_slot.to_le_bytes(),
            ],
            program,
        );
        (address.into(), bump)
    }
}

/// The canonical token account of `owner` for `mint`.
pub fn associated_token_address(owner: &Pubkey, mint: &Pubkey, token_program: &Pubkey) -> Pubkey {
    let seeds = [owner.as_ref(), token_program.as_ref(), mint.as_ref()];
    Pubkey::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM).0
}

/// The key with which `program` signs the events it emits.
pub fn event_authority(program: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[b"event_authority"], program).0
}
