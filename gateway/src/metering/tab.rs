//! What one request has run up, and what is earmarked for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use toll_ledger::{EARMARK_LIFE, LedgerError, ReplayKey, Watermarks, Widened};
use toll_protocol::Amount;

use crate::gateway::Gateway;

/// How often it is said that the request is still being served.
const RENEWAL: Duration = Duration::from_secs(EARMARK_LIFE as u64 / 3);

/// An earmark in the ledger, kept alive. Dropped without being settled, it is stale after a while, and what was
/// delivered is charged.
#[derive(Debug)]
pub(crate) struct Tab {
    gateway: Arc<Gateway>,
    key: ReplayKey,
    /// What is earmarked.
    amount: Amount,
    /// What is on disk as delivered.
    noted: Amount,
    renewal: AbortHandle,
}

impl Tab {
    /// The tab of the request under `key`, for which `amount` was earmarked just now.
    pub(crate) fn open(gateway: &Arc<Gateway>, key: ReplayKey, amount: Amount) -> Self {
        let ledger = gateway.ledger.clone();
        let renewal = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEWAL).await;
                if let Err(error) = ledger.note_delivered(&key, Amount::ZERO).await {
                    tracing::warn!(%error, "a request that is being served cannot say so");
                }
            }
        });
        Self {
            gateway: Arc::clone(gateway),
            key,
            amount,
            noted: Amount::ZERO,
            renewal: renewal.abort_handle(),
        }
    }

    /// What is earmarked.
    pub(super) const fn amount(&self) -> Amount {
        self.amount
    }

    /// Lets the earmark grow to cover `least`, and up to `most` where that much is authorized.
    pub(super) async fn widen(&mut self, least: Amount, most: Amount) -> Result<Widened, LedgerError> {
        let widened = self.gateway.ledger.widen_earmark(&self.key, least, most).await?;
        if let Widened::To(amount) = widened {
            self.amount = amount;
        }
        Ok(widened)
    }

    /// Puts on disk that `cost` is delivered for, before it is. False: it must not be.
    pub(super) async fn note(&mut self, cost: Amount) -> bool {
        if cost <= self.noted {
            return true;
        }
        match self.gateway.ledger.note_delivered(&self.key, cost).await {
            Ok(true) => {
                self.noted = cost;
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::error!(%error, "cannot note what a request has used");
                false
            }
        }
    }

    /// Charges `used` and sets the rest free. `None`: the ledger has no such earmark any more, or cannot say.
    pub(super) async fn settle(self, used: Amount) -> Option<Watermarks> {
        match self.gateway.ledger.settle_earmark(&self.key, used).await {
            Ok(Some(watermarks)) => {
                self.gateway.metrics.charge(used.min(self.amount));
                Some(watermarks)
            }
            Ok(None) => {
                tracing::error!("a request took so long that its earmark was settled without it");
                None
            }
            Err(error) => {
                tracing::error!(%error, "cannot charge what a request has used");
                None
            }
        }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}
