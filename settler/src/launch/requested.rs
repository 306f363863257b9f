//! Opens and top-ups that the gateway recorded: checks, co-signs and sends them.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use solana_instruction::Instruction;
use solana_signer::Signer;
use toll_chain::{ChainTip, Failure};
use toll_ledger::{
    ChannelRecord, ChannelState, LedgerError, MAX_PAYABLE_RECIPIENTS, Submission, SubmissionKind,
};
use toll_protocol::Amount;
use tracing::warn;

use super::balance::Balance;
use super::inspect::{Allowed, OPEN_FEE_PAYER_POSITIONS, Objection, inspect};
use super::transaction::co_sign;
use super::{Launched, Outbox, Shared, instructions_of};
use crate::error::survive;
use crate::{SettlerError, Step};

/// Blocks that a blockhash can live at most: the bound for one whose age we don't know.
const BLOCKHASH_LIFE: u64 = 150;

/// Requests handled in one round: closes, which may be urgent, wait no longer than these take.
const PER_ROUND: usize = 64;

/// What an open takes from the fee payer, in lamports: the rent of a channel and of the larger kind of escrow
/// account, two signatures, and the most that its compute budget may cost.
const OPEN_LAMPORTS: u64 = 2_672_640 + 2_074_080 + 10_000 + 20_000;

/// Handles what payers asked for.
pub(crate) struct Requests {
    shared: Shared,
    outbox: Arc<Outbox>,
    balance: Arc<Balance>,
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
    pub(crate) fn new(shared: Shared, outbox: Arc<Outbox>, balance: Arc<Balance>) -> Self {
        Self { shared, outbox, balance }
    }

    /// Takes requested submissions as far as the cluster, oldest first.
    pub(crate) async fn send(&self) -> Result<Launched, SettlerError> {
        let mut requested = self.shared.ledger.requested().await?;
        if requested.is_empty() {
            return Ok(Launched::default());
        }
        let waiting = requested.len().saturating_sub(PER_ROUND);
        requested.truncate(PER_ROUND);
        let tip = self.shared.tips.current().await?;
        let requested = self.affordable(requested).await?;
        let outcomes: Vec<_> = stream::iter(requested)
            .map(|request| async move { self.send_one(&request, tip).await })
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

    /// Refuses the opens whose rent the fee payer has not got beside what it keeps for closing; returns the
    /// rest.
    async fn affordable(&self, requested: Vec<Submission>) -> Result<Vec<Submission>, SettlerError> {
        if requested.iter().all(|submission| submission.kind != SubmissionKind::Open) {
            return Ok(requested);
        }
        let reserve = self.shared.config.closing_reserve;
        let mut left = self.balance.check().await?.saturating_sub(reserve);
        let mut affordable = Vec::with_capacity(requested.len());
        for submission in requested {
            if submission.kind == SubmissionKind::Open {
                let Some(rest) = left.checked_sub(OPEN_LAMPORTS) else {
                    if let Some(record) = self.record(&submission).await? {
                        let reason = "the sponsor is out of SOL and pays for no more channels";
                        self.refuse(&submission, &record, reason).await?;
                    }
                    continue;
                };
                left = rest;
            }
            affordable.push(submission);
        }
        Ok(affordable)
    }

    async fn send_one(&self, request: &Submission, tip: ChainTip) -> Result<Outcome, SettlerError> {
        let Shared { chain, keys, config, tips, hook, .. } = &self.shared;
        let kind = request.kind;
        hook.reached(kind, Step::Planned);
        let Some(record) = self.record(request).await? else { return Ok(Outcome::Left) };
        let inspected = self.agreed(request, &record).and_then(|(instruction, positions)| {
            let allowed = Allowed {
                instruction: &instruction,
                fee_payer_positions: positions,
                fee_payer: keys.fee_payer.pubkey(),
                payer: record.terms.payer,
                // An open's fee payer is its rent payer, and that is us.
                payer_may_pay: kind == SubmissionKind::TopUp,
                compute_unit_cap: config.compute_unit_cap,
                compute_unit_price_cap: config.compute_unit_price_cap,
            };
            inspect(&request.transaction, &allowed)
        });
        let transaction = match inspected {
            Ok(transaction) => transaction,
            Err(Objection(reason)) => return self.refuse(request, &record, &reason).await,
        };
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
        match self.outbox.requested(request, signed, last_valid_block_height).await {
            Ok(()) => Ok(Outcome::Sent),
            Err(LedgerError::SameTransaction { .. }) => {
                self.refuse(request, &record, "the same transaction is on record already").await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn record(&self, request: &Submission) -> Result<Option<ChannelRecord>, SettlerError> {
        let Some(channel) = request.channel() else { return Ok(None) };
        Ok(self.shared.ledger.channel(&channel).await?)
    }

    /// The instruction that the ledger says was agreed, and where our key may appear in it.
    fn agreed(
        &self,
        request: &Submission,
        record: &ChannelRecord,
    ) -> Result<(Instruction, &'static [usize]), Objection> {
        match request.kind {
            SubmissionKind::Open if record.rent_payer != self.shared.keys.fee_payer.pubkey() => {
                Err(Objection(format!("its rent payer {} is not our fee payer", record.rent_payer)))
            }
            SubmissionKind::Open if record.splits.as_slice().len() > MAX_PAYABLE_RECIPIENTS => {
                Err(Objection(format!(
                    "it has more recipients than one payout carries ({MAX_PAYABLE_RECIPIENTS})"
                )))
            }
            SubmissionKind::Open => {
                let open = record.agreement().open(record.watermarks.deposit);
                Ok((open.instruction(), OPEN_FEE_PAYER_POSITIONS))
            }
            SubmissionKind::TopUp if record.state != ChannelState::Open => {
                Err(Objection(format!("the channel is {}", record.state)))
            }
            SubmissionKind::TopUp => {
                let amount = request.amount.unwrap_or(Amount::ZERO);
                Ok((instructions_of(record, &self.shared.config).top_up(amount), &[]))
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
