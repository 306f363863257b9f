//! The addresses that the suite meets: the program under test and the programs around it.

use sha2::{Digest, Sha256};
use solana_pubkey::{Pubkey, pubkey};
use std::sync::LazyLock;

/// SPL Token.
pub const TOKEN_PROGRAM: Pubkey = pubkey!("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// Token-2022.
pub const TOKEN_2022_PROGRAM: Pubkey = pubkey!("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// The associated token account program.
pub const ASSOCIATED_TOKEN_PROGRAM: Pubkey = pubkey!("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/// The system program.
pub const SYSTEM_PROGRAM: Pubkey = pubkey!("11111111111111111111111111111111");
/// The rent sysvar.
pub const RENT_SYSVAR: Pubkey = pubkey!("SysvarRent111111111111111111111111111111111");
/// The instructions sysvar.
pub const INSTRUCTIONS_SYSVAR: Pubkey = pubkey!("Sysvar1nstructions1111111111111111111111111");
/// The Ed25519 precompile.
pub const ED25519_PROGRAM: Pubkey = pubkey!("Ed25519SigVerify111111111111111111111111111");
/// The compute budget program.
pub const COMPUTE_BUDGET_PROGRAM: Pubkey = pubkey!("ComputeBudget111111111111111111111111111111");

static PROGRAM_ID: LazyLock<Pubkey> =
    LazyLock::new(|| from_environment("TOLL_PROGRAM_ID", "ToLLkeeperSessionChanneL1111111111111111111"));
static TREASURY_OWNER: LazyLock<Pubkey> =
    LazyLock::new(|| from_environment("TOLL_TREASURY_OWNER", "DrLViEZBgqj6TgP8vKqu22uvLgV6p3tfkvCYfG8yqSUn"));
static EVENT_AUTHORITY: LazyLock<Pubkey> =
    LazyLock::new(|| Pubkey::find_program_address(&[b"event_authority"], &program_id()).0);

/// The program under test.
pub fn program_id() -> Pubkey {
    *PROGRAM_ID
}

/// Whose token account takes dust, gifts and redirected shares.
pub fn treasury_owner() -> Pubkey {
    *TREASURY_OWNER
}

/// The address that signs the program's events.
pub fn event_authority() -> Pubkey {
    *EVENT_AUTHORITY
}

/// The ELF under test.
pub fn elf() -> Vec<u8> {
    file("TOLL_TEST_ELF", "session-channel/elf/session_channel.so")
}

/// The file that `variable` names, or the one in `programs/`.
pub(crate) fn file(variable: &str, committed: &str) -> Vec<u8> {
    let path = std::env::var(variable)
        .unwrap_or_else(|_| format!("{}/../../programs/{committed}", env!("CARGO_MANIFEST_DIR")));
    std::fs::read(&path).unwrap_or_else(|error| panic!("the ELF at {path}: {error}"))
}

/// The canonical token account of `owner` for `mint`.
pub fn associated_token_address(owner: &Pubkey, mint: &Pubkey, token_program: &Pubkey) -> Pubkey {
    let seeds = [owner.as_ref(), token_program.as_ref(), mint.as_ref()];
    Pubkey::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM).0
}

/// The address that stands for `name`: the same in every run, different for every name.
pub fn named(name: &str) -> Pubkey {
    Pubkey::new_from_array(Sha256::digest(name.as_bytes()).into())
}

/// SHA-256, as the documents print it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_environment(variable: &str, default: &str) -> Pubkey {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    text.parse().unwrap_or_else(|_| panic!("{variable} is no address: {text}"))
}
