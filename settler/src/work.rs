//! From a plan to a transaction that the cluster has.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use toll_ledger::{ChannelRecord, ChannelState, SubmissionId, SubmissionKind};
use toll_protocol::{ChannelAccount, ChannelId, ChannelStatus, Network};
use tracing::{error, info, warn};

use crate::payout::{Readiness, beneficiaries, readiness};
use crate::plan::{Action, PartialSettle, Plan, Snapshot, plan};
use crate::transaction::{
    Budget, Draft, MAX_COMPUTE_UNITS, Payout, Signed, drafts, sign, sign_first_fitting,
};
use crate::watch::{Busy, View};
use crate::{Settler, SettlerError, Step};
use toll_chain::ChainTip;

/// Longest pause before a channel in its grace period is tried again.
const URGENT_PAUSE: Duration = Duration::from_secs(2);

/// Seconds for which a channel that vanished unpaid is still looked for.
const VANISHED_WATCH: i64 = 24 * 60 * 60;

/// How far a public cluster's clock may run behind ours before its node counts as lagging, in seconds.
const CLOCK_SLACK: i64 = 60;

/// Compute units added to what the simulation used.
const COMPUTE_UNIT_MARGIN: u32 = 2_000;

impl Settler {
    /// Looks at channels, tells the ledger what the chain says, and starts what they need.
    ///
    /// With `everything`, all live channels are compared; otherwise only those that are closing.
    pub(crate) async fn work(&self, everything: bool) -> Result<Worked, SettlerError> {
        let busy = self.busy().await?;
        let started_at = self.ledger.now();
        let records = self.candidates(everything, &busy).await?;
        let mut worked = Worked::default();
        if records.is_empty() {
            if everything {
                self.ledger.mark_channels_observed(started_at).await?;
            }
            return Ok(worked);
        }
        let view = self.look(&records).await?;
        self.observe(&records, &view, &busy).await?;
        if everything {
            self.ledger.mark_channels_observed(self.seen_at(&view, started_at)).await?;
        }
        let (mut actions, mut reclaims) = (Vec::new(), Vec::new());
        for (record, account) in records.iter().zip(&view.accounts) {
            let Some(account) = account else { continue };
            if busy.contains(&record.id) {
                continue;
            }
            let (paused, waiting) = {
                let memory = self.memory.lock();
                (memory.is_paused(&record.id), memory.is_worth_waiting_for(&record.id))
            };
            if paused {
                worked.waiting += usize::from(waiting);
                continue;
            }
            match self.decide(record, account, &view).await? {
                Some(Action::Reclaim) => reclaims.push(record.clone()),
                Some(action) => actions.push((record.clone(), account.clone(), action)),
                None => {}
            }
        }
        let carried_out: Vec<_> = stream::iter(actions)
            .map(|(record, account, action)| async move { self.attempt(&record, &account, &action).await })
            .buffer_unordered(self.config.concurrency)
            .collect()
            .await;
        for outcome in carried_out {
            match outcome? {
                Attempt::Sent => worked.sent += 1,
                Attempt::Failed => worked.waiting += 1,
                Attempt::Held => {}
            }
        }
        worked.sent += self.sweep(&reclaims).await?;
        Ok(worked)
    }

    async fn candidates(&self, everything: bool, busy: &Busy) -> Result<Vec<ChannelRecord>, SettlerError> {
        if !everything {
            let mut closing = self.ledger.channels(&[ChannelState::Closing]).await?;
            let memory = self.memory.lock();
            closing.retain(|record| !busy.contains(&record.id) && !memory.is_paused(&record.id));
            return Ok(closing);
        }
        let slot = self.tip().await?.slot;
        use ChannelState::{Closed, Closing, Failed, Open, Opening};
        let mut records = self.ledger.channels(&[Opening, Open, Closing, Closed, Failed]).await?;
        let since = self.ledger.now().saturating_sub(VANISHED_WATCH);
        records.extend(self.ledger.vanished_channels(since).await?);
        records.retain(|record| {
            let in_window = slot <= record.terms.open_slot.saturating_add(toll_protocol::OPEN_SLOT_WINDOW);
            match record.state {
                ChannelState::Opening | ChannelState::Open | ChannelState::Closing => true,
                // Nothing to do but reclaim, and not before the window ends.
                ChannelState::Closed => !in_window,
                // An open that was given up may show up after all, but not once its slot is too old.
                ChannelState::Failed => in_window,
                // It vanished with our money in it: a node that hid it, or a fork, may take that back.
                ChannelState::Gone => true,
            }
        });
        Ok(records)
    }

