//! Our own transactions: settling, closing, paying out, taking rent back; many channels in one where they fit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::{ChainTip, Failure};
use toll_ledger::{Intent, SubmissionId, SubmissionKind};
use toll_protocol::{ASSOCIATED_TOKEN_PROGRAM, ChannelStatus, create_associated_token_account};
use tracing::warn;

use super::batch;
use super::packing::{Format, Load};
use super::parcel::{self, Parcel};
use super::payable::payouts;
use super::transaction::{
    Budget, Draft, MAX_COMPUTE_UNITS, Payout, Signed, drafts, sign, sign_first_fitting,
};
use super::{Launched, Outbox, Shared, instructions_of};
use crate::config::ListedMint;
use crate::error::survive;
use crate::in_flight::Lane;
use crate::planner::Task;
use crate::purse::{Denial, Held, Outlay, Outlays};
use crate::{SettlerError, Step};

/// Longest pause before a channel in its grace period is tried again.
const URGENT_PAUSE: Duration = Duration::from_secs(2);

/// How long a payout waits for others to share its transaction, while seals are on their way.
const PAYOUTS_WAIT: Duration = Duration::from_secs(1);

/// Compute units added to what the simulation used.
const COMPUTE_UNIT_MARGIN: u32 = 2_000;

/// Builds what was planned.
pub(crate) struct Actions {
    shared: Shared,
    outbox: Arc<Outbox>,
    /// Since when payouts have waited for others.
    waiting_since: Mutex<Option<Instant>>,
}

/// What became of a transaction that met no error.
enum Started {
    Sent(SubmissionId),
    /// The purse does not pay for it now.
    Denied(Denial),
    /// It would fail.
    Fails(Failure),
}

impl Actions {
    pub(crate) fn new(shared: Shared, outbox: Arc<Outbox>) -> Self {
        Self { shared, outbox, waiting_since: Mutex::default() }
    }

    /// Channels to plan for each transaction that there is room for: as many as commonly share one.
    pub(crate) fn channels_at_once(&self) -> usize {
        let commonly = match self.format() {
            Format::V1 => 12,
            _ => 5,
        };
        self.shared.config.channels_per_transaction.clamp(1, commonly)
    }

    /// Carries tasks out in as many transactions as there is room for, several at once; channels share one where they
    /// fit.
    pub(crate) async fn carry_out(&self, tasks: Vec<Task>) -> Result<Launched, SettlerError> {
        if tasks.is_empty() {
            return Ok(Launched::default());
        }
        let (parcels, mut launched) = self.parcels(tasks).await?;
        let (config, fee_payer) = (&self.shared.config, self.shared.keys.fee_payer.pubkey());
        let budget = Budget { units: MAX_COMPUTE_UNITS, price: config.compute_unit_price };
        let mut transactions =
            parcel::share(parcels, self.format(), &Load::of(&fee_payer, &budget.instructions()));
        let waiting = self.leave_a_payout_waiting(&mut transactions);
        let room = self.shared.in_flight.room(Lane::Own);
        let left = transactions.split_off(room.min(transactions.len()));
        launched.waiting += left.iter().chain(&waiting).map(Vec::len).sum::<usize>();
        let started: Vec<_> = stream::iter(transactions)
            .map(|parcels| async move { self.start(parcels).await })
            .buffer_unordered(config.concurrency)
            .collect()
            .await;
        for started in started {
            let Launched { sent, waiting } = started?;
            launched.sent += sent;
            launched.waiting += waiting;
        }
        Ok(launched)
    }

    /// What each task asks of a transaction, but for those that may do nothing now: they are paused.
    async fn parcels(&self, tasks: Vec<Task>) -> Result<(Vec<Parcel>, Launched), SettlerError> {
        let Shared { pauses, config, keys, .. } = &self.shared;
        let payouts = payouts(&self.shared, &tasks).await?;
        let (mut parcels, mut launched) = (Vec::with_capacity(tasks.len()), Launched::default());
        for (order, (task, payout)) in tasks.into_iter().zip(payouts).enumerate() {
            let target = batch::target(&task, keys.operator.as_ref());
            let Task { record, account, action } = task;
            let is_urgent = account.status == ChannelStatus::Closing;
            let Some(payout) = payout else {
                self.failed(&record.id, is_urgent);
                launched.waiting += 1;
                continue;
            };
            if let Payout::Held { reason } = &payout {
                pauses.hold(record.id, reason.clone(), config.poll_interval);
            }
            let channel = instructions_of(&record, config);
            let drafts = drafts(&action, &channel, &payout, &keys.fee_payer.pubkey());
            if drafts.is_empty() {
                continue;
            }
            // Whoever failed in company is tried in less of it, and at last alone.
            let failures = pauses.failures(&record.id);
            let company = match failures {
                0 => config.channels_per_transaction,
                failures => self.channels_at_once() >> failures.min(16),
            };
            // What failed or was passed over in a batch shows its own voucher.
            let target = target.filter(|_| failures == 0);
            let is_refusable = parcel::is_refusable(&action);
            let is_batched = false;
            parcels.push(Parcel {
                order,
                record,
                is_urgent,
                drafts,
                is_refusable,
                company,
                target,
                is_batched,
            });
        }
        Ok((parcels, launched))
    }

