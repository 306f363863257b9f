//! Finds forced closes: one question to the node, however many channels are open.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use solana_pubkey::Pubkey;
use toll_chain::{Chain, ChainError, ChannelFilter};
use toll_ledger::{ChannelRecord, Ledger};
use toll_protocol::{ChannelId, ChannelStatus};
use tracing::{info, warn};

use crate::SettlerError;

/// Payees that are searched for one by one. With more of them every channel is compared instead.
pub(super) const PAYEES: usize = 4;

/// Rounds that a node which refused is not asked again for.
const ROUNDS_OFF: u32 = 12;

/// Asks the node for the channels that payers are closing.
pub(crate) struct Search {
    program: Pubkey,
    timeout: Duration,
    /// Rounds until the node is asked again; 0 while it answers.
    off: AtomicU32,
}

/// What a search found.
pub(crate) enum Found {
    /// Every forced close that the chain had at a slot, and that the ledger did not know of.
    News {
        /// The slot.
        slot: u64,
        /// The channels.
        channels: Vec<ChannelRecord>,
    },
    /// Nothing can be said: the node does not search.
    NoAnswer,
}

impl Search {
    /// A search for channels of `program` that waits for a node's answer for `timeout`.
    pub(crate) fn new(program: Pubkey, timeout: Duration) -> Self {
        Self { program, timeout, off: AtomicU32::new(0) }
    }

    /// What is looked for, for one payee.
    pub(crate) fn filter(&self, payee: Pubkey) -> ChannelFilter {
        ChannelFilter { program: self.program, payee, status: ChannelStatus::Closing }
    }

    /// Searches the chain at `min_slot` or later.
    pub(crate) async fn forced_closes(
        &self,
        ledger: &Ledger,
        chain: &dyn Chain,
        min_slot: u64,
    ) -> Result<Found, SettlerError> {
        let off = self.off.load(Ordering::Relaxed);
        if off > 1 {
            self.off.store(off - 1, Ordering::Relaxed);
            return Ok(Found::NoAnswer);
        }
        let payees = ledger.live_payees(PAYEES + 1).await?;
        if payees.len() > PAYEES {
            return Ok(Found::NoAnswer);
        }
        let mut found = Vec::new();
        let mut slot = u64::MAX;
        for payee in payees {
            match self.ask(chain, payee, min_slot).await {
                Ok((at, addresses)) => {
                    slot = slot.min(at);
                    found.extend(addresses);
                }
                Err(error) => {
                    if off == 0 {
                        warn!(%error, "the node does not search for forced closes; comparing every channel instead");
                    }
                    self.off.store(ROUNDS_OFF, Ordering::Relaxed);
                    return Ok(Found::NoAnswer);
                }
            }
        }
        if off > 0 {
            info!("the node searches for forced closes again");
            self.off.store(0, Ordering::Relaxed);
        }
        let channels = ledger.not_known_to_close(found).await?;
        Ok(Found::News { slot, channels })
    }

    async fn ask(
        &self,
        chain: &dyn Chain,
        payee: Pubkey,
        min_slot: u64,
    ) -> Result<(u64, Vec<ChannelId>), ChainError> {
        let filter = self.filter(payee);
        let asked = tokio::time::timeout(self.timeout, chain.find_channels(&filter, min_slot)).await;
        let found = asked.map_err(|_| too_late(self.timeout))??;
        // Not every node honours the slot it is asked for.
        if found.slot < min_slot {
            return Err(ChainError::Malformed {
                what: "getProgramAccounts",
                reason: format!("slot {} is before {min_slot}", found.slot),
            });
        }
        Ok((found.slot, found.addresses.iter().map(|address| ChannelId::new(address.to_bytes())).collect()))
    }
}

/// A query that took longer than `timeout`.
pub(super) fn too_late(timeout: Duration) -> ChainError {
    let reason = format!("no answer in {} ms", timeout.as_millis());
    ChainError::Unreachable { method: "getProgramAccounts", node: "settler.rpc".to_owned(), reason }
}
