//! Which paid requests are being answered right now, so that a repeat waits instead of running twice.
//!
//! This is per process. Across processes and restarts the ledger still charges once; only a repeat that
//! arrives at another gateway process in the same moment could run the handler a second time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use toll_ledger::ReplayKey;

/// The keys at work.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    running: Arc<Mutex<HashMap<ReplayKey, watch::Receiver<()>>>>,
}

/// The right to answer one key. Dropping it, also by a panic or a lost connection, lets the next in.
#[derive(Debug)]
pub(crate) struct Turn {
    key: ReplayKey,
    in_flight: InFlight,
    _done: watch::Sender<()>,
}

impl InFlight {
    /// Takes the turn for `key`, after waiting up to `patience` for whoever has it. `None`: still taken.
    pub(crate) async fn turn(&self, key: ReplayKey, patience: Duration) -> Option<Turn> {
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

    fn take(&self, key: ReplayKey) -> Result<Turn, watch::Receiver<()>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = running.get(&key) {
            return Err(other.clone());
        }
        let (done, receiver) = watch::channel(());
        running.insert(key, receiver);
        Ok(Turn { key, in_flight: self.clone(), _done: done })
    }
}

impl Turn {
    /// The key it was taken for.
    pub(crate) fn key(&self) -> &ReplayKey {
        &self.key
    }
}

impl Drop for Turn {
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
