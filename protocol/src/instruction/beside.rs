//! What else a transaction of ours may hold: compute budgets and token accounts.

use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

use super::{InstructionError, same_accounts};
use crate::{ASSOCIATED_TOKEN_PROGRAM, COMPUTE_BUDGET_PROGRAM, SYSTEM_PROGRAM, associated_token_address};

const UNIT_LIMIT: u8 = 2;
const UNIT_PRICE: u8 = 3;
const CREATE_IDEMPOTENT: u8 = 1;

/// A compute-budget instruction of the two kinds we send and accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComputeBudget {
    /// Most compute units the transaction may use.
    UnitLimit(u32),
    /// Priority fee per compute unit, in millionths of a lamport.
    UnitPrice(u64),
}

impl ComputeBudget {
    /// Reads a compute unit limit or price.
    pub fn decode(data: &[u8]) -> Result<Self, InstructionError> {
        match data {
            [UNIT_LIMIT, a, b, c, d] => Ok(Self::UnitLimit(u32::from_le_bytes([*a, *b, *c, *d]))),
            [UNIT_PRICE, price @ ..] => match price.try_into() {
                Ok(price) => Ok(Self::UnitPrice(u64::from_le_bytes(price))),
                Err(_) => Err(InstructionError::ComputeBudget),
            },
            _ => Err(InstructionError::ComputeBudget),
        }
    }

    /// The instruction.
    pub fn instruction(self) -> Instruction {
        let (kind, value) = match self {
            Self::UnitLimit(units) => (UNIT_LIMIT, units.to_le_bytes().to_vec()),
            Self::UnitPrice(price) => (UNIT_PRICE, price.to_le_bytes().to_vec()),
        };
        let data = [vec![kind], value].concat();
        Instruction { program_id: COMPUTE_BUDGET_PROGRAM, accounts: Vec::new(), data }
    }
}

/// Limits the transaction to `units` compute units.
pub fn compute_unit_limit(units: u32) -> Instruction {
    ComputeBudget::UnitLimit(units).instruction()
}

/// Offers a priority fee of `micro_lamports` per compute unit.
pub fn compute_unit_price(micro_lamports: u64) -> Instruction {
    ComputeBudget::UnitPrice(micro_lamports).instruction()
}

/// The creation of an associated token account that succeeds if it is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateAssociatedTokenAccount {
    /// Who pays the rent, and signs.
    pub funder: Pubkey,
    /// Whose account it is.
    pub owner: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// SPL Token or Token-2022.
    pub token_program: Pubkey,
}

const CREATE_ACCOUNTS: usize = 6;

impl CreateAssociatedTokenAccount {
    /// The account it creates.
    pub fn address(&self) -> Pubkey {
        associated_token_address(&self.owner, &self.mint, &self.token_program)
    }

    /// The instruction.
    pub fn instruction(&self) -> Instruction {
        let accounts = vec![
            AccountMeta::new(self.funder, true),
            AccountMeta::new(self.address(), false),
            AccountMeta::new_readonly(self.owner, false),
            AccountMeta::new_readonly(self.mint, false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
            AccountMeta::new_readonly(self.token_program, false),
        ];
        Instruction { program_id: ASSOCIATED_TOKEN_PROGRAM, accounts, data: vec![CREATE_IDEMPOTENT] }
    }

    /// Reads such an instruction.
    pub fn decode(data: &[u8], accounts: &[Pubkey]) -> Result<Self, InstructionError> {
        if data != [CREATE_IDEMPOTENT] {
            return Err(InstructionError::CreateAccount);
        }
        let [funder, _, owner, mint, _, token_program] =
            *<&[Pubkey; CREATE_ACCOUNTS]>::try_from(accounts).map_err(|_| {
                InstructionError::AccountCount { expected: CREATE_ACCOUNTS, found: accounts.len() }
            })?;
        let create = Self { funder, owner, mint, token_program };
        same_accounts(&create.instruction().accounts, accounts)?;
        Ok(create)
    }
}

/// Creates `owner`'s token account for `mint` unless it is already there. `funder` pays and signs.
pub fn create_associated_token_account(
    funder: &Pubkey,
    owner: &Pubkey,
    mint: &Pubkey,
    token_program: &Pubkey,
) -> Instruction {
    CreateAssociatedTokenAccount {
        funder: *funder,
        owner: *owner,
        mint: *mint,
        token_program: *token_program,
    }
    .instruction()
}
