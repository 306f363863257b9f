//! Opens and top-ups that the gateway recorded: checks, co-signs and sends them.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use solana_instruction::Instruction;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_chain::{ChainTip, Failure};
use toll_ledger::{
    ChannelRecord, ChannelState, LedgerError, MAX_PAYABLE_RECIPIENTS, Submission, SubmissionKind,
};
use toll_protocol::Amount;
use tracing::warn;

use super::funds::{Unfunded, unfunded};
use super::inspect::{Allowed, OPEN_FEE_PAYER_POSITIONS, Objection, PaidBy, inspect};
use super::transaction::co_sign;
use super::{BLOCKHASH_LIFE, Launched, Outbox, Shared, instructions_of};
use crate::error::survive;
use crate::in_flight::Lane;
use crate::purse::{Held, Outlay, Outlays, fee_of};
use crate::{SettlerError, Step};

/// Handles what payers asked for.
pub(crate) struct Requests {
    shared: Shared,
    outbox: Arc<Outbox>,
}

/// What became of a request.
enum Outcome {
    Sent,
    /// Given up for good, before anything was signed.
    Refused,
    /// Left for the next round.
    Left,
}

impl Requests {
    pub(crate) fn new(shared: Shared, outbox: Arc<Outbox>) -> Self {
        Self { shared, outbox }
    }

    /// Takes requested submissions as far as the cluster, oldest first.
    pub(crate) async fn send(&self) -> Result<Launched, SettlerError> {
        let mut requested = self.shared.ledger.requested().await?;
        requested.retain(|request| request.kind != SubmissionKind::Charge);
        if requested.is_empty() {
            return Ok(Launched::default());
        }
        let room = self.shared.in_flight.room(Lane::Requested);
        let waiting = requested.len().saturating_sub(room);
        requested.truncate(room);
        if requested.is_empty() {
            return Ok(Launched { sent: 0, waiting });
        }
        let tip = self.shared.tips.current().await?;
        let requested = self.funded(requested).await?;
        // What was paid into or out of the fee payer since the last look counts from here on.
        self.shared.purse.refresh().await?;
        let outcomes: Vec<_> = stream::iter(requested)
            .map(|(request, record)| async move { self.send_one(&request, record, tip).await })
            .buffer_unordered(self.shared.config.concurrency)
            .collect()
            .await;
        let mut launched = Launched { sent: 0, waiting };
        for outcome in outcomes {
            let outcome = survive("requested submission", outcome)?;
            launched.sent += usize::from(matches!(outcome, Some(Outcome::Sent)));
        }
        Ok(launched)
    }

    /// Refuses what its payers have no tokens for, before anything is spent on it; returns the rest.
    async fn funded(
        &self,
        requested: Vec<Submission>,
    ) -> Result<Vec<(Submission, ChannelRecord)>, SettlerError> {
        let mut pairs = Vec::with_capacity(requested.len());
        for request in requested {
            if let Some(record) = self.record(&request).await? {
                pairs.push((request, record));
            }
        }
        let unfunded = unfunded(self.shared.chain.as_ref(), &pairs).await?;
        let mut funded = Vec::with_capacity(pairs.len());
        for ((request, record), unfunded) in pairs.into_iter().zip(unfunded) {
            match unfunded {
                None => funded.push((request, record)),
                Some(Unfunded { needed, found }) => {
                    self.shared.hook.reached(request.kind, Step::Planned);
                    let reason =
                        format!("the payer's token account holds {found} of the {needed} it escrows");
                    self.refuse(&request, &record, &reason).await?;
                }
            }
        }
        Ok(funded)
    }

