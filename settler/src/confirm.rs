//! Learns the fate of every transaction on record, and acts on it.
//!
//! There is no other path: a transaction sent a moment ago and one found on disk after a crash are resolved
//! by the same code. Landed and failed ones are written down, living ones are sent again unchanged, and one
//! that can land no more is given up, so that its channel is planned anew from what the chain says.

use futures::stream::{self, StreamExt};
use solana_signature::Signature;
use toll_ledger::{ChannelRecord, CloseLanded, Submission, SubmissionKind};
use toll_protocol::{
    Amount, ChannelAccount, ChannelStatus, ED25519_PROGRAM, decode_ed25519, decode_transaction,
    discriminator, static_instructions,
};
use tracing::{debug, error, info, warn};

use crate::summary::Report;
use crate::watch::View;
use crate::{Settler, SettlerError, Step};
use toll_chain::{ChainError, Cost, Fate};

/// Blocks to wait beyond a transaction's last valid height before it is called dead, in case the node that
/// reports statuses is behind the one that reports heights.
const EXPIRY_MARGIN: u64 = 8;

impl Settler {
    /// Resolves what can be resolved now. Returns how many transactions are still in flight.
    pub(crate) async fn resolve(&self) -> Result<usize, SettlerError> {
        let recorded = self.ledger.unresolved().await?;
        if recorded.is_empty() || !self.memory.lock().should_confirm(self.config.confirm_interval) {
            return Ok(recorded.len());
        }
        // Height before statuses: whatever could land up to this height is in the statuses.
        let height = self.tip().await?.block_height;
        let signatures: Vec<Signature> = recorded.iter().filter_map(|one| one.signature).collect();
        let fates = self.chain.statuses(&signatures).await?;
        if fates.len() != recorded.len() {
            return Err(ChainError::Malformed {
                what: "statuses",
                reason: "another number than asked".to_owned(),
            }
            .into());
        }
        let resolved: Vec<_> = stream::iter(recorded.into_iter().zip(fates))
            .map(|(submission, fate)| async move { self.resolve_one(&submission, fate, height).await })
            .buffer_unordered(self.config.concurrency)
            .collect()
            .await;
        let mut in_flight = 0;
        for outcome in resolved {
            in_flight += usize::from(!self.survive("confirm", outcome)?.unwrap_or(false));
        }
        Ok(in_flight)
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
            Fate::Pending => Ok(false),
            Fate::Unknown
                if submission.last_valid_block_height.is_some_and(|last| height > last + EXPIRY_MARGIN) =>
            {
                self.expired(submission).await
            }
            Fate::Unknown => {
                let due = self.memory.lock().should_send(submission.id, self.config.resend_interval);
                if due {
                    debug!(id = %submission.id, "sending again");
                    self.submit(&submission.transaction).await;
                    self.hook.reached(submission.kind, Step::Submitted);
                }
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
                self.opened(record, account.as_ref(), view.slot).await?;
            }
        } else {
            self.take_over(submission, &records, &view).await?;
        }
        self.hook.reached(kind, Step::Observed);
        let cost = self.cost(submission).await;
        let (fee, compute_units) = (cost.map(|cost| cost.fee_lamports), cost.map(|cost| cost.compute_units));
        self.ledger.landed(submission.id, slot, fee, compute_units).await?;
        self.report(submission, cost, None);
        self.hook.reached(kind, Step::Marked);
        Ok(true)
    }

    async fn failed(&self, submission: &Submission, slot: u64, reason: &str) -> Result<bool, SettlerError> {
        let kind = submission.kind;
        self.hook.reached(kind, Step::Confirmed);
        warn!(?kind, slot, reason, "transaction failed on chain");
        if kind == SubmissionKind::Open {
            for channel in &submission.channels {
                self.ledger.open_failed(channel, reason).await?;
            }
        }
        let cost = self.cost(submission).await;
        self.ledger.failed(submission.id, reason).await?;
        self.report(submission, cost, Some(reason.to_owned()));
        self.hook.reached(kind, Step::Marked);
        Ok(true)
    }

    /// The chain never took it and never will.
    async fn expired(&self, submission: &Submission) -> Result<bool, SettlerError> {
        let kind = submission.kind;
        self.hook.reached(kind, Step::Confirmed);
        // The account outlives the node's memory of signatures, so it has the last word on an open.
        let (records, view) = self.look_at(submission).await?;
        if kind == SubmissionKind::Open {
            for (record, account) in records.iter().zip(&view.accounts) {
                match account {
                    Some(account) => self.opened(record, Some(account), view.slot).await?,
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
        self.ledger.expired(submission.id).await?;
        let mut memory = self.memory.lock();
        memory.forget(submission.id);
        memory.expired();
        drop(memory);
        self.hook.reached(kind, Step::Marked);
        Ok(true)
    }

    /// Copies what a landed transaction did to its channels.
    async fn take_over(
        &self,
        submission: &Submission,
        records: &[ChannelRecord],
        view: &View,
    ) -> Result<(), SettlerError> {
        for (record, account) in records.iter().zip(&view.accounts) {
            let settled = match account {
                Some(account) if account.status == ChannelStatus::Distributed => Some(account.settled),
                Some(_) => None,
                None => paid_out(submission, record),
            };
            // The final accounts go in with the signature, so that nobody sees a close without it.
            if let (Some(settled), Some(signature)) = (settled, submission.signature)
                && submission.kind != SubmissionKind::Reclaim
            {
                let deposit = account.as_ref().map_or(record.watermarks.deposit, |account| account.deposit);
                let refunded = deposit.saturating_sub(settled);
                let close = CloseLanded { signature, settled, refunded, slot: view.slot };
                self.ledger.close_landed(&record.id, close).await?;
            }
            self.ledger.observe(&record.id, account.as_ref(), view.slot).await?;
        }
        Ok(())
    }

    async fn look_at(&self, submission: &Submission) -> Result<(Vec<ChannelRecord>, View), SettlerError> {
        let mut records = Vec::with_capacity(submission.channels.len());
        for channel in &submission.channels {
            records.extend(self.ledger.channel(channel).await?);
        }
        let view = self.look(&records).await?;
        Ok((records, view))
    }

    /// Reads a landed open's channel back, compares it with what was agreed, and puts it into service.
    async fn opened(
        &self,
        record: &ChannelRecord,
        account: Option<&ChannelAccount>,
        slot: u64,
    ) -> Result<(), SettlerError> {
        let differs = match account {
            None => Some("is not there"),
            Some(account) => difference(record, account),
        };
        match (account, differs) {
            (Some(account), None) => {
                self.ledger.open_landed(&record.id, account, slot).await?;
                info!(channel = %record.id, "open");
            }
            (_, differs) => {
                let reason = format!("the channel on chain {}", differs.unwrap_or("is not there"));
                error!(channel = %record.id, reason, "open landed but is not what was agreed");
                self.ledger.open_failed(&record.id, &reason).await?;
            }
        }
        Ok(())
    }

    /// What a resolved transaction cost, if the node can say.
    async fn cost(&self, submission: &Submission) -> Option<Cost> {
        let signature = submission.signature?;
        let cost = self.chain.cost(&signature).await;
        cost.inspect_err(|error| debug!(%error, %signature, "cost unknown")).ok().flatten()
    }

    /// Puts a resolved submission into the summary and adjusts its channels' pauses.
    fn report(&self, submission: &Submission, cost: Option<Cost>, error: Option<String>) {
        let cost = cost.unwrap_or_default();
        let Submission { id, kind, channels, signature, .. } = submission;
        info!(%kind, ?signature, fee = cost.fee_lamports, compute_units = cost.compute_units, ?error, "resolved");
        let mut memory = self.memory.lock();
        memory.forget(*id);
        for channel in channels {
            match error {
                None => memory.resume(channel),
                Some(_) => memory.pause(*channel, self.config.poll_interval),
            }
        }
        memory.report(Report {
            kind: *kind,
            channels: channels.clone(),
            signature: signature.unwrap_or_default(),
            error,
            fee_lamports: cost.fee_lamports,
            compute_units: cost.compute_units,
        });
    }
}

/// The final `settled` of a channel that a landed transaction paid out and deallocated in one go; `None` when
/// the transaction did not pay out.
fn paid_out(submission: &Submission, record: &ChannelRecord) -> Option<Amount> {
    let transaction = decode_transaction(&submission.transaction).ok()?;
    let instructions = static_instructions(&transaction).ok()?;
    let distributes = instructions
        .iter()
        .any(|one| one.program_id == record.program && one.data.first() == Some(&discriminator::DISTRIBUTE));
    let voucher = instructions
        .iter()
        .filter(|one| one.program_id == ED25519_PROGRAM)
        .find_map(|one| decode_ed25519(&one.data).ok());
    let settled = voucher.map_or(record.watermarks.settled, |signed| signed.voucher.cumulative_amount);
    distributes.then_some(settled)
}

/// What differs between an opened channel and what was agreed (draft, "Open" step 14); `None` when nothing
/// does. The closing state is not compared: a channel that its payer closes at once is one of ours too.
fn difference(record: &ChannelRecord, account: &ChannelAccount) -> Option<&'static str> {
    let checks = [
        (account.payer == record.terms.payer, "has another payer"),
        (account.payee == record.terms.payee, "has another payee"),
        (account.mint == record.terms.mint, "has another mint"),
        (account.authorized_signer == record.terms.authorized_signer, "has another authorized signer"),
        (account.salt == record.terms.salt, "has another salt"),
        (account.open_slot == record.terms.open_slot, "has another open slot"),
        (account.bump == record.bump, "has another bump"),
        (account.deposit >= record.watermarks.deposit, "has a smaller deposit"),
        (account.grace_period == record.grace_period && account.grace_period > 0, "has another grace period"),
        (account.distribution_hash == record.splits.hash(), "has other splits"),
        (account.rent_payer == record.rent_payer, "has another rent payer"),
    ];
    checks.into_iter().find(|(same, _)| !same).map(|(_, reason)| reason)
}
