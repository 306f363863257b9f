//! What one request has run up, and what is earmarked for it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use solana_pubkey::Pubkey;
use tokio::task::AbortHandle;
use toll_ledger::{ChannelRecord, EARMARK_LIFE, LedgerError, ReplayKey, Watermarks, Widened};
use toll_protocol::{Amount, ChannelId};

use super::Usage;
use crate::gateway::Gateway;
use crate::hook::Reporter;

/// How often it is said that the request is still being served.
const RENEWAL: Duration = Duration::from_secs(EARMARK_LIFE as u64 / 3);

/// An earmark in the ledger, kept alive. Dropped without being settled, it is stale after a while, and what was
/// delivered is charged.
pub(crate) struct Tab {
    gateway: Arc<Gateway>,
    key: ReplayKey,
    /// What is earmarked.
    amount: Amount,
    /// What is on disk as delivered.
    noted: Amount,
    renewal: AbortHandle,
    channel: ChannelId,
    payer: Pubkey,
    /// Status of the upstream's answer, once there is one.
    status: u16,
    /// Who is told what it came to.
    reporter: Option<Reporter>,
}

impl Tab {
    /// The tab of the request under `key`, for which `amount` was earmarked just now.
    pub(crate) fn open(
        gateway: &Arc<Gateway>,
        channel: &ChannelRecord,
        key: ReplayKey,
        amount: Amount,
        reporter: Option<Reporter>,
    ) -> Self {
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
            channel: channel.id,
            payer: channel.agreement.terms.payer,
            status: 0,
            reporter,
        }
    }

    /// Notes the status of the upstream's answer.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
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
    /// `usage` is what that is for.
    pub(super) async fn settle(self, used: Amount, usage: &Usage) -> Option<Watermarks> {
        match self.gateway.ledger.settle_earmark(&self.key, used).await {
            Ok(Some(watermarks)) => {
                let charged = used.min(self.amount);
                self.gateway.metrics.charge(charged);
                if let Some(reporter) = &self.reporter {
                    reporter.tell(self.channel, self.payer, self.status, charged, Some(usage.clone()));
                }
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