    /// Up to when a view shows the channels: a node that lags or hangs shows the past, however fast it answers,
    /// and the gateway must not sell on it. A local chain's clock is its own affair.
    fn seen_at(&self, view: &View, looked_at: i64) -> i64 {
        match self.config.network {
            Network::Localnet => looked_at,
            Network::Mainnet | Network::Devnet => {
                looked_at.min(view.clock.unix_timestamp.saturating_add(CLOCK_SLACK))
            }
        }
    }

    /// What a channel needs, by the ledger as it is now that the chain's news are in it.
    async fn decide(
        &self,
        record: &ChannelRecord,
        account: &ChannelAccount,
        view: &View,
    ) -> Result<Option<Action>, SettlerError> {
        // Most channels are open and have nothing to settle: no need to ask further.
        let unsettled = record.watermarks.accepted > account.settled;
        if account.status == ChannelStatus::Open
            && record.state == ChannelState::Open
            && !(unsettled && self.settles_early())
        {
            return Ok(None);
        }
        let Some(record) = self.ledger.channel(&record.id).await? else { return Ok(None) };
        if matches!(record.state, ChannelState::Opening | ChannelState::Failed | ChannelState::Gone) {
            // What is at that address is not what was agreed: splits and rent payer are no seeds of it.
            return Ok(None);
        }
        let voucher = self.ledger.best_voucher_to_settle(&record.id, view.clock.unix_timestamp).await?;
        let snapshot = Snapshot {
            account,
            close_requested: record.state == ChannelState::Closing,
            is_payee: record.terms.payee == self.payee(),
            voucher: voucher.as_ref(),
        };
        match plan(&snapshot, view.clock, self.partial_settle()) {
            Plan::Nothing => Ok(None),
            Plan::Act(action) => Ok(Some(action)),
            Plan::Hold(hold) => {
                self.hold(&record.id, hold.to_string());
                Ok(None)
            }
        }
    }

    fn settles_early(&self) -> bool {
        self.config.settle_threshold.is_some() || self.config.settle_before_expiry.is_some()
    }

    fn partial_settle(&self) -> PartialSettle {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        PartialSettle {
            threshold: self.config.settle_threshold,
            before_expiry: self.config.settle_before_expiry.map(seconds),
        }
    }

    /// Notes that a channel is left alone, until the next poll.
    fn hold(&self, channel: &ChannelId, reason: String) {
        warn!(%channel, reason, "held");
        self.memory.lock().hold(*channel, reason, self.config.poll_interval);
    }

    /// Plans, builds, records and sends one action. False when it is held.
    async fn carry_out(
        &self,
        record: &ChannelRecord,
        account: &ChannelAccount,
        action: &Action,
    ) -> Result<bool, SettlerError> {
        self.hook.reached(kind_of(action), Step::Planned);
        let channel = self.instructions_of(record);
        let payout = self.payout(record, account, action).await?;
        if let Payout::Held { reason } = &payout {
            self.hold(&record.id, reason.clone());
        }
        let drafts = drafts(action, &channel, &payout, &self.fee_payer());
        if drafts.is_empty() {
            return Ok(false);
        }
        self.launch(drafts, &[record.id]).await
    }

