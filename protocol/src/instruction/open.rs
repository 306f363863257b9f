//! `open`: a channel, its escrow and its deposit, in one instruction.

use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

use super::{InstructionError, arguments, discriminator, same_accounts};
use crate::{
    ASSOCIATED_TOKEN_PROGRAM, Agreement, Amount, ChannelId, ChannelTerms, RENT_SYSVAR, SYSTEM_PROGRAM,
    Splits, associated_token_address, event_authority,
};

/// Everything an `open` instruction says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// What the channel will be.
    pub agreement: Agreement,
    /// Tokens to escrow.
    pub deposit: Amount,
}

const ACCOUNTS: usize = 14;

impl Open {
    /// The channel that this opens.
    pub fn channel_id(&self) -> ChannelId {
        self.agreement.channel_id()
    }

    /// The instruction. Payer and rent payer sign.
    pub fn instruction(&self) -> Instruction {
        let Agreement { program, terms, token_program, rent_payer, grace_period, splits } = &self.agreement;
        let ChannelTerms { payer, payee, mint, authorized_signer, salt, open_slot } = *terms;
        let channel = self.channel_id().pubkey();
        let mut data = vec![discriminator::OPEN];
        data.extend_from_slice(&salt.to_le_bytes());
        data.extend_from_slice(&self.deposit.get().to_le_bytes());
        data.extend_from_slice(&grace_period.to_le_bytes());
        data.extend_from_slice(&open_slot.to_le_bytes());
        data.extend_from_slice(&splits.preimage());
        let accounts = vec![
            AccountMeta::new(payer, true),
            AccountMeta::new(*rent_payer, true),
            AccountMeta::new_readonly(payee, false),
            AccountMeta::new_readonly(mint, false),
            AccountMeta::new_readonly(authorized_signer, false),
            AccountMeta::new(channel, false),
            AccountMeta::new(associated_token_address(&payer, &mint, token_program), false),
            AccountMeta::new(associated_token_address(&channel, &mint, token_program), false),
            AccountMeta::new_readonly(*token_program, false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
            AccountMeta::new_readonly(RENT_SYSVAR, false),
            AccountMeta::new_readonly(ASSOCIATED_TOKEN_PROGRAM, false),
            AccountMeta::new_readonly(event_authority(program), false),
            AccountMeta::new_readonly(*program, false),
        ];
        Instruction { program_id: *program, accounts, data }
    }

    /// Reads an `open` whose every account follows from the keys in it: channel, escrow, payer's token
    /// account, event authority and the fixed programs.
    ///
    /// The program is the one in the account list; compare it with the program that was called.
    pub fn decode(data: &[u8], accounts: &[Pubkey]) -> Result<Self, InstructionError> {
        let arguments = arguments(data, discriminator::OPEN)?;
        let wrong_length = || InstructionError::DataLength(data.len());
        let (salt, rest) = arguments.split_first_chunk::<8>().ok_or_else(wrong_length)?;
        let (deposit, rest) = rest.split_first_chunk::<8>().ok_or_else(wrong_length)?;
        let (grace_period, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong_length)?;
        let (open_slot, preimage) = rest.split_first_chunk::<8>().ok_or_else(wrong_length)?;
        let splits = Splits::from_preimage(preimage)?;
        let accounts_found: &[Pubkey; ACCOUNTS] = accounts
            .try_into()
            .map_err(|_| InstructionError::AccountCount { expected: ACCOUNTS, found: accounts.len() })?;
        let [payer, rent_payer, payee, mint, authorized_signer, _, _, _, token_program, .., program] =
            *accounts_found;
        let open = Self {
            agreement: Agreement {
                program,
                terms: ChannelTerms {
                    payer,
                    payee,
                    mint,
                    authorized_signer,
                    salt: u64::from_le_bytes(*salt),
                    open_slot: u64::from_le_bytes(*open_slot),
                },
                token_program,
                rent_payer,
                grace_period: u32::from_le_bytes(*grace_period),
                splits,
            },
            deposit: Amount::new(u64::from_le_bytes(*deposit)),
        };
        same_accounts(&open.instruction().accounts, accounts)?;
        Ok(open)
    }
}
