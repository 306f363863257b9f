//! Instructions on a channel that exists.

use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

use super::{TopUp, discriminator};
use crate::{Amount, ChannelId, INSTRUCTIONS_SYSVAR, Splits, associated_token_address, event_authority};

/// What the instructions on one channel need to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The channel program.
    pub program: Pubkey,
    /// The channel.
    pub id: ChannelId,
    /// Who deposited.
    pub payer: Pubkey,
    /// Who earns what the splits leave over.
    pub payee: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// SPL Token or Token-2022.
    pub token_program: Pubkey,
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// Who shares in what the channel pays.
    pub splits: Splits,
    /// Who owns the treasury's token accounts.
    pub treasury_owner: Pubkey,
}

impl Channel {
    /// The account that holds the deposit.
    pub fn escrow(&self) -> Pubkey {
        self.token_account(&self.id.pubkey())
    }

    /// The token account of `owner` in the channel's token.
    pub fn token_account(&self, owner: &Pubkey) -> Pubkey {
        associated_token_address(owner, &self.mint, &self.token_program)
    }

    /// The owners whose token accounts `distribute` pays into: recipients in order, payee, payer, treasury.
    pub fn beneficiaries(&self) -> Vec<Pubkey> {
        let recipients = self.splits.as_slice().iter().map(|split| split.recipient);
        recipients.chain([self.payee, self.payer, self.treasury_owner]).collect()
    }

    /// Raises `settled` to a voucher's amount. Anyone may send it.
    ///
    /// The voucher is in an [`ed25519_verify`](crate::ed25519_verify) instruction right before.
    pub fn settle(&self) -> Instruction {
        self.instruction(
            vec![discriminator::SETTLE],
            vec![self.writable(), AccountMeta::new_readonly(INSTRUCTIONS_SYSVAR, false)],
        )
    }

    /// Adds `amount` to the deposit of an open channel. The payer signs.
    pub fn top_up(&self, amount: Amount) -> Instruction {
        TopUp {
            channel: self.id,
            payer: self.payer,
            mint: self.mint,
            token_program: self.token_program,
            amount,
        }
        .instruction(&self.program)
    }

    /// Freezes `settled`, after settling the voucher of the Ed25519 instruction right before if
    /// `has_voucher`. The payee signs.
    ///
    /// Without a voucher, whatever is not settled goes back to the payer.
    pub fn settle_and_seal(&self, has_voucher: bool) -> Instruction {
        self.instruction(
            vec![discriminator::SETTLE_AND_SEAL, u8::from(has_voucher)],
            vec![
                AccountMeta::new_readonly(self.payee, true),
                self.writable(),
                AccountMeta::new_readonly(INSTRUCTIONS_SYSVAR, false),
            ],
        )
    }

    /// Starts the grace period. The payer signs.
    pub fn request_close(&self) -> Instruction {
        self.instruction(
            vec![discriminator::REQUEST_CLOSE],
            vec![AccountMeta::new_readonly(self.payer, true), self.writable()],
        )
    }

    /// Freezes `settled` once the grace period is over. Anyone may send it.
    pub fn seal(&self) -> Instruction {
        self.instruction(vec![discriminator::SEAL], vec![self.writable()])
    }

    /// Pays out what is settled; on a sealed channel also refunds the payer and closes the escrow. Anyone
    /// may send it.
    ///
    /// A beneficiary whose token account is unusable loses its share to the treasury for good: create
    /// missing accounts first.
    pub fn distribute(&self) -> Instruction {
        let mut data = vec![discriminator::DISTRIBUTE];
        data.extend_from_slice(&self.splits.preimage());
        let mut accounts = vec![
            self.writable(),
            AccountMeta::new(self.payer, false),
            AccountMeta::new(self.rent_payer, false),
            AccountMeta::new(self.escrow(), false),
            AccountMeta::new(self.token_account(&self.payer), false),
            AccountMeta::new(self.token_account(&self.payee), false),
            AccountMeta::new(self.token_account(&self.treasury_owner), false),
            AccountMeta::new_readonly(self.mint, false),
            AccountMeta::new_readonly(self.token_program, false),
            AccountMeta::new_readonly(event_authority(&self.program), false),
            AccountMeta::new_readonly(self.program, false),
        ];
        let recipients = self.splits.as_slice().iter();
        accounts
            .extend(recipients.map(|split| AccountMeta::new(self.token_account(&split.recipient), false)));
        self.instruction(data, accounts)
    }