    async fn send_one(
        &self,
        request: &Submission,
        record: ChannelRecord,
        tip: ChainTip,
    ) -> Result<Outcome, SettlerError> {
        let Shared { chain, keys, config, tips, hook, purse, .. } = &self.shared;
        let kind = request.kind;
        hook.reached(kind, Step::Planned);
        let inspected = self.agreed(request, &record).and_then(|(instruction, positions, paid_by)| {
            let allowed = Allowed {
                instruction: &instruction,
                fee_payer_positions: positions,
                fee_payer: keys.fee_payer.pubkey(),
                payer: record.agreement.terms.payer,
                paid_by,
                compute_unit_cap: config.compute_unit_cap,
                compute_unit_price_cap: config.compute_unit_price_cap,
            };
            inspect(&request.transaction, &allowed)
        });
        let transaction = match inspected {
            Ok(transaction) => transaction,
            Err(Objection(reason)) => return self.refuse(request, &record, &reason).await,
        };
        let outlays = self.outlays(request, &record, &transaction);
        if let Err(denial) = purse.check(&outlays) {
            return self.refuse(request, &record, &denial.to_string()).await;
        }
        if kind == SubmissionKind::Open {
            let (limit, id) = (purse.settings().channels_per_payer, &record.id);
            if self.shared.ledger.live_channels_before(id).await? >= limit {
                let reason = format!("its payer has {limit} channels, as many as it may have at once");
                return self.refuse(request, &record, &reason).await;
            }
        }
        let blockhash = transaction.message.recent_blockhash();
        let known = tips.last_valid_block_height(blockhash);
        let alive = match known {
            Some(height) => height >= tip.block_height.saturating_add(config.blockhash_margin),
            // Quoted before this process started. The node knows whether it lives, not for how long.
            None => chain.is_blockhash_valid(blockhash).await?,
        };
        if !alive {
            return self.refuse(request, &record, "its blockhash has expired").await;
        }
        let last_valid_block_height = known.unwrap_or(tip.block_height.saturating_add(BLOCKHASH_LIFE));
        let simulation = chain.simulate(&request.transaction).await?;
        if let Some(error) = simulation.error {
            // The blockhash lives, so this node is only behind. It is asked again until the hash is too old.
            if error == Failure::BlockhashNotFound {
                return Ok(Outcome::Left);
            }
            return self.refuse(request, &record, &format!("simulation failed: {error}")).await;
        }
        let signed = co_sign(transaction, &keys.fee_payer);
        let signature = signed.signature;
        let held = purse.hold(signature, &outlays).await?;
        if let Held::Denied(denial) = held {
            return self.refuse(request, &record, &denial.to_string()).await;
        }
        match self.outbox.requested(request, signed, last_valid_block_height).await {
            Ok(()) => Ok(Outcome::Sent),
            Err(LedgerError::SameTransaction { .. }) => {
                if held == Held::Now {
                    purse.release(&signature).await?;
                }
                self.refuse(request, &record, "the same transaction is on record already").await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn record(&self, request: &Submission) -> Result<Option<ChannelRecord>, SettlerError> {
        let Some(channel) = request.channel() else { return Ok(None) };
        Ok(self.shared.ledger.channel(&channel).await?)
    }

    /// What a payer's transaction takes from us.
    fn outlays(
        &self,
        request: &Submission,
        record: &ChannelRecord,
        transaction: &VersionedTransaction,
    ) -> Vec<Outlay> {
        let Shared { purse, keys, .. } = &self.shared;
        let ours = transaction.message.static_account_keys().first() == Some(&keys.fee_payer.pubkey());
        let fee = if ours { fee_of(&transaction.message) } else { 0 };
        match (request.kind, ours) {
            (SubmissionKind::Open, true) => vec![Outlays::open(record, &purse.prices(), fee)],
            (SubmissionKind::Open, false) => vec![Outlays::open_by_payer(record, &purse.prices())],
            (_, true) => vec![Outlays::top_up(record, fee)],
            (_, false) => Vec::new(),
        }
    }

    /// The instruction that the ledger says was agreed, where our key may appear in it, and who may pay for it.
    fn agreed(
        &self,
        request: &Submission,
        record: &ChannelRecord,
    ) -> Result<(Instruction, &'static [usize], PaidBy), Objection> {
        let ours = record.agreement.rent_payer == self.shared.keys.fee_payer.pubkey();
        match request.kind {
            SubmissionKind::Open if !ours && record.agreement.rent_payer != record.agreement.terms.payer => {
                Err(Objection(format!(
                    "its rent payer {} is neither ours nor its payer",
                    record.agreement.rent_payer
                )))
            }
            SubmissionKind::Open if record.agreement.splits.as_slice().len() > MAX_PAYABLE_RECIPIENTS => {
                Err(Objection(format!(
                    "it has more recipients than one payout carries ({MAX_PAYABLE_RECIPIENTS})"
                )))
            }
            SubmissionKind::Open => {
                let open = record.agreement.open(record.watermarks.deposit);
                // Who pays the fee pays the rent: one key, one signature.
                let paid_by = if ours { PaidBy::Us } else { PaidBy::Payer };
                Ok((open.instruction(), OPEN_FEE_PAYER_POSITIONS, paid_by))
            }
            SubmissionKind::TopUp if record.state != ChannelState::Open => {
                Err(Objection(format!("the channel is {}", record.state)))
            }
            SubmissionKind::TopUp => {
                let amount = request.amount.unwrap_or(Amount::ZERO);
                let enough = amount.get() >= self.shared.purse.settings().minimum_top_up;
                let paid_by = if enough { PaidBy::Either } else { PaidBy::Payer };
                Ok((instructions_of(record, &self.shared.config).top_up(amount), &[], paid_by))
            }
            other => Err(Objection(format!("{other} is nothing a payer signs"))),
        }
    }

    /// Gives a request up before anything was signed.
    async fn refuse(
        &self,
        request: &Submission,
        record: &ChannelRecord,
        reason: &str,
    ) -> Result<Outcome, SettlerError> {
        warn!(kind = %request.kind, channel = %record.id, reason, "refused");
        if request.kind == SubmissionKind::Open {
            self.shared.ledger.open_failed(&record.id, reason).await?;
        }
        self.shared.ledger.failed(request.id, reason).await?;
        self.shared.journal.refused(record.id, reason.to_owned());
        self.shared.hook.reached(request.kind, Step::Marked);
        Ok(Outcome::Refused)
    }
}
