//! Enters in the journal what transactions cost, those too that a node tells of only later.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use solana_pubkey::Pubkey;
use toll_chain::{Chain, Cost};
use toll_ledger::{DAY, Ledger, Submission, SubmissionId, TransactionCost};
use toll_protocol::decode_any_transaction;
use tracing::warn;

use crate::SettlerError;

/// Transactions whose cost is asked for in one round.
const AT_ONCE: usize = 32;

/// Questions that are open at the same time.
const CONCURRENTLY: usize = 8;

/// Transactions that are remembered; at a restart the ledger names those that were not.
const MOST: usize = 4_096;

/// How often a cost is asked for before the next restart.
const TRIES: u32 = 600;

/// Between two rounds.
const INTERVAL: Duration = Duration::from_secs(1);

/// What transactions cost the sponsor.
pub(super) struct Costs {
    ledger: Ledger,
    chain: Arc<dyn Chain>,
    fee_payer: Pubkey,
    waiting: Mutex<VecDeque<(Submission, u32)>>,
    has_looked_back: AtomicBool,
    asked_at: Mutex<Option<Instant>>,
}

impl Costs {
    pub(super) fn new(ledger: Ledger, chain: Arc<dyn Chain>, fee_payer: Pubkey) -> Self {
        let (waiting, has_looked_back, asked_at) = Default::default();
        Self { ledger, chain, fee_payer, waiting, has_looked_back, asked_at }
    }

    /// Enters what a resolved transaction cost; nothing for one that never came on chain. Repeats add nothing.
    pub(super) async fn enter(&self, submission: &Submission, cost: Cost) -> Result<(), SettlerError> {
        let paid_by = decode_any_transaction(&submission.transaction)
            .ok()
            .and_then(|transaction| transaction.message.static_account_keys().first().copied());
        let fee = i64::try_from(cost.fee_lamports).unwrap_or(i64::MAX);
        let cost = TransactionCost {
            fee_payer: paid_by.filter(|payer| *payer == self.fee_payer),
            fee: cost.fee_lamports,
            rent: cost.paid_lamports.saturating_sub(fee),
        };
        Ok(self.ledger.enter_cost(submission.id, cost).await?)
    }

    /// Asks for the cost again in later rounds.
    pub(super) fn enter_later(&self, submission: &Submission) {
        let mut waiting = self.waiting();
        if waiting.len() < MOST {
            waiting.push_back((submission.clone(), 0));
        }
    }

    /// Enters what is known by now of transactions that were resolved without a cost, by an earlier process too.
    pub(super) async fn complete(&self) -> Result<(), SettlerError> {
        if !self.has_looked_back.swap(true, Ordering::Relaxed) {
            let since = self.ledger.now().saturating_sub(DAY);
            let found = self.ledger.without_cost(since, MOST).await?;
            self.waiting().extend(found.into_iter().map(|submission| (submission, 0)));
        }
        if self.waiting().is_empty() || !self.is_due() {
            return Ok(());
        }
        // They leave the queue only once they are entered: whoever stops waiting here loses none.
        let asked: Vec<_> = self.waiting().iter().take(AT_ONCE).cloned().collect();
        let told = stream::iter(asked)
            .map(|(submission, tries)| async move {
                let entered = self.ask(&submission, tries).await;
                (submission.id, entered)
            })
            .buffer_unordered(CONCURRENTLY)
            .collect::<Vec<_>>()
            .await;
        let mut failure = None;
        for (id, entered) in told {
            match entered {
                Ok(true) => self.waiting().retain(|(waiting, _)| waiting.id != id),
                Ok(false) => self.try_again(id),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Whether there is nothing more to ask of `submission`.
    async fn ask(&self, submission: &Submission, tries: u32) -> Result<bool, SettlerError> {
        let Some(signature) = &submission.signature else { return Ok(true) };
        match self.chain.cost(signature).await {
            Ok(Some(cost)) => self.enter(submission, cost).await.map(|()| true),
            _ if tries < TRIES => Ok(false),
            _ => {
                warn!(%signature, "no node tells what it cost; `toll ledger reconcile` shows the difference");
                Ok(true)
            }
        }
    }

    /// Puts what nobody could tell of behind the others.
    fn try_again(&self, id: SubmissionId) {
        let mut waiting = self.waiting();
        if let Some(at) = waiting.iter().position(|(submission, _)| submission.id == id)
            && let Some((submission, tries)) = waiting.remove(at)
        {
            waiting.push_back((submission, tries + 1));
        }
    }

    fn is_due(&self) -> bool {
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = asked_at.is_none_or(|at| at.elapsed() >= INTERVAL);
        if is_due {
            *asked_at = Some(Instant::now());
        }
        is_due
    }

    /// What waits. Never held across an await.
    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Submission, u32)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
