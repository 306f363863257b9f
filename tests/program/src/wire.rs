//! The nine instructions, the additions from 10 on and `emit_event`, as their interface description writes them:
//! account order, flags, data.

use crate::plan::Channel;
use crate::program::{
    ASSOCIATED_TOKEN_PROGRAM, INSTRUCTIONS_SYSVAR, RENT_SYSVAR, SYSTEM_PROGRAM, event_authority, program_id,
};
use sha2::{Digest, Sha256};
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

/// `count u32 | count × (recipient[32] | share_bps u16)`.
pub fn preimage(splits: &[(Pubkey, u16)]) -> Vec<u8> {
    let mut bytes = (splits.len() as u32).to_le_bytes().to_vec();
    for (recipient, share_bps) in splits {
        bytes.extend(recipient.to_bytes());
        bytes.extend(share_bps.to_le_bytes());
    }
    bytes
}

/// SHA-256 of the preimage.
pub fn preimage_hash(splits: &[(Pubkey, u16)]) -> [u8; 32] {
    Sha256::digest(preimage(splits)).into()
}

const SIGNS: u8 = 1;
const WRITES: u8 = 2;

fn instruction(data: Vec<u8>, accounts: Vec<(Pubkey, u8)>) -> Instruction {
    let accounts = accounts
        .into_iter()
        .map(|(pubkey, flags)| AccountMeta {
            pubkey,
            is_signer: flags & SIGNS != 0,
            is_writable: flags & WRITES != 0,
        })
        .collect();
    Instruction { program_id: program_id(), accounts, data }
}

impl Channel {
    /// The data of `open` with these splits.
    pub fn open_data(&self, splits: &[(Pubkey, u16)]) -> Vec<u8> {
        let mut data = vec![1];
        data.extend(self.plan.salt.to_le_bytes());
        data.extend(self.plan.deposit.to_le_bytes());
        data.extend(self.plan.grace_period.to_le_bytes());
        data.extend(self.plan.open_slot.to_le_bytes());
        data.extend(preimage(splits));
        data
    }

    /// Discriminator 1.
    pub fn open(&self) -> Instruction {
        let accounts = vec![
            (self.plan.payer, SIGNS | WRITES),
            (self.plan.rent_payer, SIGNS | WRITES),
            (self.plan.payee, 0),
            (self.mint, 0),
            (self.authorized_signer, 0),
            (self.address, WRITES),
            (self.payer_tokens, WRITES),
            (self.escrow, WRITES),
            (self.token_program, 0),
            (SYSTEM_PROGRAM, 0),
            (RENT_SYSVAR, 0),
            (ASSOCIATED_TOKEN_PROGRAM, 0),
            (event_authority(), 0),
            (program_id(), 0),
        ];
        instruction(self.open_data(&self.plan.splits), accounts)
    }

    /// Discriminator 2.
    pub fn settle(&self) -> Instruction {
        instruction(vec![2], vec![(self.address, WRITES), (INSTRUCTIONS_SYSVAR, 0)])
    }

    /// Discriminator 3.
    pub fn top_up(&self, amount: u64) -> Instruction {
        let accounts = vec![
            (self.plan.payer, SIGNS | WRITES),
            (self.address, WRITES),
            (self.payer_tokens, WRITES),
            (self.escrow, WRITES),
            (self.mint, 0),
            (self.token_program, 0),
        ];
        instruction([&[3][..], &amount.to_le_bytes()].concat(), accounts)
    }

    /// Discriminator 4.
    pub fn settle_and_seal(&self, has_voucher: u8) -> Instruction {
        let accounts = vec![(self.plan.payee, SIGNS), (self.address, WRITES), (INSTRUCTIONS_SYSVAR, 0)];
        instruction(vec![4, has_voucher], accounts)
    }

    /// Discriminator 5.
    pub fn request_close(&self) -> Instruction {
        instruction(vec![5], vec![(self.plan.payer, SIGNS), (self.address, WRITES)])
    }

    /// Discriminator 6.
    pub fn seal(&self) -> Instruction {
        instruction(vec![6], vec![(self.address, WRITES)])
    }

