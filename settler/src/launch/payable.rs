//! Whether payouts may go out: the token accounts that they pay, asked for many channels at once.

use std::collections::{BTreeSet, HashMap};

use futures::stream::{self, StreamExt};
use solana_account::Account;
use solana_pubkey::Pubkey;
use toll_ledger::ChannelRecord;
use toll_protocol::{Amount, ChannelAccount};
use tracing::{debug, error};

use super::Shared;
use super::payout::{Beneficiary, Readiness, beneficiaries, readiness};
use super::transaction::Payout;
use crate::SettlerError;
use crate::error::survive;
use crate::plan::Action;
use crate::planner::Task;
use crate::purse::Outlays;

/// Accounts that one question covers: a node answers for so many at once.
const MOST: usize = 100;

/// For each task whether its payout forfeits nothing. `None` where the cluster did not answer: that is one
/// question's tasks, and no others.
pub(super) async fn payouts(shared: &Shared, tasks: &[Task]) -> Result<Vec<Option<Payout>>, SettlerError> {
    let paid: Vec<_> = tasks.iter().map(|task| paid(shared, task)).collect();
    let answers: Vec<_> = stream::iter(questions(&paid))
        .map(|question| async move {
            let addresses: Vec<_> = question.addresses.into_iter().collect();
            let found = shared.chain.accounts(&addresses).await.map_err(SettlerError::from);
            let found = survive("payout", found)?.map(|found| addresses.into_iter().zip(found.accounts));
            Ok::<_, SettlerError>((question.tasks, found.map(HashMap::from_iter)))
        })
        .buffered(shared.config.concurrency)
        .collect()
        .await;
    let mut payouts = Vec::with_capacity(tasks.len());
    for answer in answers {
        let (range, found) = answer?;
        let found: Option<HashMap<Pubkey, Option<Account>>> = found;
        for index in range {
            payouts.push(found.as_ref().map(|found| judge(shared, &tasks[index], &paid[index], found)));
        }
    }
    Ok(payouts)
}

/// Tasks in a row whose accounts one question asks for.
struct Question {
    tasks: std::ops::Range<usize>,
    addresses: BTreeSet<Pubkey>,
}

/// Payee and treasury are most channels' own: asked for once.
fn questions(paid: &[Vec<Beneficiary>]) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for (index, paid) in paid.iter().enumerate() {
        let addresses: BTreeSet<_> = paid.iter().map(|one| one.account).collect();
        match questions.last_mut() {
            Some(last) if last.addresses.union(&addresses).count() <= MOST => {
                last.addresses.extend(addresses);
                last.tasks.end = index + 1;
            }
            _ => questions.push(Question { tasks: index..index + 1, addresses }),
        }
    }
    questions
}

/// Whom the payout that goes with a task pays.
fn paid(shared: &Shared, task: &Task) -> Vec<Beneficiary> {
    let Task { record, account, action } = task;
    let settled = match action {
        Action::PayOut(voucher) => {
            let settled = voucher.as_ref().map_or(account.settled, |signed| signed.voucher.cumulative_amount);
            // Nothing is refunded.
            let account = ChannelAccount { deposit: settled, ..account.clone() };
            return paid_by(shared, record, &account, settled);
        }
        Action::Rearm(signed) | Action::Close(Some(signed)) => signed.voucher.cumulative_amount,
        Action::Close(None) | Action::Seal | Action::Distribute => account.settled,
        Action::Settle(_) | Action::SettleClosing(_) | Action::Reclaim => return Vec::new(),
    };
    paid_by(shared, record, account, settled)
}

fn paid_by(
    shared: &Shared,
    record: &ChannelRecord,
    account: &ChannelAccount,
    settled: Amount,
) -> Vec<Beneficiary> {
    beneficiaries(
        account,
        &record.agreement.splits,
        settled,
        shared.config.treasury_owner,
        record.agreement.token_program,
    )
}

fn judge(
    shared: &Shared,
    task: &Task,
    paid: &[Beneficiary],
    found: &HashMap<Pubkey, Option<Account>>,
) -> Payout {
    let Task { record, account, .. } = task;
    let ChannelAccount { mint, .. } = account;
    let mut missing = Vec::new();
    for beneficiary in paid {
        let found = found.get(&beneficiary.account).and_then(Option::as_ref);
        let is_refund = beneficiary.owner == record.agreement.terms.payer;
        let why = match readiness(beneficiary, found, mint, &record.agreement.token_program) {
            Readiness::Ready => continue,
            Readiness::Missing if !is_refund || may_create_refund_account(shared, record) => {
                missing.push(*beneficiary);
                continue;
            }
            Readiness::Missing => "missing",
            Readiness::Unusable(why) => why,
        };
        let reason = format!("token account {} of {} is {why}", beneficiary.account, beneficiary.owner);
        if !(is_refund && is_out_of_patience(shared, record)) {
            return Payout::Held { reason };
        }
        error!(channel = %record.id, reason, "paying out without the payer, whose refund is forfeited");
    }
    Payout::Ready { missing }
}

fn may_create_refund_account(shared: &Shared, record: &ChannelRecord) -> bool {
    let denial = shared.purse.check(&[Outlays::refund_account(record, &shared.purse.prices())]).err();
    if let Some(denial) = denial {
        debug!(channel = %record.id, %denial, "no account for the refund");
    }
    denial.is_none()
}

/// Whether the payer has had its time to put its token account in order.
fn is_out_of_patience(shared: &Shared, record: &ChannelRecord) -> bool {
    let patience = i64::try_from(shared.config.refund_patience.as_secs()).unwrap_or(i64::MAX);
    record.closing_at.is_some_and(|at| shared.ledger.now() >= at.saturating_add(patience))
}