    /// Whether the payout that goes with an action forfeits nothing.
    async fn payout(
        &self,
        record: &ChannelRecord,
        account: &ChannelAccount,
        action: &Action,
    ) -> Result<Payout, SettlerError> {
        let settled = match action {
            Action::Close(Some(signed)) => signed.voucher.cumulative_amount,
            Action::Close(None) | Action::Seal | Action::Distribute => account.settled,
            Action::Settle(_) | Action::Reclaim => return Ok(Payout::Ready { missing: Vec::new() }),
        };
        let token_program = record.token_program;
        let paid = beneficiaries(account, &record.splits, settled, self.config.treasury_owner, token_program);
        let addresses: Vec<_> = paid.iter().map(|one| one.account).collect();
        let found = self.chain.accounts(&addresses).await?.accounts;
        let mut missing = Vec::new();
        for (beneficiary, found) in paid.iter().zip(&found) {
            let is_refund = beneficiary.owner == record.terms.payer;
            let why = match readiness(beneficiary, found.as_ref(), &account.mint, &token_program) {
                Readiness::Ready => continue,
                Readiness::Missing if !is_refund || self.may_create_refund_account() => {
                    missing.push(*beneficiary);
                    continue;
                }
                Readiness::Missing => "missing",
                Readiness::Unusable(why) => why,
            };
            let reason = format!("token account {} of {} is {why}", beneficiary.account, beneficiary.owner);
            if !(is_refund && self.is_out_of_patience(record)) {
                return Ok(Payout::Held { reason });
            }
            error!(channel = %record.id, reason, "paying out without the payer, whose refund is forfeited");
        }
        Ok(Payout::Ready { missing })
    }

    fn may_create_refund_account(&self) -> bool {
        self.memory.lock().may_create_refund_account(self.config.refund_accounts_per_day)
    }

    /// Whether the payer has had its time to put its token account in order.
    fn is_out_of_patience(&self, record: &ChannelRecord) -> bool {
        let patience = i64::try_from(self.config.refund_patience.as_secs()).unwrap_or(i64::MAX);
        record.closing_at.is_some_and(|at| self.ledger.now() >= at.saturating_add(patience))
    }

    /// Returns the rent of paid-out channels, as many per transaction as fit.
    async fn sweep(&self, records: &[ChannelRecord]) -> Result<usize, SettlerError> {
        let mut sent = 0;
        let mut rest = records;
        while !rest.is_empty() {
            self.hook.reached(SubmissionKind::Reclaim, Step::Planned);
            let (batch, draft) = self.reclaim_batch(rest)?;
            let channels: Vec<_> = rest[..batch].iter().map(|record| record.id).collect();
            let started = self.launch(vec![draft], &channels).await;
            if self.survive("reclaim", started)?.unwrap_or(false) {
                sent += 1;
            } else {
                let mut memory = self.memory.lock();
                channels.iter().for_each(|channel| memory.pause(*channel, Duration::MAX));
            }
            rest = &rest[batch..];
        }
        Ok(sent)
    }

    /// The longest run of `records` whose reclaims fit one transaction.
    fn reclaim_batch(&self, records: &[ChannelRecord]) -> Result<(usize, Draft), SettlerError> {
        let budget = Budget { units: MAX_COMPUTE_UNITS, price: self.config.compute_unit_price };
        let mut draft = Draft { kind: SubmissionKind::Reclaim, instructions: Vec::new() };
        for record in records {
            draft.instructions.push(self.instructions_of(record).reclaim());
            let signed = sign(&draft, budget, &self.keys, Default::default())?;
            if signed.bytes.len() > toll_protocol::MAX_TRANSACTION {
                draft.instructions.pop();
                break;
            }
        }
        Ok((draft.instructions.len(), draft))
    }

