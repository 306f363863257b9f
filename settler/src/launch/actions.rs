//! Our own transactions: settling, closing, paying out, taking rent back.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::ChainTip;
use toll_ledger::{ChannelRecord, Effect, Intent, SubmissionId, SubmissionKind};
use toll_protocol::{
    ASSOCIATED_TOKEN_PROGRAM, ChannelAccount, ChannelStatus, MAX_TRANSACTION, create_associated_token_account,
};
use tracing::{debug, error};

use super::payout::{Readiness, beneficiaries, readiness};
use super::transaction::{
    Budget, Draft, MAX_COMPUTE_UNITS, Payout, Signed, drafts, sign, sign_first_fitting,
};
use super::{Launched, Outbox, Shared, instructions_of};
use crate::config::ListedMint;
use crate::error::survive;
use crate::plan::Action;
use crate::planner::Task;
use crate::purse::{Denial, Held, Outlay, Outlays};
use crate::{SettlerError, Step};

/// Longest pause before a channel in its grace period is tried again.
const URGENT_PAUSE: Duration = Duration::from_secs(2);

/// Compute units added to what the simulation used.
const COMPUTE_UNIT_MARGIN: u32 = 2_000;

/// Builds what was planned.
pub(crate) struct Actions {
    shared: Shared,
    outbox: Arc<Outbox>,
}

/// What became of a transaction that met no error.
enum Started {
    Sent(SubmissionId),
    /// The purse does not pay for it now.
    Denied(Denial),
}

/// How an action went that met no error.
enum Outcome {
    Sent,
    /// Nothing may be done now; the channel is paused.
    Held,
}

impl Actions {
    pub(crate) fn new(shared: Shared, outbox: Arc<Outbox>) -> Self {
        Self { shared, outbox }
    }

