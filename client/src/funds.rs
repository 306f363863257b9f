//! Whether the payer has what a deposit takes, before it signs one.

use solana_pubkey::Pubkey;
use toll_protocol::{Amount, CHANNEL_SIZE, TOKEN_PROGRAM};

use crate::conversation::Conversation;
use crate::error::PayError;
use crate::offer::Offer;

/// Lamports for the one signature of a transaction that the payer pays for itself. The same on every cluster.
const PER_SIGNATURE: u64 = 5_000;

/// Lamports that a charge offers besides.
const PRIORITY_FEE: u64 = 1;

/// Bytes of an SPL Token account.
const SPL_ACCOUNT_SIZE: u64 = 165;

/// Bytes of a Token-2022 account that belongs to an address derived for it: its owner can never change.
const TOKEN_2022_ACCOUNT_SIZE: u64 = 170;

impl Conversation<'_> {
    /// Refuses a deposit above what the payer has of `mint`, if the chain may be asked.
    pub(crate) async fn check_tokens(
        &self,
        mint: &Pubkey,
        token_program: &Pubkey,
        needed: Amount,
    ) -> Result<(), PayError> {
        let Some(cluster) = &self.payer.cluster else { return Ok(()) };
        let payer = self.payer.address();
        let available = cluster.tokens(&payer, mint, token_program).await?.unwrap_or(Amount::ZERO);
        if available < needed {
            return Err(PayError::Funds { payer, mint: *mint, needed, available });
        }
        Ok(())
    }

    /// Refuses an open that nobody sponsors and the payer cannot pay for: its fee, the rent of the channel and its
    /// escrow, and what the payer's own account must keep.
    pub(crate) async fn check_sol_for_open(
        &self,
        offer: &Offer,
        token_program: &Pubkey,
    ) -> Result<(), PayError> {
        let Some(cluster) = self.payer.cluster.as_ref().filter(|_| offer.terms.fee_payer.is_none()) else {
            return Ok(());
        };
        let rent = cluster.rent().await?;
        let escrow = if *token_program == TOKEN_PROGRAM { SPL_ACCOUNT_SIZE } else { TOKEN_2022_ACCOUNT_SIZE };
        let accounts = [CHANNEL_SIZE as u64, escrow, 0].map(|size| rent.minimum(size));
        let needed = accounts.into_iter().fold(PER_SIGNATURE, u64::saturating_add);
        self.check_lamports("open a channel", needed).await
    }

    /// Refuses a charge at the payer's cost when it has no SOL for the fee, nor for the rent of `accounts` that may be
    /// made.
    pub(crate) async fn check_sol_for_charge(
        &self,
        token_program: &Pubkey,
        accounts: usize,
    ) -> Result<(), PayError> {
        let Some(cluster) = &self.payer.cluster else { return Ok(()) };
        let rent = cluster.rent().await?;
        let size = if *token_program == TOKEN_PROGRAM { SPL_ACCOUNT_SIZE } else { TOKEN_2022_ACCOUNT_SIZE };
        let accounts = rent.minimum(size).saturating_mul(accounts as u64);
        let kept = rent.minimum(0).saturating_add(PRIORITY_FEE).saturating_add(PER_SIGNATURE);
        self.check_lamports("pay", kept.saturating_add(accounts)).await
    }

    /// Refuses a top-up at the payer's cost when it has no SOL for the fee.
    pub(crate) async fn check_sol_for_top_up(&self) -> Result<(), PayError> {
        let Some(cluster) = &self.payer.cluster else { return Ok(()) };
        let kept = cluster.rent().await?.minimum(0);
        self.check_lamports("raise a deposit", kept.saturating_add(PER_SIGNATURE)).await
    }

    async fn check_lamports(&self, purpose: &'static str, needed: u64) -> Result<(), PayError> {
        let Some(cluster) = &self.payer.cluster else { return Ok(()) };
        let payer = self.payer.address();
        let available = cluster.lamports(&payer).await?;
        if available < needed {
            return Err(PayError::Sol { payer, purpose, needed, available });
        }
        Ok(())
    }
}
