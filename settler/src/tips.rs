//! Where the cluster stands: fetched, remembered, and published for the gateway's challenges.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use solana_hash::Hash;
use toll_chain::{Chain, ChainTip};
use toll_ledger::{Ledger, Tip};

use crate::SettlerError;

/// How long a fetched tip counts as current.
const FRESH: Duration = Duration::from_millis(500);

/// Blockhashes remembered with their last valid height: more than can be valid at once.
const BLOCKHASHES: usize = 512;

/// The cluster's tips, newest last.
pub(crate) struct Tips {
    ledger: Ledger,
    chain: Arc<dyn Chain>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    newest: Option<(ChainTip, Instant)>,
    blockhashes: VecDeque<(Hash, u64)>,
}

impl Tips {
    pub(crate) fn new(ledger: Ledger, chain: Arc<dyn Chain>) -> Self {
        Self { ledger, chain, seen: Mutex::default() }
    }

    /// Fetches the tip and publishes it in the ledger.
    pub(crate) async fn publish(&self) -> Result<(), SettlerError> {
        let ChainTip { blockhash, slot, block_height, last_valid_block_height } = self.fetch().await?;
        let published_at = self.ledger.now();
        self.ledger
            .publish_tip(Tip { blockhash, slot, block_height, last_valid_block_height, published_at })
            .await?;
        Ok(())
    }

    /// A tip that is current enough to decide by.
    pub(crate) async fn current(&self) -> Result<ChainTip, SettlerError> {
        let kept = self.seen().newest.filter(|(_, at)| at.elapsed() < FRESH);
        match kept {
            Some((tip, _)) => Ok(tip),
            None => self.fetch().await,
        }
    }

    /// The last height at which a transaction with `blockhash` can land, if we ever saw it as the newest.
    pub(crate) fn last_valid_block_height(&self, blockhash: &Hash) -> Option<u64> {
        self.seen().blockhashes.iter().rev().find(|(known, _)| known == blockhash).map(|(_, height)| *height)
    }

    async fn fetch(&self) -> Result<ChainTip, SettlerError> {
        let tip = self.chain.tip().await?;
        self.seen().add(tip);
        Ok(tip)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn add(&mut self, tip: ChainTip) {
        self.newest = Some((tip, Instant::now()));
        if self.blockhashes.back().is_none_or(|(newest, _)| *newest != tip.blockhash) {
            self.blockhashes.push_back((tip.blockhash, tip.last_valid_block_height));
        }
        while self.blockhashes.len() > BLOCKHASHES {
            self.blockhashes.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blockhashes_are_remembered_longer_than_they_live() {
        let mut seen = Seen::default();
        let hash = |number: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            Hash::new_from_array(bytes)
        };
        for number in 0..BLOCKHASHES as u64 + 10 {
            let tip = ChainTip {
                blockhash: hash(number),
                slot: 0,
                block_height: 0,
                last_valid_block_height: number,
            };
            seen.add(tip);
            seen.add(tip);
        }
        let height = |number| seen.blockhashes.iter().find(|(known, _)| *known == hash(number));
        assert_eq!(height(300).map(|(_, height)| *height), Some(300));
        assert_eq!(height(5), None);
    }
}