    /// Refunds the payer of a sealed channel. The payer signs.
    pub fn withdraw_payer(&self) -> Instruction {
        self.instruction(
            vec![discriminator::WITHDRAW_PAYER],
            vec![
                AccountMeta::new_readonly(self.payer, true),
                self.writable(),
                AccountMeta::new(self.escrow(), false),
                AccountMeta::new(self.token_account(&self.payer), false),
                AccountMeta::new_readonly(self.mint, false),
                AccountMeta::new_readonly(self.token_program, false),
            ],
        )
    }

    /// Frees the account of a distributed channel once its slot window is over. Anyone may send it.
    pub fn reclaim(&self) -> Instruction {
        self.instruction(
            vec![discriminator::RECLAIM],
            vec![self.writable(), AccountMeta::new(self.rent_payer, false)],
        )
    }

    /// Ends a session and begins the next: settles the voucher of the Ed25519 instruction right before if
    /// `has_voucher`, pays what is due as [`Self::distribute`] does, and refunds the deposit that is not settled. The
    /// payee signs.
    ///
    /// Vouchers above what is settled stay promises: they settle again as soon as the payer tops up to cover them.
    /// The payer goes on signing from the highest amount it ever signed.
    pub fn rearm(&self, has_voucher: bool) -> Instruction {
        let mut data = vec![discriminator::REARM, u8::from(has_voucher)];
        data.extend_from_slice(&self.splits.preimage());
        let mut accounts = vec![
            AccountMeta::new_readonly(self.payee, true),
            self.writable(),
            AccountMeta::new(self.escrow(), false),
            AccountMeta::new_readonly(self.mint, false),
            AccountMeta::new(self.token_account(&self.payer), false),
            AccountMeta::new_readonly(self.token_program, false),
            AccountMeta::new_readonly(INSTRUCTIONS_SYSVAR, false),
            AccountMeta::new(self.token_account(&self.payee), false),
            AccountMeta::new(self.token_account(&self.treasury_owner), false),
            AccountMeta::new_readonly(event_authority(&self.program), false),
            AccountMeta::new_readonly(self.program, false),
        ];
        let recipients = self.splits.as_slice().iter();
        accounts
            .extend(recipients.map(|split| AccountMeta::new(self.token_account(&split.recipient), false)));
        self.instruction(data, accounts)
    }

    /// Raises `settled` to `amount`, at most the maximum of the [`Ceiling`](crate::Ceiling) in the
    /// [`ed25519_verify_ceiling`](crate::ed25519_verify_ceiling) right before. The payee signs.
    ///
    /// More of the same ceiling may follow, until it expires, while the channel is open or its grace period runs.
    pub fn settle_up_to(&self, amount: Amount) -> Instruction {
        let mut data = vec![discriminator::SETTLE_UP_TO];
        data.extend_from_slice(&amount.get().to_le_bytes());
        let accounts = vec![
            AccountMeta::new_readonly(self.payee, true),
            self.writable(),
            AccountMeta::new_readonly(INSTRUCTIONS_SYSVAR, false),
            AccountMeta::new_readonly(event_authority(&self.program), false),
            AccountMeta::new_readonly(self.program, false),
        ];
        self.instruction(data, accounts)
    }

    /// Settles a voucher while the grace period runs. Anyone may send it.
    ///
    /// The voucher is in an [`ed25519_verify`](crate::ed25519_verify) instruction right before.
    pub fn settle_closing(&self) -> Instruction {
        let accounts = vec![
            self.writable(),
            AccountMeta::new_readonly(INSTRUCTIONS_SYSVAR, false),
            AccountMeta::new_readonly(event_authority(&self.program), false),
            AccountMeta::new_readonly(self.program, false),
        ];
        self.instruction(vec![discriminator::SETTLE_CLOSING], accounts)
    }

    /// Emits what the channel is now. Anyone may send it, and append it to any other instruction.
    pub fn checkpoint(&self) -> Instruction {
        checkpoint(&self.program, &self.id)
    }

    fn writable(&self) -> AccountMeta {
        AccountMeta::new(self.id.pubkey(), false)
    }

    fn instruction(&self, data: Vec<u8>, accounts: Vec<AccountMeta>) -> Instruction {
        Instruction { program_id: self.program, accounts, data }
    }
}

/// Emits what the channel at `id` is now, or that there is none. Anyone may send it.
pub fn checkpoint(program: &Pubkey, id: &ChannelId) -> Instruction {
    let accounts = vec![
        AccountMeta::new_readonly(id.pubkey(), false),
        AccountMeta::new_readonly(event_authority(program), false),
        AccountMeta::new_readonly(*program, false),
    ];
    Instruction { program_id: *program, accounts, data: vec![discriminator::CHECKPOINT] }
}
