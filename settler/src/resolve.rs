//! Learns the fate of every transaction on record, and acts on it, once.
//!
//! There is no other path: a transaction sent a moment ago and one found on disk after a crash are resolved
//! by the same code. Landed and failed ones are written down, living ones are sent again unchanged, and one
//! that can land no more is given up, so that its channel is planned anew from what the chain says.

mod costs;
mod opened;
mod pushed;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use futures::stream::{self, StreamExt};
use solana_signature::Signature;
use toll_chain::{Chain, ChainError, Cost, Fate};
use toll_ledger::{ChannelRecord, CloseLanded, Ledger, Submission, SubmissionKind};
use toll_protocol::{Amount, ChannelAccount, ChannelId, ChannelStatus};
use tracing::{debug, error, info, warn};

use self::costs::Costs;
use self::opened::opened;
use self::pushed::Pushed;
use crate::error::survive;
use crate::in_flight::InFlight;
use crate::launch::{Launch, Shared};
use crate::pauses::Pauses;
use crate::purse::{Ended, Purse, fee_of_bytes};
use crate::step::StepHook;
use crate::summary::{Journal, Report};
use crate::tips::Tips;
use crate::watch::{View, Watch};
use crate::{SettlerError, Step};

/// Blocks to wait beyond a transaction's last valid height before it is called dead, in case the node that
/// reports statuses is behind the one that reports heights.
const EXPIRY_MARGIN: u64 = 8;

/// How long the fate of a transaction waits for what it cost: that can be entered later.
const COST_PATIENCE: Duration = Duration::from_secs(2);

/// Transactions that one question covers: a node answers for so many signatures at once.
const MOST: usize = 256;

/// Finds out what became of transactions.
pub(crate) struct Resolve {
    ledger: Ledger,
    chain: Arc<dyn Chain>,
    tips: Arc<Tips>,
    watch: Arc<Watch>,
    launch: Arc<Launch>,
    in_flight: Arc<InFlight>,
    pauses: Arc<Pauses>,
    journal: Arc<Journal>,
    hook: StepHook,
    purse: Arc<Purse>,
    pause: Duration,
    interval: Duration,
    concurrency: usize,
    costs: Costs,
    pushed: Pushed,
    asked_at: Mutex<Option<Instant>>,
}

impl Resolve {
    pub(crate) fn new(shared: Shared, watch: Arc<Watch>, launch: Arc<Launch>) -> Self {
        let Shared { ledger, chain, config, tips, in_flight, pauses, journal, hook, purse, .. } = shared;
        let costs = Costs::new(ledger.clone(), Arc::clone(&chain), purse.fee_payer());
        let pushed = Pushed::new(ledger.clone(), Arc::clone(&chain), Arc::clone(&config));
        Self {
            costs,
            pushed,
            ledger,
            chain,
            tips,
            watch,
            launch,
            in_flight,
            pauses,
            journal,
            hook,
            purse,
            pause: config.poll_interval,
            interval: config.confirm_interval,
            concurrency: config.concurrency,
            asked_at: Mutex::default(),
        }
    }

    /// Looks for payments that their payers have sent.
    pub(crate) async fn pushed(&self) -> Result<(), SettlerError> {
        self.pushed.look().await
    }