    /// Carries tasks out, several at once; reclaims together, as many as fit a transaction.
    pub(crate) async fn carry_out(&self, tasks: Vec<Task>) -> Result<Launched, SettlerError> {
        let (reclaims, tasks): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| task.action == Action::Reclaim);
        let attempts: Vec<_> = stream::iter(tasks)
            .map(|task| async move { self.attempt(&task).await })
            .buffer_unordered(self.shared.config.concurrency)
            .collect()
            .await;
        let mut launched = Launched::default();
        for attempt in attempts {
            match attempt? {
                Some(Outcome::Sent) => launched.sent += 1,
                Some(Outcome::Held) => {}
                None => launched.waiting += 1,
            }
        }
        let reclaims: Vec<_> = reclaims.into_iter().map(|task| task.record).collect();
        launched.sent += self.sweep(&reclaims).await?;
        Ok(launched)
    }

    /// Carries one task out. `None` when that failed: it is paused and tried again.
    async fn attempt(&self, task: &Task) -> Result<Option<Outcome>, SettlerError> {
        let outcome = self.act(task).await;
        if outcome.is_err() {
            let urgent = task.account.status == ChannelStatus::Closing;
            self.shared.pauses.failed(task.record.id, if urgent { URGENT_PAUSE } else { Duration::MAX });
        }
        survive(kind_of(&task.action).as_str(), outcome)
    }

    async fn act(&self, task: &Task) -> Result<Outcome, SettlerError> {
        let Task { record, account, action } = task;
        self.shared.hook.reached(kind_of(action), Step::Planned);
        let payout = self.payout(record, account, action).await?;
        if let Payout::Held { reason } = &payout {
            self.shared.pauses.hold(record.id, reason.clone(), self.shared.config.poll_interval);
        }
        let channel = instructions_of(record, &self.shared.config);
        let drafts = drafts(action, &channel, &payout, &self.shared.keys.fee_payer.pubkey());
        if drafts.is_empty() {
            return Ok(Outcome::Held);
        }
        match self.launch(drafts, Some(record)).await? {
            Started::Sent(_) => Ok(Outcome::Sent),
            Started::Denied(denial) => {
                self.shared.pauses.hold(record.id, denial.to_string(), self.shared.config.poll_interval);
                Ok(Outcome::Held)
            }
        }
    }

    /// Creates the canonical token account of `owner` at our expense.
    pub(crate) async fn create_account(
        &self,
        owner: &Pubkey,
        listed: &ListedMint,
    ) -> Result<SubmissionId, SettlerError> {
        let intent = Intent::create_account();
        let kind = intent.kind;
        self.shared.hook.reached(kind, Step::Planned);
        let fee_payer = self.shared.keys.fee_payer.pubkey();
        let create = create_associated_token_account(&fee_payer, owner, &listed.mint, &listed.token_program);
        match self.launch(vec![Draft { intent, instructions: vec![create] }], None).await? {
            Started::Sent(id) => Ok(id),
            Started::Denied(denial) => {
                Err(SettlerError::Build { what: kind.as_str(), reason: denial.to_string() })
            }
        }
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
        let (token_program, treasury_owner) =
            (record.agreement.token_program, self.shared.config.treasury_owner);
        let paid = beneficiaries(account, &record.agreement.splits, settled, treasury_owner, token_program);
        let addresses: Vec<_> = paid.iter().map(|one| one.account).collect();
        let found = self.shared.chain.accounts(&addresses).await?.accounts;
        let mut missing = Vec::new();
        for (beneficiary, found) in paid.iter().zip(&found) {
            let is_refund = beneficiary.owner == record.agreement.terms.payer;
            let why = match readiness(beneficiary, found.as_ref(), &account.mint, &token_program) {
                Readiness::Ready => continue,
                Readiness::Missing if !is_refund || self.may_create_refund_account(record) => {
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

    fn may_create_refund_account(&self, record: &ChannelRecord) -> bool {
        let purse = &self.shared.purse;
        let denial = purse.check(&[Outlays::refund_account(record, &purse.prices())]).err();
        if let Some(denial) = denial {
            debug!(channel = %record.id, %denial, "no account for the refund");
        }
        denial.is_none()
    }

    /// Whether the payer has had its time to put its token account in order.
    fn is_out_of_patience(&self, record: &ChannelRecord) -> bool {
        let patience = i64::try_from(self.shared.config.refund_patience.as_secs()).unwrap_or(i64::MAX);
        record.closing_at.is_some_and(|at| self.shared.ledger.now() >= at.saturating_add(patience))
    }

    /// Returns the rent of paid-out channels, as many per transaction as fit.
    async fn sweep(&self, records: &[ChannelRecord]) -> Result<usize, SettlerError> {
        let mut sent = 0;
        let mut rest = records;
        while !rest.is_empty() {
            self.shared.hook.reached(SubmissionKind::Reclaim, Step::Planned);
            let (batch, draft) = self.reclaim_batch(rest)?;
            let channels: Vec<_> = rest[..batch].iter().map(|record| record.id).collect();
            match survive("reclaim", self.launch(vec![draft], None).await)? {
                Some(Started::Sent(_)) => sent += 1,
                _ => channels.iter().for_each(|one| self.shared.pauses.failed(*one, Duration::MAX)),
            }
            rest = &rest[batch..];
        }
        Ok(sent)
    }

    /// The longest run of `records` whose reclaims fit one transaction.
    fn reclaim_batch(&self, records: &[ChannelRecord]) -> Result<(usize, Draft), SettlerError> {
        let budget = Budget { units: MAX_COMPUTE_UNITS, price: self.shared.config.compute_unit_price };
        let mut draft = Draft { intent: Intent::on(SubmissionKind::Reclaim, &[]), instructions: Vec::new() };
        for record in records {
            draft.intent.effects.push(Effect::on(record.id));
            draft.instructions.push(instructions_of(record, &self.shared.config).reclaim());
            let signed = sign(&draft, budget, &self.shared.keys, Default::default())?;
            if signed.bytes.len() > MAX_TRANSACTION {
                draft.instructions.pop();
                draft.intent.effects.pop();
                break;
            }
        }
        Ok((draft.instructions.len(), draft))
    }

    /// Signs the first draft that fits, simulates it, holds what it takes, writes it down, sends it. `record` is
    /// the channel that it is about, if it is about one.
    async fn launch(
        &self,
        drafts: Vec<Draft>,
        record: Option<&ChannelRecord>,
    ) -> Result<Started, SettlerError> {
        let tip = self.shared.tips.current().await?;
        let (draft, signed) = self.sign_frugally(drafts, tip).await?;
        let outlays = self.outlays(&draft, record, signed.fee);
        if let Held::Denied(denial) = self.shared.purse.hold(signed.signature, &outlays).await? {
            return Ok(Started::Denied(denial));
        }
        let id = self.outbox.own(draft.intent, signed, tip.last_valid_block_height).await?;
        Ok(Started::Sent(id))
    }

    /// What a transaction of ours takes: its fee, and the rent of the token accounts that it makes.
    fn outlays(&self, draft: &Draft, record: Option<&ChannelRecord>, fee: u64) -> Vec<Outlay> {
        let prices = self.shared.purse.prices();
        let mut outlays = vec![match (draft.intent.kind, record) {
            (SubmissionKind::Settle, Some(record)) => Outlays::settle(record, fee),
            _ => Outlays::close(record, fee),
        }];
        let created = draft.instructions.iter().filter(|one| one.program_id == ASSOCIATED_TOKEN_PROGRAM);
        // Accounts of the instruction: payer, new account, owner, mint, system program, token program.
        let created: Vec<_> = created
            .filter_map(|one| Some((one.accounts.get(2)?.pubkey, one.accounts.get(5)?.pubkey)))
            .collect();
        let is_refund = |owner: &Pubkey| record.is_some_and(|record| record.agreement.terms.payer == *owner);
        let own: Vec<_> =
            created.iter().filter(|(owner, _)| !is_refund(owner)).map(|(_, program)| *program).collect();
        if let Some(record) = record.filter(|_| created.len() > own.len()) {
            outlays.push(Outlays::refund_account(record, &prices));
        }
        if !own.is_empty() {
            outlays.push(Outlays::own_accounts(&prices, &own));
        }
        outlays
    }

    /// Simulates with all the compute there is, then asks for what was used and a little more.
    async fn sign_frugally(
        &self,
        drafts: Vec<Draft>,
        tip: ChainTip,
    ) -> Result<(Draft, Signed), SettlerError> {
        let Shared { config, keys, chain, pauses, .. } = &self.shared;
        let price = config.compute_unit_price;
        let generous = Budget { units: MAX_COMPUTE_UNITS, price };
        let (draft, signed) = sign_first_fitting(drafts, generous, keys, tip.blockhash)?;
        let simulation = chain.simulate(&signed.bytes).await?;
        if let Some(error) = simulation.error {
            return Err(SettlerError::Build { what: draft.intent.kind.as_str(), reason: error.to_string() });
        }
        // An attempt after a failure must not repeat the failed one's bytes: its signature is spent.
        let effects = draft.intent.effects.iter();
        let failures = effects.map(|effect| pauses.failures(&effect.channel)).max().unwrap_or(0);
        let used = u32::try_from(simulation.compute_units).unwrap_or(MAX_COMPUTE_UNITS);
        let units = used.saturating_add(used / 5).saturating_add(COMPUTE_UNIT_MARGIN + failures);
        let budget = Budget { units: units.min(MAX_COMPUTE_UNITS), price };
        let signed = sign(&draft, budget, keys, tip.blockhash)?;
        Ok((draft, signed))
    }
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
