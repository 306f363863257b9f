//! Why a transaction does not pay a charge, or is not signed for its payer.

use solana_pubkey::Pubkey;
use thiserror::Error;

use crate::charge::ChargeError;
use crate::{Amount, InstructionError, TransactionError};

/// Why a transaction does not pay a charge, or does more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChargeRefused {
    /// The bytes are no transaction we read, or its accounts are in tables that can change.
    #[error(transparent)]
    Undecodable(#[from] TransactionError),
    /// The charge itself breaks a rule.
    #[error(transparent)]
    Request(#[from] ChargeError),
    /// A token instruction is not the kind that a charge takes.
    #[error("a token instruction is neither transferChecked nor the creation of an associated account: {0}")]
    Instruction(#[from] InstructionError),
    /// One key in two places of the account list.
    #[error("the transaction lists an account twice")]
    AccountTwice,
    /// A key without a use.
    #[error("account {0} belongs to no instruction")]
    StrayAccount(Pubkey),
    /// Others sign, or too many, or in another order.
    #[error("the signers are not exactly {}the payer", .sponsor.map(|key| format!("the fee payer {key} and ")).unwrap_or_default())]
    Signers {
        /// Who has to pay the fee, if it is not the payer.
        sponsor: Option<Pubkey>,
    },
    /// The sponsor's slot is not empty.
    #[error("the sponsor's signature slot must be empty")]
    SponsorSigned,
    /// The payer's signature is missing or wrong.
    #[error("payer {0} did not sign the transaction")]
    PayerUnsigned(Pubkey),
    /// The sponsor's key is an account of an instruction.
    #[error("the sponsor is an account of an instruction where it has no business")]
    SponsorUsed,
    /// An instruction for a program that is not on the list.
    #[error("an instruction of program {0} is not allowed")]
    ForeignProgram(Pubkey),
    /// Tokens from another account than the payer's own.
    #[error("tokens leave {account}, which is not the associated token account of payer {payer}")]
    Source {
        /// Where they leave.
        account: Pubkey,
        /// Who signs.
        payer: Pubkey,
    },
    /// Another mint, or other decimals.
    #[error("a transfer is of mint {mint} with {decimals} decimals, not of the charge's")]
    Mint {
        /// The mint it names.
        mint: Pubkey,
        /// The decimals it names.
        decimals: u8,
    },
    /// A transfer to where it came from.
    #[error("a transfer pays the payer itself")]
    ToItself,
    /// A transfer that no leg, or no leg left, asks for.
    #[error("a transfer of {amount} to token account {to} is not asked for")]
    Transfer {
        /// The token account.
        to: Pubkey,
        /// How much.
        amount: Amount,
    },
    /// A leg without a transfer.
    #[error("a transfer of {amount} to the token account of {recipient} is missing")]
    LegMissing {
        /// Who is to be paid.
        recipient: Pubkey,
        /// How much.
        amount: Amount,
    },
    /// The creation of an account that is not asked for, or not like this.
    #[error("the creation of a token account of {0} is not asked for, or not in this way")]
    Creation(Pubkey),
    /// A split's account is not created, or only after it was paid.
    #[error("the token account of a split is not created before it is paid")]
    CreationMissing,
    /// A memo that is not asked for.
    #[error("a memo is not one that the charge asks for")]
    Memo,
    /// A memo with accounts of others.
    #[error("a memo names accounts other than the payer")]
    MemoAccounts,
    /// A memo that is asked for is not there.
    #[error("a memo that the charge asks for is missing: its externalId, or one of a split")]
    MemoMissing,
    /// A compute-budget instruction that sets something else, or does it otherwise.
    #[error("only a compute-unit limit and a compute-unit price are allowed")]
    Budget,
    /// Two limits or two prices.
    #[error("a compute-budget instruction is repeated")]
    BudgetTwice,
    /// More compute units than are granted.
    #[error("compute-unit limit {units} is above {most}")]
    UnitLimit {
        /// What it asks for.
        units: u32,
        /// What is granted.
        most: u32,
    },
    /// A dearer compute unit than the sponsor pays for, in micro-lamports.
    #[error("compute-unit price {price} is above {most}")]
    UnitPrice {
        /// What it offers.
        price: u64,
        /// What is granted.
        most: u64,
    },
    /// A priority fee above what the sponsor pays.
    #[error("a priority fee of {lamports} lamports is more than the sponsor pays")]
    PriorityFee {
        /// What it offers.
        lamports: u64,
    },
    /// A price for an unknown number of units.
    #[error("a compute-unit price needs a compute-unit limit beside it")]
    PriceWithoutLimit,
    /// Nothing in it pays.
    #[error("the transaction pays nothing of the charge")]
    Unpaid,
}
