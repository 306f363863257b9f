//! Instructions: those of the channel program, and the ones that stand beside them in a transaction.
//!
//! Account lists are exact. Source of the nine up to `reclaim`: draft-solana-session, "Channel Program Interface"; of
//! the others the program itself.

mod batch;
mod beside;
mod channel;
mod decode;
mod ed25519;
mod open;
mod top_up;

use solana_instruction::AccountMeta;
use solana_pubkey::Pubkey;
use thiserror::Error;

pub use batch::{decode_settle_batch, ed25519_verify_batch, settle_batch};
pub use beside::{
    ComputeBudget, CreateAssociatedTokenAccount, compute_unit_limit, compute_unit_price,
    create_associated_token_account,
};
pub use channel::{Channel, checkpoint};
pub use decode::ChannelInstruction;
pub use ed25519::{ED25519_INSTRUCTION_SIZE, decode_ed25519, ed25519_verify, ed25519_verify_ceiling};
pub use open::Open;
pub use top_up::TopUp;

use crate::{SplitsError, VOUCHER_SIZE};

/// First byte of each instruction's data.
pub mod discriminator {
    /// `open`
    pub const OPEN: u8 = 1;
    /// `settle`
    pub const SETTLE: u8 = 2;
    /// `top_up`
    pub const TOP_UP: u8 = 3;
    /// `settle_and_seal`
    pub const SETTLE_AND_SEAL: u8 = 4;
    /// `request_close`
    pub const REQUEST_CLOSE: u8 = 5;
    /// `seal`
    pub const SEAL: u8 = 6;
    /// `distribute`
    pub const DISTRIBUTE: u8 = 7;
    /// `withdraw_payer`
    pub const WITHDRAW_PAYER: u8 = 8;
    /// `reclaim`
    pub const RECLAIM: u8 = 9;
    /// `settle_batch`
    pub const SETTLE_BATCH: u8 = 10;
    /// `rearm`
    pub const REARM: u8 = 11;
    /// `settle_up_to`
    pub const SETTLE_UP_TO: u8 = 12;
    /// `settle_closing`
    pub const SETTLE_CLOSING: u8 = 13;
    /// `checkpoint`
    pub const CHECKPOINT: u8 = 14;
}

/// Why an instruction is not the one it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InstructionError {
    /// Another instruction, or none we know.
    #[error("instruction discriminator is {0:?}")]
    Discriminator(Option<u8>),
    /// The data is too short or too long.
    #[error("instruction data has {0} bytes, which is not its length")]
    DataLength(usize),
    /// The splits in the data break a rule.
    #[error(transparent)]
    Splits(#[from] SplitsError),
    /// Too few or too many accounts.
    #[error("instruction has {found} accounts, not {expected}")]
    AccountCount {
        /// How many belong there.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// An account that does not follow from the others.
    #[error("account {index} is {found}, not {expected}")]
    Account {
        /// Its index.
        index: usize,
        /// What belongs there.
        expected: Pubkey,
        /// What is there.
        found: Pubkey,
    },
    /// The signature instruction and the account list are not those of one batch.
    #[error("not an Ed25519 instruction over a batch of these channels")]
    Batch,
    /// The signature instruction has another form than one signature over a voucher of 50 bytes.
    #[error("not an Ed25519 instruction over one voucher of {VOUCHER_SIZE} bytes")]
    Ed25519,
    /// Not a compute-budget instruction we read.
    #[error("not a compute unit limit or price")]
    ComputeBudget,
    /// Not the idempotent creation of an associated token account.
    #[error("not an idempotent creation of an associated token account")]
    CreateAccount,
}

/// Compares account lists.
fn same_accounts(expected: &[AccountMeta], found: &[Pubkey]) -> Result<(), InstructionError> {
    if expected.len() != found.len() {
        return Err(InstructionError::AccountCount { expected: expected.len(), found: found.len() });
    }
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        if expected.pubkey != *found {
            let (expected, found) = (expected.pubkey, *found);
            return Err(InstructionError::Account { index, expected, found });
        }
    }
    Ok(())
}

/// The data after the discriminator.
fn arguments(data: &[u8], discriminator: u8) -> Result<&[u8], InstructionError> {
    match data.split_first() {
        Some((first, rest)) if *first == discriminator => Ok(rest),
        other => Err(InstructionError::Discriminator(other.map(|(first, _)| *first))),
    }
}