    /// Takes out the last payout transaction, which may have room for more, while seals are on their way whose
    /// payouts could share it; but not for long.
    fn leave_a_payout_waiting(&self, transactions: &mut Vec<Vec<Parcel>>) -> Option<Vec<Parcel>> {
        let mut since = self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner);
        let last = transactions.iter().rposition(|parcels| {
            parcels.iter().all(|parcel| parcel.kind() == SubmissionKind::Distribute && parcel.company > 1)
        });
        let Some(last) = last.filter(|_| self.shared.in_flight.has(SubmissionKind::Close)) else {
            *since = None;
            return None;
        };
        if since.get_or_insert_with(Instant::now).elapsed() >= PAYOUTS_WAIT {
            *since = None;
            return None;
        }
        Some(transactions.remove(last))
    }

    /// Starts one transaction for all of `parcels`. Whoever would make it fail is left out, and tried again later;
    /// where nobody can tell who that is, each half goes by itself.
    async fn start(&self, parcels: Vec<Parcel>) -> Result<Launched, SettlerError> {
        let mut launched = Launched::default();
        let mut attempts = vec![parcels];
        while let Some(mut parcels) = attempts.pop() {
            let kind = parcels[0].kind();
            self.shared.hook.reached(kind, Step::Planned);
            let started = survive(kind.as_str(), self.launch(&parcels).await)?;
            match started {
                Some(Started::Sent(_)) => launched.sent += 1,
                Some(Started::Denied(denial)) if parcels.len() == 1 => self.hold(&parcels[0], &denial),
                Some(Started::Denied(denial)) => {
                    let payable = |parcel: &Parcel| self.is_payable(parcel);
                    let (paid, denied): (Vec<_>, Vec<_>) = parcels.into_iter().partition(payable);
                    denied.iter().for_each(|parcel| self.hold(parcel, &denial));
                    if denied.is_empty() {
                        // Each of them may be paid, but not all at once.
                        self.halve(paid, &mut attempts, &mut launched);
                    } else if !paid.is_empty() {
                        attempts.push(paid);
                    }
                }
                Some(Started::Fails(Failure::Ran { instruction, words })) if parcels.len() > 1 => {
                    match instruction.and_then(|index| self.culprit(&parcels, index)) {
                        Some(culprit) => {
                            let parcel = parcels.remove(culprit);
                            warn!(channel = %parcel.record.id, words, "left out of a transaction");
                            self.failed(&parcel.record.id, parcel.is_urgent);
                            launched.waiting += 1;
                            attempts.push(parcels);
                        }
                        None => self.halve(parcels, &mut attempts, &mut launched),
                    }
                }
                Some(Started::Fails(failure)) => {
                    warn!(%kind, %failure, "would fail");
                    launched.waiting += self.all_failed(&parcels);
                }
                None => launched.waiting += self.all_failed(&parcels),
            }
        }
        Ok(launched)
    }

    /// Half of `parcels` is tried now, and the other half as well if there is room for a further transaction.
    fn halve(&self, mut parcels: Vec<Parcel>, attempts: &mut Vec<Vec<Parcel>>, launched: &mut Launched) {
        let rest = parcels.split_off(parcels.len().div_ceil(2));
        if self.shared.in_flight.room(Lane::Own) > 1 {
            attempts.push(rest);
        } else {
            launched.waiting += self.all_failed(&rest);
        }
        attempts.push(parcels);
    }

    /// Which of `parcels` the failed instruction of their transaction belongs to.
    fn culprit(&self, parcels: &[Parcel], index: u8) -> Option<usize> {
        let budget = Budget { units: 0, price: self.shared.config.compute_unit_price }.instructions();
        let before = if self.format() == Format::V1 { 0 } else { budget.len() };
        parcel::owner_of(parcels, usize::from(index).checked_sub(before)?)
    }

    fn format(&self) -> Format {
        self.shared.config.transaction_version.into()
    }

    fn hold(&self, parcel: &Parcel, denial: &Denial) {
        if parcel.kind() == SubmissionKind::Rearm {
            // Planned anew at once, as a close.
            return self.failed(&parcel.record.id, true);
        }
        self.shared.pauses.hold(parcel.record.id, denial.to_string(), self.shared.config.poll_interval);
    }

    fn failed(&self, channel: &toll_protocol::ChannelId, is_urgent: bool) {
        self.shared.pauses.failed(*channel, if is_urgent { URGENT_PAUSE } else { Duration::MAX });
    }

    fn all_failed(&self, parcels: &[Parcel]) -> usize {
        parcels.iter().for_each(|parcel| self.failed(&parcel.record.id, parcel.is_urgent));
        parcels.len()
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
        let refused = |reason: String| Err(SettlerError::Build { what: kind.as_str(), reason });
        match self.send(vec![Draft { intent, instructions: vec![create] }], &[]).await? {
            Started::Sent(id) => Ok(id),
            Started::Denied(denial) => refused(denial.to_string()),
            Started::Fails(failure) => refused(failure.to_string()),
        }
    }

    async fn launch(&self, parcels: &[Parcel]) -> Result<Started, SettlerError> {
        self.send(parcel::join(parcels, self.shared.keys.operator.as_ref())?, parcels).await
    }

    /// Signs the first draft that fits, simulates it, holds what it takes, writes it down, sends it.
    async fn send(&self, drafts: Vec<Draft>, parcels: &[Parcel]) -> Result<Started, SettlerError> {
        let tip = self.shared.tips.current().await?;
        let (draft, signed) = match self.sign_frugally(drafts, tip).await? {
            Ok(signed) => signed,
            Err(failure) => return Ok(Started::Fails(failure)),
        };
        let outlays = self.outlays(&draft, parcels, signed.fee);
        if let Held::Denied(denial) = self.shared.purse.hold(signed.signature, &outlays).await? {
            return Ok(Started::Denied(denial));
        }
        let id = self.outbox.own(draft.intent, signed, tip.last_valid_block_height).await?;
        Ok(Started::Sent(id))
    }

    /// Whether the purse pays for a channel's share of a transaction as far as that channel goes.
    fn is_payable(&self, parcel: &Parcel) -> bool {
        let fee = 2 * crate::purse::PER_SIGNATURE;
        self.shared.purse.check(&[share_of_fee(parcel, fee)]).is_ok()
    }

    /// What a transaction of ours takes: its fee, to equal parts of all channels, and the rent of the token accounts
    /// that it makes.
    fn outlays(&self, draft: &Draft, parcels: &[Parcel], fee: u64) -> Vec<Outlay> {
        let prices = self.shared.purse.prices();
        let count = parcels.len() as u64;
        let share = |(index, parcel): (usize, &Parcel)| {
            let remainder = u64::from((index as u64) < fee % count);
            share_of_fee(parcel, fee / count + remainder)
        };
        let mut outlays = match parcels {
            [only] => vec![share_of_fee(only, fee)],
            parcels if parcels.iter().any(|parcel| parcel.is_refusable) => {
                Outlays::summed(parcels.iter().enumerate().map(share))
            }
            // Nobody is charged for it, so nobody needs to be told apart.
            _ => vec![Outlays::close(None, fee)],
        };
        let record = parcels.first().map(|parcel| &parcel.record);
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
    ) -> Result<Result<(Draft, Signed), Failure>, SettlerError> {
        let Shared { config, keys, chain, pauses, .. } = &self.shared;
        let price = config.compute_unit_price;
        let generous = Budget { units: MAX_COMPUTE_UNITS, price };
        let (draft, signed) = sign_first_fitting(drafts, generous, keys, tip.blockhash, self.format())?;
        let simulation = chain.simulate(&signed.bytes).await?;
        if let Some(failure) = simulation.error {
            return Ok(Err(failure));
        }
        // An attempt after a failure must not repeat the failed one's bytes: its signature is spent.
        let effects = draft.intent.effects.iter();
        let failures = effects.map(|effect| pauses.failures(&effect.channel)).max().unwrap_or(0);
        let used = u32::try_from(simulation.compute_units).unwrap_or(MAX_COMPUTE_UNITS);
        let units = used.saturating_add(used / 5).saturating_add(COMPUTE_UNIT_MARGIN + failures);
        let budget = Budget { units: units.min(MAX_COMPUTE_UNITS), price };
        let signed = sign(&draft, budget, keys, tip.blockhash, self.format())?;
        Ok(Ok((draft, signed)))
    }
}

/// What a channel's share of a transaction's fee is spent on.
fn share_of_fee(parcel: &Parcel, fee: u64) -> Outlay {
    if parcel.is_refusable {
        Outlays::settle(&parcel.record, fee)
    } else {
        Outlays::close(Some(&parcel.record), fee)
    }
}