    /// Signs the first draft that fits, simulates it, writes it down, sends it.
    async fn launch(&self, drafts: Vec<Draft>, channels: &[ChannelId]) -> Result<bool, SettlerError> {
        let tip = self.tip().await?;
        let (draft, signed) = self.sign_frugally(drafts, channels, tip).await?;
        let kind = draft.kind;
        self.hook.reached(kind, Step::Built);
        let Signed { bytes, signature } = signed;
        let id =
            self.ledger.record(kind, channels, bytes.clone(), signature, tip.last_valid_block_height).await?;
        self.hook.reached(kind, Step::Recorded);
        info!(%kind, ?channels, %signature, "sending");
        self.send(id, kind, &bytes).await;
        Ok(true)
    }

    /// Simulates with all the compute there is, then asks for what was used and a little more.
    async fn sign_frugally(
        &self,
        drafts: Vec<Draft>,
        channels: &[ChannelId],
        tip: ChainTip,
    ) -> Result<(Draft, Signed), SettlerError> {
        let price = self.config.compute_unit_price;
        let generous = Budget { units: MAX_COMPUTE_UNITS, price };
        let (draft, signed) = sign_first_fitting(drafts, generous, &self.keys, tip.blockhash)?;
        let simulation = self.chain.simulate(&signed.bytes).await?;
        if let Some(error) = simulation.error {
            return Err(SettlerError::Build { what: draft.kind.as_str(), reason: error });
        }
        // An attempt after a failure must not repeat the failed one's bytes: its signature is spent.
        let failures = channels.iter().map(|channel| self.memory.lock().failures(channel)).max().unwrap_or(0);
        let used = u32::try_from(simulation.compute_units).unwrap_or(MAX_COMPUTE_UNITS);
        let units = used.saturating_add(used / 5).saturating_add(COMPUTE_UNIT_MARGIN + failures);
        let budget = Budget { units: units.min(MAX_COMPUTE_UNITS), price };
        let signed = sign(&draft, budget, &self.keys, tip.blockhash)?;
        Ok((draft, signed))
    }

    /// Sends what is on record. Whatever the node answers, `confirm` settles the question.
    pub(crate) async fn send(&self, id: SubmissionId, kind: SubmissionKind, bytes: &[u8]) {
        self.memory.lock().should_send(id, Duration::ZERO);
        self.submit(bytes).await;
        self.hook.reached(kind, Step::Submitted);
    }

    pub(crate) async fn submit(&self, bytes: &[u8]) {
        if let Err(error) = self.chain.submit(bytes).await {
            // Not a failure yet: it may still land until its blockhash expires.
            warn!(%error, "submit");
        }
    }

    /// Carries one action out. One channel's trouble does not stop the others: it is paused and tried again.
    async fn attempt(
        &self,
        record: &ChannelRecord,
        account: &ChannelAccount,
        action: &Action,
    ) -> Result<Attempt, SettlerError> {
        let outcome = self.carry_out(record, account, action).await;
        if outcome.is_err() {
            let urgent = account.status == ChannelStatus::Closing;
            self.memory.lock().pause(record.id, if urgent { URGENT_PAUSE } else { Duration::MAX });
        }
        Ok(match self.survive(kind_of(action).as_str(), outcome)? {
            Some(true) => Attempt::Sent,
            Some(false) => Attempt::Held,
            None => Attempt::Failed,
        })
    }
}

/// How an action went.
enum Attempt {
    Sent,
    Held,
    Failed,
}

/// What a part of a pass started, and what it left.
#[derive(Clone, Copy, Default)]
pub(crate) struct Worked {
    /// Transactions sent.
    pub(crate) sent: usize,
    /// Channels that failed lately, and requests, that will be tried soon.
    pub(crate) waiting: usize,
}

/// What the ledger will call the action's transaction.
fn kind_of(action: &Action) -> SubmissionKind {
    match action {
        Action::Settle(_) => SubmissionKind::Settle,
        Action::Close(_) => SubmissionKind::Close,
        Action::Seal => SubmissionKind::Seal,
        Action::Distribute => SubmissionKind::Distribute,
        Action::Reclaim => SubmissionKind::Reclaim,
    }
}