    /// Discriminator 7.
    pub fn distribute(&self) -> Instruction {
        let mut accounts = vec![
            (self.address, WRITES),
            (self.plan.payer, WRITES),
            (self.plan.rent_payer, WRITES),
            (self.escrow, WRITES),
            (self.payer_tokens, WRITES),
            (self.payee_tokens, WRITES),
            (self.treasury_tokens, WRITES),
            (self.mint, 0),
            (self.token_program, 0),
            (event_authority(), 0),
            (program_id(), 0),
        ];
        accounts.extend(self.recipient_tokens.iter().map(|address| (*address, WRITES)));
        instruction([vec![7], preimage(&self.plan.splits)].concat(), accounts)
    }

    /// Discriminator 8.
    pub fn withdraw_payer(&self) -> Instruction {
        let accounts = vec![
            (self.plan.payer, SIGNS),
            (self.address, WRITES),
            (self.escrow, WRITES),
            (self.payer_tokens, WRITES),
            (self.mint, 0),
            (self.token_program, 0),
        ];
        instruction(vec![8], accounts)
    }

    /// Discriminator 9.
    pub fn reclaim(&self) -> Instruction {
        instruction(vec![9], vec![(self.address, WRITES), (self.plan.rent_payer, WRITES)])
    }

    /// Discriminator 10, for the channel alone.
    pub fn settle_batch(&self) -> Instruction {
        settle_batch(&[self.address])
    }

    /// Discriminator 11.
    pub fn rearm(&self, has_voucher: u8) -> Instruction {
        let mut accounts = vec![
            (self.plan.payee, SIGNS),
            (self.address, WRITES),
            (self.escrow, WRITES),
            (self.mint, 0),
            (self.payer_tokens, WRITES),
            (self.token_program, 0),
            (INSTRUCTIONS_SYSVAR, 0),
            (self.payee_tokens, WRITES),
            (self.treasury_tokens, WRITES),
            (event_authority(), 0),
            (program_id(), 0),
        ];
        accounts.extend(self.recipient_tokens.iter().map(|address| (*address, WRITES)));
        instruction([vec![11, has_voucher], preimage(&self.plan.splits)].concat(), accounts)
    }

    /// Discriminator 12.
    pub fn settle_up_to(&self, amount: u64) -> Instruction {
        let accounts = vec![
            (self.plan.payee, SIGNS),
            (self.address, WRITES),
            (INSTRUCTIONS_SYSVAR, 0),
            (event_authority(), 0),
            (program_id(), 0),
        ];
        instruction([&[12][..], &amount.to_le_bytes()].concat(), accounts)
    }

    /// Discriminator 13.
    pub fn settle_closing(&self) -> Instruction {
        let accounts =
            vec![(self.address, WRITES), (INSTRUCTIONS_SYSVAR, 0), (event_authority(), 0), (program_id(), 0)];
        instruction(vec![13], accounts)
    }

    /// Discriminator 14.
    pub fn checkpoint(&self) -> Instruction {
        instruction(vec![14], vec![(self.address, 0), (event_authority(), 0), (program_id(), 0)])
    }

    /// Discriminator 228, the first byte of every event.
    pub fn emit_event(&self) -> Instruction {
        instruction(vec![228], vec![(event_authority(), SIGNS)])
    }
}

/// Discriminator 10, for `channels` in the order given: all of them, or none.
pub fn settle_batch(channels: &[Pubkey]) -> Instruction {
    let mut accounts = vec![(INSTRUCTIONS_SYSVAR, 0)];
    accounts.extend(channels.iter().map(|channel| (*channel, WRITES)));
    instruction(vec![10], accounts)
}

/// Discriminator 10, for those of `channels` that can still settle.
pub fn settle_batch_of_the_living(channels: &[Pubkey]) -> Instruction {
    let mut accounts = vec![(INSTRUCTIONS_SYSVAR, 0)];
    accounts.extend(channels.iter().map(|channel| (*channel, WRITES)));
    accounts.extend([(event_authority(), 0), (program_id(), 0)]);
    instruction(vec![10], accounts)
}
