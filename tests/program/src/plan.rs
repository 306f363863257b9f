//! What a channel is to be, and every address that follows from it.

use crate::program::{
    TOKEN_2022_PROGRAM, TOKEN_PROGRAM, associated_token_address, named, program_id, treasury_owner,
};
use crate::state::{ChannelState, Status};
use crate::voucher::voucher_key;
use crate::wire::preimage_hash;
use crate::world::SLOT;
use solana_pubkey::Pubkey;

/// Seconds between `request_close` and `seal` in an ordinary plan.
pub const GRACE_PERIOD: u32 = 900;

/// Which token program a channel's mint belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// SPL Token.
    Spl,
    /// Token-2022.
    Token2022,
}

impl TokenKind {
    /// Both, for tests that hold for either.
    pub const ALL: [Self; 2] = [Self::Spl, Self::Token2022];

    /// The program's address.
    pub const fn program(self) -> Pubkey {
        match self {
            Self::Spl => TOKEN_PROGRAM,
            Self::Token2022 => TOKEN_2022_PROGRAM,
        }
    }
}

/// What a channel is to be. Tests change what they are about and leave the rest.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The mint's token program.
    pub token: TokenKind,
    /// The token.
    pub mint: Pubkey,
    /// What follows the account type byte of an extended Token-2022 mint.
    pub mint_trailer: Vec<u8>,
    /// Who deposits.
    pub payer: Pubkey,
    /// Who earns.
    pub payee: Pubkey,
    /// Who pays for the accounts.
    pub rent_payer: Pubkey,
    /// Seed byte of the voucher key.
    pub voucher_key: u8,
    /// Tells apart channels that agree in everything else.
    pub salt: u64,
    /// The incarnation's slot.
    pub open_slot: u64,
    /// Base units.
    pub deposit: u64,
    /// Seconds.
    pub grace_period: u32,
    /// Recipients and their ten-thousandths.
    pub splits: Vec<(Pubkey, u16)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            token: TokenKind::Spl,
            mint: named("mint"),
            mint_trailer: Vec::new(),
            payer: named("payer"),
            payee: named("payee"),
            rent_payer: named("rent payer"),
            voucher_key: 3,
            salt: 42,
            open_slot: SLOT,
            deposit: 1_000_000,
            grace_period: GRACE_PERIOD,
            splits: Vec::new(),
        }
    }
}

impl Plan {
    /// A plan that pays each of `shares` (ten-thousandths) to a recipient of its own.
    pub fn with_shares(shares: &[u16]) -> Self {
        Self { splits: recipients(shares), ..Self::default() }
    }

    /// A plan for a Token-2022 mint.
    pub fn token_2022() -> Self {
        Self { token: TokenKind::Token2022, ..Self::default() }
    }
}

fn recipients(shares: &[u16]) -> Vec<(Pubkey, u16)> {
    shares.iter().enumerate().map(|(index, share)| (named(&format!("recipient {index}")), *share)).collect()
}

/// A plan with every address that follows from it.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct Channel {
    pub plan: Plan,
    pub mint: Pubkey,
    pub token_program: Pubkey,
    pub authorized_signer: Pubkey,
    pub address: Pubkey,
    pub bump: u8,
    pub escrow: Pubkey,
    pub payer_tokens: Pubkey,
    pub payee_tokens: Pubkey,
    pub treasury_tokens: Pubkey,
    pub recipient_tokens: Vec<Pubkey>,
}

impl Channel {
    /// Derives the addresses.
    pub fn new(plan: Plan) -> Self {
        let mint = plan.mint;
        let token_program = plan.token.program();
        let authorized_signer =
            Pubkey::new_from_array(voucher_key(plan.voucher_key).verifying_key().to_bytes());
        let (address, bump) = Pubkey::find_program_address(
            &[
                b"channel",
                plan.payer.as_ref(),
                plan.payee.as_ref(),
                mint.as_ref(),
                authorized_signer.as_ref(),
                &plan.salt.to_le_bytes(),
                &plan.open_slot.to_le_bytes(),
            ],
            &program_id(),
        );
        let tokens_of = |owner: &Pubkey| associated_token_address(owner, &mint, &token_program);
        Self {
            mint,
            token_program,
            authorized_signer,
            address,
            bump,
            escrow: tokens_of(&address),
            payer_tokens: tokens_of(&plan.payer),
            payee_tokens: tokens_of(&plan.payee),
            treasury_tokens: tokens_of(&treasury_owner()),
            recipient_tokens: plan.splits.iter().map(|(recipient, _)| tokens_of(recipient)).collect(),
            plan,
        }
    }

    /// The account that `open` writes for this plan.
    pub fn opened(&self) -> ChannelState {
        ChannelState {
            discriminator: 1,
            version: 1,
            bump: self.bump,
            status: Status::Open as u8,
            salt: self.plan.salt,
            deposit: self.plan.deposit,
            settled: 0,
            payout_watermark: 0,
            closure_started_at: 0,
            payer_withdrawn_at: 0,
            grace_period: self.plan.grace_period,
            distribution_hash: preimage_hash(&self.plan.splits),
            payer: self.plan.payer,
            payee: self.plan.payee,
            authorized_signer: self.authorized_signer,
            mint: self.mint,
            rent_payer: self.plan.rent_payer,
            open_slot: self.plan.open_slot,
        }
    }
}
