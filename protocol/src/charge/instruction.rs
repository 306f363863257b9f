//! The instructions that pay a charge.

use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

use super::{ChargeError, ChargeRequest};
use crate::{Amount, CreateAssociatedTokenAccount, InstructionError, associated_token_address};

/// The program that writes memos into the log.
pub const MEMO_PROGRAM: Pubkey = Pubkey::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");

const TRANSFER_CHECKED: u8 = 12;

/// A transfer that names its mint and its decimals, between accounts of one owner each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferChecked {
    /// SPL Token or Token-2022.
    pub token_program: Pubkey,
    /// The account that pays.
    pub source: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// The account that is paid.
    pub destination: Pubkey,
    /// Who owns the source, and signs.
    pub authority: Pubkey,
    /// How much, in base units.
    pub amount: Amount,
    /// Decimals of the mint.
    pub decimals: u8,
}

impl TransferChecked {
    /// The instruction.
    pub fn instruction(&self) -> Instruction {
        let accounts = vec![
            AccountMeta::new(self.source, false),
            AccountMeta::new_readonly(self.mint, false),
            AccountMeta::new(self.destination, false),
            AccountMeta::new_readonly(self.authority, true),
        ];
        let mut data = vec![TRANSFER_CHECKED];
        data.extend(self.amount.get().to_le_bytes());
        data.push(self.decimals);
        Instruction { program_id: self.token_program, accounts, data }
    }

    /// Reads such an instruction; one with a multisignature owner is refused.
    pub fn decode(instruction: &Instruction) -> Result<Self, InstructionError> {
        let [TRANSFER_CHECKED, amount @ .., decimals] = instruction.data.as_slice() else {
            return Err(InstructionError::Discriminator(instruction.data.first().copied()));
        };
        let length = InstructionError::DataLength(instruction.data.len());
        let amount = u64::from_le_bytes(amount.try_into().map_err(|_| length)?);
        let [source, mint, destination, authority] = instruction.accounts.as_slice() else {
            return Err(InstructionError::AccountCount { expected: 4, found: instruction.accounts.len() });
        };
        Ok(Self {
            token_program: instruction.program_id,
            source: source.pubkey,
            mint: mint.pubkey,
            destination: destination.pubkey,
            authority: authority.pubkey,
            amount: Amount::new(amount),
            decimals: *decimals,
        })
    }
}

/// Writes `text` into the transaction's log; nobody signs for it.
pub fn memo(text: &str) -> Instruction {
    Instruction { program_id: MEMO_PROGRAM, accounts: Vec::new(), data: text.as_bytes().to_vec() }
}

impl ChargeRequest {
    /// What `payer`'s transaction does to pay this: accounts that the splits ask for, the recipient's transfer, those of
    /// the splits, the memos. Compute budgets go before it.
    ///
    /// `token_program` is the mint's. Without a sponsor the payer pays the accounts' rent.
    pub fn instructions(
        &self,
        payer: &Pubkey,
        token_program: &Pubkey,
    ) -> Result<Vec<Instruction>, ChargeError> {
        let details = &self.method_details;
        let (mint, token_program) = (self.currency, *token_program);
        let funder = details.fee_payer_key.unwrap_or(*payer);
        let mut owners: Vec<Pubkey> = Vec::new();
        for split in details.splits.iter().filter(|split| split.creates_account) {
            if !owners.contains(&split.recipient) {
                owners.push(split.recipient);
            }
        }
        let creates = owners
            .into_iter()
            .map(|owner| CreateAssociatedTokenAccount { funder, owner, mint, token_program }.instruction());
        let transfers = self.legs()?.into_iter().map(|leg| {
            TransferChecked {
                token_program,
                source: associated_token_address(payer, &mint, &token_program),
                mint,
                destination: associated_token_address(&leg.recipient, &mint, &token_program),
                authority: *payer,
                amount: leg.amount,
                decimals: details.decimals,
            }
            .instruction()
        });
        let memos = self.memos().into_iter().map(memo);
        Ok(creates.chain(transfers).chain(memos).collect())
    }
}
