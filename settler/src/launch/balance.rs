//! What the fee payer has left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::Chain;
use tracing::warn;

use super::Shared;
use crate::SettlerError;

/// Watches the fee payer's lamports.
pub(crate) struct Balance {
    chain: Arc<dyn Chain>,
    fee_payer: Pubkey,
    low: u64,
    was_low: AtomicBool,
}

impl Balance {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self {
            chain: Arc::clone(&shared.chain),
            fee_payer: shared.keys.fee_payer.pubkey(),
            low: shared.config.low_balance,
            was_low: AtomicBool::new(false),
        }
    }

    /// What the fee payer holds, in lamports. Warns whenever that has become too little to go on for long.
    pub(crate) async fn check(&self) -> Result<u64, SettlerError> {
        let fee_payer = self.fee_payer;
        let found = self.chain.accounts(&[fee_payer]).await?.accounts;
        let lamports = found.first().and_then(Option::as_ref).map_or(0, |account| account.lamports);
        let is_low = lamports < self.low;
        if is_low && !self.was_low.swap(is_low, Ordering::Relaxed) {
            warn!(%fee_payer, lamports, "the fee payer runs low on SOL; fund it or opens and closes will fail");
        }
        self.was_low.store(is_low, Ordering::Relaxed);
        Ok(lamports)
    }
}