    /// Resolves what can be resolved now. Returns how many transactions are still in flight.
    pub(crate) async fn round(&self) -> Result<usize, SettlerError> {
        let recorded = self.ledger.unresolved().await?;
        if recorded.is_empty() || !self.is_due() {
            return Ok(recorded.len());
        }
        // Height before statuses: whatever could land up to this height is in the statuses.
        let height = self.tips.current().await?.block_height;
        let (mut in_flight, mut failure) = (0, None);
        for recorded in recorded.chunks(MOST) {
            match self.resolve_some(recorded.to_vec(), height).await {
                Ok(left) => in_flight += left,
                // An answer that does not come leaves these for the next round, and no others.
                Err(error) if error.is_survivable() => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        failure.map_or(Ok(in_flight), Err)
    }

    /// Enters in the journal what transactions cost of which no node could tell when they were resolved. Nothing waits for
    /// it: what is not known at the end is asked for after the next start.
    pub(crate) async fn costs(&self) -> Result<(), SettlerError> {
        self.costs.complete().await
    }

    /// Resolves what one question covers. Returns how many are left.
    async fn resolve_some(&self, recorded: Vec<Submission>, height: u64) -> Result<usize, SettlerError> {
        let (began, asked) = (Instant::now(), recorded.len());
        let signatures: Vec<Signature> = recorded.iter().filter_map(|one| one.signature).collect();
        let fates = self.chain.statuses(&signatures).await?;
        if fates.len() != recorded.len() {
            let reason = "another number than asked".to_owned();
            return Err(ChainError::Malformed { what: "statuses", reason }.into());
        }
        let resolved: Vec<_> = stream::iter(recorded.into_iter().zip(fates))
            .map(|(submission, fate)| async move { self.resolve_one(&submission, fate, height).await })
            .buffer_unordered(self.concurrency)
            .collect()
            .await;
        debug!(asked, took = ?began.elapsed(), "asked for fates");
        let mut in_flight = 0;
        for outcome in resolved {
            in_flight += usize::from(!survive("resolve", outcome)?.unwrap_or(false));
        }
        Ok(in_flight)
    }

    /// Whether it is time to ask again. Every accepted voucher wakes the loop; the node should not notice.
    fn is_due(&self) -> bool {
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = asked_at.is_none_or(|at| at.elapsed() >= self.interval);
        if due {
            *asked_at = Some(Instant::now());
        }
        due
    }

    /// Whether the submission's fate is known and written down.
    async fn resolve_one(
        &self,
        submission: &Submission,
        fate: Fate,
        height: u64,
    ) -> Result<bool, SettlerError> {
        match fate {
            Fate::Landed { slot } => self.landed(submission, slot).await,
            Fate::Failed { slot, error } => self.failed(submission, slot, &error).await,
            Fate::DidNotRun { slot, reason } => self.did_not_run(submission, slot, &reason).await,
            Fate::Pending => Ok(false),
            Fate::Unknown
                if submission.last_valid_block_height.is_some_and(|last| height > last + EXPIRY_MARGIN) =>
            {
                self.expired(submission).await
            }
            Fate::Unknown => {
                self.launch.send_again(submission).await;
                Ok(false)
            }
        }
    }

    async fn landed(&self, submission: &Submission, slot: u64) -> Result<bool, SettlerError> {
        let kind = submission.kind;
        self.hook.reached(kind, Step::Confirmed);
        let (records, view) = self.look_at(submission).await?;
        if view.slot < slot {
            // The node that answered has not seen the transaction yet.
            return Ok(false);
        }
        if kind == SubmissionKind::Open {
            for (record, account) in records.iter().zip(&view.accounts) {
                opened(&self.ledger, record, account.as_ref(), view.slot).await?;
            }
        } else {
            self.copy(submission, &records, &view).await?;
        }
        self.hook.reached(kind, Step::Observed);
        let cost = self.cost(submission).await;
        self.spent(submission, Ended::Landed, cost).await?;
        let (fee, compute_units) = (cost.map(|cost| cost.fee_lamports), cost.map(|cost| cost.compute_units));
        self.ledger.landed(submission.id, slot, fee, compute_units).await?;
        self.report(submission, cost, None);
        for channel in passed_over(submission, &records, &view) {
            warn!(%channel, "passed over by a batch");
            self.pauses.failed(channel, self.pause);
        }
        self.hook.reached(kind, Step::Marked);
        Ok(true)
    }

    async fn failed(&self, submission: &Submission, slot: u64, reason: &str) -> Result<bool, SettlerError> {
        let kind = submission.kind;
        self.hook.reached(kind, Step::Confirmed);
        warn!(?kind, slot, reason, "transaction failed on chain");
        if kind == SubmissionKind::Open {
            for channel in submission.channels() {
                self.ledger.open_failed(&channel, reason).await?;
            }
        }
        let cost = self.cost(submission).await;
        self.spent(submission, Ended::Failed, cost).await?;
        self.ledger.failed(submission.id, reason).await?;
        self.report(submission, cost, Some(reason.to_owned()));
        self.hook.reached(kind, Step::Marked);
        Ok(true)
    }

    /// Our key could not pay for it: nothing was spent, and nothing happened. An open's payer signs another one;
    /// what is ours is planned and signed anew after the pause, with other bytes.
    async fn did_not_run(
        &self,
        submission: &Submission,
        slot: u64,
        reason: &str,
    ) -> Result<bool, SettlerError> {
        let kind = submission.kind;
        self.hook.reached(kind, Step::Confirmed);
        error!(%kind, slot, reason, "the fee payer cannot pay: fund it, nothing of ours runs before");
        let reason = match kind {
            SubmissionKind::Charge => format!("it did not run, whoever pays its fee cannot: {reason}"),
            _ => format!("it did not run, its fee payer cannot pay: {reason}"),
        };
        if kind == SubmissionKind::Open {
            for channel in submission.channels() {
                self.ledger.open_failed(&channel, &reason).await?;
            }
        }
        self.spent(submission, Ended::Never, None).await?;
        self.ledger.failed(submission.id, &reason).await?;
        self.report(submission, None, Some(reason));
        self.hook.reached(kind, Step::Marked);
        Ok(true)
    }

    /// The chain never took it and never will.
    async fn expired(&self, submission: &Submission) -> Result<bool, SettlerError> {
        let kind = submission.kind;
        self.hook.reached(kind, Step::Confirmed);
        // The account outlives the node's memory of signatures, so it has the last word on an open.
        let (records, view) = self.look_at(submission).await?;
        let mut ended = Ended::Never;
        if kind == SubmissionKind::Open {
            for (record, account) in records.iter().zip(&view.accounts) {
                if account.is_some() {
                    ended = Ended::Landed;
                }
                match account {
                    Some(account) => opened(&self.ledger, record, Some(account), view.slot).await?,
                    None => {
                        let reason = "its blockhash expired before it landed";
                        self.ledger.open_failed(&record.id, reason).await?;
                    }
                }
            }
        } else {
            for (record, account) in records.iter().zip(&view.accounts) {
                self.ledger.observe(&record.id, account.as_ref(), view.slot).await?;
            }
        }
        self.hook.reached(kind, Step::Observed);
        warn!(?kind, id = %submission.id, "transaction expired");
        self.spent(submission, ended, None).await?;
        self.ledger.expired(submission.id).await?;
        self.in_flight.resolved(submission.id);
        self.journal.expired();
        self.hook.reached(kind, Step::Marked);
        Ok(true)
    }

    /// Copies what a landed transaction did to its channels.
    async fn copy(
        &self,
        submission: &Submission,
        records: &[ChannelRecord],
        view: &View,
    ) -> Result<(), SettlerError> {
        let channels = records.iter().zip(&view.accounts);
        try_join_all(
            channels.map(|(record, account)| self.copy_one(submission, record, account.as_ref(), view)),
        )
        .await?;
        Ok(())
    }

    async fn copy_one(
        &self,
        submission: &Submission,
        record: &ChannelRecord,
        account: Option<&ChannelAccount>,
        view: &View,
    ) -> Result<(), SettlerError> {
        let settled = match account {
            Some(account) if account.status == ChannelStatus::Distributed => Some(account.settled),
            Some(_) => None,
            None => paid_out(submission, record),
        };
        // The final accounts go in with the signature, so that nobody sees a close without it.
        if let (Some(settled), Some(signature)) = (settled, submission.signature)
            && submission.kind != SubmissionKind::Reclaim
        {
            let deposit = account.map_or(record.watermarks.deposit, |account| account.deposit);
            let refunded = deposit.saturating_sub(settled);
            let close = CloseLanded { signature, settled, refunded, slot: view.slot };
            self.ledger.close_landed(&record.id, close).await?;
        }
        match account {
            Some(account) if submission.kind == SubmissionKind::Rearm => {
                self.ledger.rearm_landed(&record.id, account, view.slot).await?
            }
            _ => self.ledger.observe(&record.id, account, view.slot).await?,
        };
        Ok(())
    }

    async fn look_at(&self, submission: &Submission) -> Result<(Vec<ChannelRecord>, View), SettlerError> {
        let found = submission.effects.iter().map(|effect| self.ledger.channel(&effect.channel));
        let records: Vec<_> = try_join_all(found).await?.into_iter().flatten().collect();
        let view = self.watch.look(&records).await?;
        Ok((records, view))
    }

    /// Tells the purse and the journal what a transaction cost, before it is marked as resolved.
    async fn spent(
        &self,
        submission: &Submission,
        ended: Ended,
        cost: Option<Cost>,
    ) -> Result<(), SettlerError> {
        let Some(signature) = submission.signature else { return Ok(()) };
        let fee = cost.map_or_else(|| fee_of_bytes(&submission.transaction), |cost| cost.fee_lamports);
        self.purse.resolved(&signature, ended, fee).await?;
        match ended {
            Ended::Never => self.costs.enter(submission, Cost::default()).await,
            Ended::Landed | Ended::Failed => match cost {
                Some(cost) => self.costs.enter(submission, cost).await,
                None => {
                    self.costs.enter_later(submission);
                    Ok(())
                }
            },
        }
    }

    /// What a resolved transaction cost, if the node can say, and does so in time.
    async fn cost(&self, submission: &Submission) -> Option<Cost> {
        let signature = submission.signature?;
        let asked = tokio::time::timeout(COST_PATIENCE, self.chain.cost(&signature));
        let cost = asked.await.inspect_err(|_| debug!(%signature, "nobody tells the cost in time")).ok()?;
        cost.inspect_err(|error| debug!(%error, %signature, "cost unknown")).ok().flatten()
    }

    /// Puts a resolved submission into the summary and adjusts its channels' pauses.
    fn report(&self, submission: &Submission, cost: Option<Cost>, error: Option<String>) {
        let cost = cost.unwrap_or_default();
        let Submission { id, kind, signature, .. } = submission;
        let channels = submission.channels();
        info!(%kind, ?signature, fee = cost.fee_lamports, compute_units = cost.compute_units, ?error, "resolved");
        self.in_flight.resolved(*id);
        for channel in &channels {
            match error {
                None => self.pauses.end(channel),
                Some(_) => self.pauses.failed(*channel, self.pause),
            }
        }
        self.journal.report(Report {
            kind: *kind,
            channels,
            signature: signature.unwrap_or_default(),
            error,
            fee_lamports: cost.fee_lamports,
            compute_units: cost.compute_units,
        });
    }
}

/// The channels that a landed batch did not settle. There is no other transaction that lands and does less than it says.
fn passed_over(submission: &Submission, records: &[ChannelRecord], view: &View) -> Vec<ChannelId> {
    if submission.kind != SubmissionKind::Settle {
        return Vec::new();
    }
    let target = |id: &ChannelId| submission.effects.iter().find(|effect| effect.channel == *id)?.publishes;
    let channels = records.iter().zip(&view.accounts);
    channels
        .filter(|(record, account)| account.as_ref().map(|account| account.settled) < target(&record.id))
        .map(|(record, _)| record.id)
        .collect()
}

/// The final `settled` of a channel that is gone after a landed transaction; `None` when that did not pay out.
fn paid_out(submission: &Submission, record: &ChannelRecord) -> Option<Amount> {
    let effect = submission.effects.iter().find(|effect| effect.channel == record.id)?;
    effect.pays_out.then(|| effect.publishes.unwrap_or(record.watermarks.settled))
}
