//! Which paid requests are being answered right now, so that a repeat waits instead of running twice.
//!
//! This is per process. Across processes and restarts the ledger charges once; where gateways share one on a server, it
//! says as well which of them answers a request that has an `Idempotency-Key` ([`Serving`]). Two gateways on one file
//! could both run the handler for such a request.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use toll_ledger::{ReplayKey, Serving};

/// The keys at work.
#[derive(Debug)]
pub(crate) struct InFlight<K = ReplayKey> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<()>>>>,
}

impl<K> Clone for InFlight<K> {
    fn clone(&self) -> Self {
        Self { running: Arc::clone(&self.running) }
    }
}

impl<K> Default for InFlight<K> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

/// The right to answer one key. Dropping it, also by a panic or a lost connection, lets the next in.
#[derive(Debug)]
pub(crate) struct Turn<K: Copy + Eq + Hash = ReplayKey> {
    key: K,
    in_flight: InFlight<K>,
    _done: watch::Sender<()>,
    _among_gateways: Option<Serving>,
}

impl<K: Copy + Eq + Hash> InFlight<K> {
    /// Takes the turn for `key`, after waiting up to `patience` for whoever has it. `None`: still taken.
    pub(crate) async fn turn(&self, key: K, patience: Duration) -> Option<Turn<K>> {
        let deadline = Instant::now() + patience;
        loop {
            let mut other = match self.take(key) {
                Ok(turn) => return Some(turn),
                Err(other) => other,
            };
            // Returns as soon as the other's sender is dropped.
            if tokio::time::timeout_at(deadline, other.changed()).await.is_err() {
                return None;
            }
        }
    }

    fn take(&self, key: K) -> Result<Turn<K>, watch::Receiver<()>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = running.get(&key) {
            return Err(other.clone());
        }
        let (done, receiver) = watch::channel(());
        running.insert(key, receiver);
        Ok(Turn { key, in_flight: self.clone(), _done: done, _among_gateways: None })
    }
}

impl<K: Copy + Eq + Hash> Turn<K> {
    /// The same turn, as long as `serving` says that no other gateway has it.
    pub(crate) fn among_gateways(self, serving: Serving) -> Self {
        let mut turn = self;
        turn._among_gateways = Some(serving);
        turn
    }

    /// The key it was taken for.
    pub(crate) fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Copy + Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        self.in_flight.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> ReplayKey {
        ReplayKey { key: [byte; 32], fingerprint: [0; 32] }
    }

    #[tokio::test]
    async fn a_second_turn_waits_for_the_first_to_end() {
        let in_flight = InFlight::default();
        let first = in_flight.turn(key(1), Duration::ZERO).await.expect("free");
        assert!(in_flight.turn(key(1), Duration::from_millis(5)).await.is_none());
        assert!(in_flight.turn(key(2), Duration::ZERO).await.is_some());
        let waiter = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.turn(key(1), Duration::from_secs(60)).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiter.await.expect("join"));
        assert!(in_flight.turn(key(1), Duration::ZERO).await.is_some());
    }
}
