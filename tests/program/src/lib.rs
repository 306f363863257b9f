//! A conformance suite for the channel program, written from its interface description alone.
//!
//! Nothing here shares bytes with the program: layouts, instruction data, error codes and voucher bytes are
//! typed out once more, so that a mistake made twice on the program's side still shows. The program under test
//! is the committed ELF, run in LiteSVM beside the real token programs; [`World`] holds one such ledger with
//! one channel on it.
//!
//! Another build of the program is tested by naming it: `TOLL_TEST_ELF` (a file), `TOLL_PROGRAM_ID` and
//! `TOLL_TREASURY_OWNER` (base58); another build of the probe by `TOLL_TEST_PROBE`.

mod act;
mod attempt;
mod batch;
mod error;
mod event;
pub mod fuzz;
mod guard;
mod plan;
mod probe;
mod program;
mod proof;
mod state;
mod token;
mod voucher;
mod wire;
mod world;

pub use attempt::{Attempt, Landed};
pub use batch::{BATCH_DOMAIN, Batch};
pub use error::{ChannelError, NOT_ENOUGH_ACCOUNT_KEYS};
pub use event::Event;
pub use guard::{Action, Fault, Guards};
pub use plan::{Channel, GRACE_PERIOD, Plan, TokenKind};
pub use probe::probe;
pub use program::{
    ASSOCIATED_TOKEN_PROGRAM, COMPUTE_BUDGET_PROGRAM, ED25519_PROGRAM, INSTRUCTIONS_SYSVAR, RENT_SYSVAR,
    SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, associated_token_address, elf, event_authority, named,
    program_id, sha256_hex, treasury_owner,
};
pub use proof::Proof;
pub use solana_account::Account;
pub use solana_instruction::{AccountMeta, Instruction, error::InstructionError};
pub use solana_pubkey::Pubkey;
pub use solana_transaction_error::TransactionError;
pub use state::{ChannelState, Status};
pub use token::{
    Extension, FROZEN, IMMUTABLE_OWNER, INITIALIZED, TokenState, UNINITIALIZED, WRAPPED_SOL, mint_account,
    tlv, token_account,
};
pub use voucher::{Voucher, voucher_key};
pub use wire::{preimage, preimage_hash, settle_batch, settle_batch_of_the_living};
pub use world::{
    DECIMALS, NOW, OPEN_SLOT_WINDOW, PAYER_TOKENS, RENT_OF_CHANNEL, SLOT, World, compute_unit_limit, rent_of,
};
