//! Opens and top-ups that the gateway recorded: checks, co-signs and sends them.

use futures::stream::{self, StreamExt};
use solana_signer::Signer;
use toll_ledger::{
    ChannelRecord, ChannelState, LedgerError, MAX_PAYABLE_RECIPIENTS, Submission, SubmissionKind,
};
use toll_protocol::{Amount, Channel, Open};
use tracing::{info, warn};

use crate::inspect::{Allowed, OPEN_FEE_PAYER_POSITIONS, Objection, inspect};
use crate::transaction::{Signed, co_sign};
use crate::work::Worked;
use crate::{Settler, SettlerError, Step};
use toll_chain::ChainTip;

/// Blocks that a blockhash can live at most: the bound for one whose age we don't know.
const BLOCKHASH_LIFE: u64 = 150;

/// Requests handled in one pass: closes, which may be urgent, wait no longer than these take.
const PER_PASS: usize = 64;

/// What an open takes from the fee payer, in lamports: the rent of a channel and of the larger kind of escrow
/// account, two signatures, and the most that its compute budget may cost.
const OPEN_LAMPORTS: u64 = 2_672_640 + 2_074_080 + 10_000 + 20_000;

impl Settler {
    /// Takes requested submissions as far as the cluster, oldest first.
    pub(crate) async fn send_requested(&self) -> Result<Worked, SettlerError> {
        let mut requested = self.ledger.requested().await?;
        if requested.is_empty() {
            return Ok(Worked::default());
        }
        let waiting = requested.len().saturating_sub(PER_PASS);
        requested.truncate(PER_PASS);
        let tip = self.tip().await?;
        let requested = self.affordable(requested).await?;
        let sent: Vec<_> = stream::iter(requested)
            .map(|submission| async move { self.send_one(&submission, tip).await })
            .buffer_unordered(self.config.concurrency)
            .collect()
            .await;
        let mut count = 0;
        for outcome in sent {
            count += usize::from(self.survive("requested submission", outcome)?.unwrap_or(false));
        }
        Ok(Worked { sent: count, waiting })
    }

    /// Refuses the opens whose rent the fee payer has not got beside what it keeps for closing; returns the
    /// rest.
    async fn affordable(&self, requested: Vec<Submission>) -> Result<Vec<Submission>, SettlerError> {
        if requested.iter().all(|submission| submission.kind != SubmissionKind::Open) {
            return Ok(requested);
        }
        let mut purse = self.balance().await?.saturating_sub(self.config.closing_reserve);
        let mut affordable = Vec::with_capacity(requested.len());
        for submission in requested {
            if submission.kind == SubmissionKind::Open {
                let Some(left) = purse.checked_sub(OPEN_LAMPORTS) else {
                    let record = self.ledger.channel(&submission.channel()).await?;
                    if let Some(record) = record {
                        let reason = "the sponsor is out of SOL and pays for no more channels";
                        self.refuse(&submission, &record, reason).await?;
                    }
                    continue;
                };
                purse = left;
            }
            affordable.push(submission);
        }
        Ok(affordable)
    }

