//! `top_up`: more deposit for an open channel.

use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

use super::{InstructionError, arguments, discriminator, same_accounts};
use crate::{Amount, ChannelId, associated_token_address};

/// Everything a `top_up` instruction says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopUp {
    /// The channel.
    pub channel: ChannelId,
    /// Who deposits.
    pub payer: Pubkey,
    /// The channel's token.
    pub mint: Pubkey,
    /// SPL Token or Token-2022.
    pub token_program: Pubkey,
    /// How much to add.
    pub amount: Amount,
}

const ACCOUNTS: usize = 6;

impl TopUp {
    /// The instruction for `program`. The payer signs.
    pub fn instruction(&self, program: &Pubkey) -> Instruction {
        let channel = self.channel.pubkey();
        let mut data = vec![discriminator::TOP_UP];
        data.extend_from_slice(&self.amount.get().to_le_bytes());
        let accounts = vec![
            AccountMeta::new(self.payer, true),
            AccountMeta::new(channel, false),
            AccountMeta::new(associated_token_address(&self.payer, &self.mint, &self.token_program), false),
            AccountMeta::new(associated_token_address(&channel, &self.mint, &self.token_program), false),
            AccountMeta::new_readonly(self.mint, false),
            AccountMeta::new_readonly(self.token_program, false),
        ];
        Instruction { program_id: *program, accounts, data }
    }

    /// Reads a `top_up` whose token accounts are the canonical ones of payer and channel.
    pub fn decode(data: &[u8], accounts: &[Pubkey]) -> Result<Self, InstructionError> {
        let amount: &[u8; 8] = arguments(data, discriminator::TOP_UP)?
            .try_into()
            .map_err(|_| InstructionError::DataLength(data.len()))?;
        let [payer, channel, _, _, mint, token_program] = *<&[Pubkey; ACCOUNTS]>::try_from(accounts)
            .map_err(|_| InstructionError::AccountCount { expected: ACCOUNTS, found: accounts.len() })?;
        let amount = Amount::new(u64::from_le_bytes(*amount));
        let top_up = Self { channel: channel.into(), payer, mint, token_program, amount };
        same_accounts(&top_up.instruction(&Pubkey::default()).accounts, accounts)?;
        Ok(top_up)
    }
}
