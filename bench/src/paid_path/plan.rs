//! How much is run.

use std::path::PathBuf;

use super::Failure;

/// How much of everything.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Requests of a round; fewer where so many would take too long, see [`Plan::requests_over`].
    pub requests: usize,
    /// Rounds that count. One more before them warms up.
    pub rounds: usize,
    /// Channels in the ledger, in turn. All stages run with the first number, the paid one with each.
    pub channels: Vec<u64>,
    /// Connections of the load generator, in turn.
    pub connections: Vec<usize>,
    /// Channels that pay once, for the memory that they take afterwards.
    pub idle_channels: u64,
    /// Whether the paid route is also measured with a ledger on a server of its own, which must be installed.
    pub postgres: bool,
    /// The Python interpreter that has `solana-pay-kit`, to measure its server beside ours.
    pub python: Option<PathBuf>,
    /// Threads of each part.
    pub cores: usize,
}

/// Most requests of a round that one connection waits for, one after the other.
const REQUESTS_PER_CONNECTION: usize = 1_000;

impl Plan {
    /// Refuses what cannot be run.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let nothing = self.requests == 0 || self.rounds == 0 || self.cores == 0;
        if nothing || self.channels.contains(&0) || self.connections.contains(&0) {
            return Err("nothing can be measured with none of something".into());
        }
        if self.channels.is_empty() || self.connections.is_empty() {
            return Err("name numbers of channels and of connections".into());
        }
        let most = *self.connections.iter().max().unwrap_or(&0) as u64;
        if self.channels.iter().any(|channels| *channels < most) {
            return Err(format!("{most} connections need a channel each").into());
        }
        Ok(())
    }

    /// The number of connections that the headline figures are of: 64, or the most.
    pub fn headline_connections(&self) -> usize {
        let most = *self.connections.iter().max().unwrap_or(&1);
        if self.connections.contains(&64) { 64 } else { most }
    }

    /// Requests of a round over so many connections.
    pub(super) fn requests_over(&self, connections: usize) -> usize {
        self.requests.min(connections.saturating_mul(REQUESTS_PER_CONNECTION))
    }
}