    /// Whether the submission was sent; if not it was refused, or is left for the next pass.
    async fn send_one(&self, submission: &Submission, tip: ChainTip) -> Result<bool, SettlerError> {
        let kind = submission.kind;
        self.hook.reached(kind, Step::Planned);
        let Some(channel) = submission.channels.first() else { return Ok(false) };
        let Some(record) = self.ledger.channel(channel).await? else { return Ok(false) };
        let fee_payer = self.keys.fee_payer.pubkey();
        let inspected = self.agreed(submission, &record).and_then(|(instruction, positions)| {
            let allowed = Allowed {
                instruction: &instruction,
                fee_payer_positions: positions,
                fee_payer,
                payer: record.terms.payer,
                // An open's fee payer is its rent payer, and that is us.
                payer_may_pay: kind == SubmissionKind::TopUp,
                compute_unit_cap: self.config.compute_unit_cap,
                compute_unit_price_cap: self.config.compute_unit_price_cap,
            };
            inspect(&submission.transaction, &allowed)
        });
        let transaction = match inspected {
            Ok(transaction) => transaction,
            Err(Objection(reason)) => return self.refuse(submission, &record, &reason).await,
        };
        let blockhash = transaction.message.recent_blockhash();
        let known = self.memory.lock().last_valid_block_height(blockhash);
        let alive = match known {
            Some(height) => height >= tip.block_height.saturating_add(self.config.blockhash_margin),
            // Quoted before this process started. The node knows whether it lives, not for how long.
            None => self.chain.is_blockhash_valid(blockhash).await?,
        };
        if !alive {
            return self.refuse(submission, &record, "its blockhash has expired").await;
        }
        let last_valid_block_height = known.unwrap_or(tip.block_height.saturating_add(BLOCKHASH_LIFE));
        let simulation = self.chain.simulate(&submission.transaction).await?;
        if let Some(error) = simulation.error {
            // The blockhash lives, so this node is only behind. It is asked again until the hash is too old.
            if error.contains("BlockhashNotFound") {
                return Ok(false);
            }
            return self.refuse(submission, &record, &format!("simulation failed: {error}")).await;
        }
        let signed = co_sign(transaction, &self.keys.fee_payer);
        self.hook.reached(kind, Step::Built);
        let Signed { bytes, signature } = signed;
        match self
            .ledger
            .record_signed(submission.id, bytes.clone(), signature, last_valid_block_height)
            .await
        {
            Err(LedgerError::SameTransaction { .. }) => {
                return self.refuse(submission, &record, "the same transaction is on record already").await;
            }
            recorded => recorded?,
        }
        self.hook.reached(kind, Step::Recorded);
        info!(?kind, channel = %record.id, %signature, "sending");
        self.send(submission.id, kind, &bytes).await;
        Ok(true)
    }

    /// The instruction that the ledger says was agreed, and where our key may appear in it.
    fn agreed(
        &self,
        submission: &Submission,
        record: &ChannelRecord,
    ) -> Result<(solana_instruction::Instruction, &'static [usize]), Objection> {
        match submission.kind {
            SubmissionKind::Open if record.rent_payer != self.keys.fee_payer.pubkey() => {
                Err(Objection(format!("its rent payer {} is not our fee payer", record.rent_payer)))
            }
            SubmissionKind::Open if record.splits.as_slice().len() > MAX_PAYABLE_RECIPIENTS => {
                Err(Objection(format!(
                    "it has more recipients than one payout carries ({MAX_PAYABLE_RECIPIENTS})"
                )))
            }
            SubmissionKind::Open => {
                let open = Open {
                    program: record.program,
                    terms: record.terms,
                    deposit: record.watermarks.deposit,
                    grace_period: record.grace_period,
                    splits: record.splits.clone(),
                    rent_payer: record.rent_payer,
                    token_program: record.token_program,
                };
                Ok((open.instruction(), OPEN_FEE_PAYER_POSITIONS))
            }
            SubmissionKind::TopUp if record.state != ChannelState::Open => {
                Err(Objection(format!("the channel is {}", record.state)))
            }
            SubmissionKind::TopUp => {
                let amount = submission.amount.unwrap_or(Amount::ZERO);
                Ok((self.instructions_of(record).top_up(amount), &[]))
            }
            other => Err(Objection(format!("{other} is nothing a payer signs"))),
        }
    }

    /// Builds instructions for a recorded channel.
    pub(crate) fn instructions_of(&self, record: &ChannelRecord) -> Channel {
        Channel {
            program: record.program,
            id: record.id,
            payer: record.terms.payer,
            payee: record.terms.payee,
            mint: record.terms.mint,
            token_program: record.token_program,
            rent_payer: record.rent_payer,
            splits: record.splits.clone(),
            treasury_owner: self.config.treasury_owner,
        }
    }

    /// Gives a request up before anything was signed.
    async fn refuse(
        &self,
        submission: &Submission,
        record: &ChannelRecord,
        reason: &str,
    ) -> Result<bool, SettlerError> {
        warn!(kind = ?submission.kind, channel = %record.id, reason, "refused");
        if submission.kind == SubmissionKind::Open {
            self.ledger.open_failed(&record.id, reason).await?;
        }
        self.ledger.failed(submission.id, reason).await?;
        self.memory.lock().refused(record.id, reason.to_owned());
        self.hook.reached(submission.kind, Step::Marked);
        Ok(false)
    }
}
