//! What was planned for one channel, and which channels share a transaction.

use toll_ledger::{ChannelRecord, Effect, Intent, SubmissionKind};
use toll_protocol::{ASSOCIATED_TOKEN_PROGRAM, Amount, OperatorKey};

use super::batch;
use super::packing::{Format, Load, Part, pack, signatures};
use super::transaction::Draft;
use crate::SettlerError;
use crate::plan::Action;

/// Payouts go out later if that takes less than this part of the signatures.
const SAVES_ENOUGH: (usize, usize) = (7, 8);

/// One channel's share of a transaction.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// Its place in the plan, the most urgent first.
    pub order: usize,
    /// The channel.
    pub record: ChannelRecord,
    /// Whether its grace period runs.
    pub is_urgent: bool,
    /// What may be sent, whole or in parts, the most first.
    pub drafts: Vec<Draft>,
    /// Whether it may be left undone when budgets are spent.
    pub is_refusable: bool,
    /// Most channels of the transaction it is in.
    pub company: usize,
    /// What a batch may settle it up to, if its vouchers are ours to sign.
    pub target: Option<Amount>,
    /// Whether it is in a batch, whose signature stands for its instructions.
    pub is_batched: bool,
}

impl Parcel {
    pub(super) fn kind(&self) -> SubmissionKind {
        self.drafts[0].intent.kind
    }

    /// Whether others may be in its transaction: one that makes token accounts is on its own.
    fn is_sociable(&self, format: Format, empty: &Load) -> bool {
        let instructions = &self.drafts[0].instructions;
        self.company > 1
            && instructions.iter().all(|one| one.program_id != ASSOCIATED_TOKEN_PROGRAM)
            && empty.with(instructions).fits(format)
    }
}

/// Whether the budget for settling early pays for an action.
pub(super) fn is_refusable(action: &Action) -> bool {
    // What a forced close would lose if it were not settled is never left undone. A rearm that is not paid for becomes
    // a close, which the open was charged for.
    matches!(action, Action::Settle(_) | Action::PayOut(_) | Action::Rearm(_))
}

/// The draft of a transaction that carries all of `parcels`; they are of one kind, and all or none in a batch.
pub(super) fn join(parcels: &[Parcel], operator: Option<&OperatorKey>) -> Result<Vec<Draft>, SettlerError> {
    if parcels.iter().any(|parcel| parcel.is_batched) {
        return Ok(vec![batch::draft(parcels, operator)?]);
    }
    if let [only] = parcels {
        return Ok(only.drafts.clone());
    }
    let kind = parcels[0].kind();
    let first = |parcel: &Parcel| parcel.drafts[0].clone();
    let effects: Vec<Effect> = parcels.iter().flat_map(|parcel| first(parcel).intent.effects).collect();
    let instructions = parcels.iter().flat_map(|parcel| first(parcel).instructions).collect();
    Ok(vec![Draft { intent: Intent { kind, effects }, instructions }])
}

/// Which of `parcels` the instruction number `index` of their joint transaction belongs to, not counting the
/// compute budget's. In a batch none has an instruction of its own.
pub(super) fn owner_of(parcels: &[Parcel], index: usize) -> Option<usize> {
    let mut end = 0;
    parcels.iter().position(|parcel| {
        end += parcel.drafts[0].instructions.len();
        index < end
    })
}

/// Puts parcels into transactions, those of one kind together as far as they fit, the most urgent first.
///
/// Payouts of many closes go out after their seals where that takes fewer signatures: more seals fit a transaction
/// without them, so what is at risk is also safe sooner.
pub(super) fn share(parcels: Vec<Parcel>, format: Format, empty: &Load) -> Vec<Vec<Parcel>> {
    let (mut transactions, parcels) = batch::gather(parcels, format, empty);
    let mut kinds: Vec<(SubmissionKind, Vec<Parcel>)> = Vec::new();
    for parcel in parcels {
        if !parcel.is_sociable(format, empty) {
            transactions.push(vec![parcel]);
            continue;
        }
        let kind = parcel.kind();
        match kinds.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, group)) => group.push(parcel),
            None => kinds.push((kind, vec![parcel])),
        }
    }
    for (kind, mut group) in kinds {
        // What is settled on a channel that stays open may be paid out later, too.
        if matches!(kind, SubmissionKind::Close | SubmissionKind::Settle) {
            pay_later_if_cheaper(&mut group, format, empty);
        }
        let packs = pack(format, empty, &parts(&group));
        let mut group: Vec<_> = group.into_iter().map(Some).collect();
        for pack in packs {
            let members = pack.members.into_iter().filter_map(|index| group[index].take());
            transactions.push(members.collect());
        }
    }
    transactions.sort_by_key(|transaction| transaction.first().map(|parcel| parcel.order));
    transactions
}

fn parts(group: &[Parcel]) -> Vec<Part<'_>> {
    group
        .iter()
        .map(|parcel| Part { instructions: &parcel.drafts[0].instructions, company: parcel.company })
        .collect()
}

/// Leaves the payouts for later transactions if those and the seals have fewer signatures than all at once, by so much
/// that a second round of transactions is worth it.
fn pay_later_if_cheaper(group: &mut [Parcel], format: Format, empty: &Load) {
    let at_once = signatures(&pack(format, empty, &parts(group)));
    let mut seals = group.to_vec();
    let mut payouts = Vec::new();
    for parcel in seals.iter_mut().filter(|parcel| parcel.drafts.len() > 1) {
        let whole = parcel.drafts.remove(0);
        payouts.extend(whole.instructions.last().cloned().map(|payout| (vec![payout], parcel.company)));
    }
    let payouts: Vec<_> =
        payouts.iter().map(|(instructions, company)| Part { instructions, company: *company }).collect();
    let apart = signatures(&pack(format, empty, &parts(&seals))) + signatures(&pack(format, empty, &payouts));
    let (part, whole) = SAVES_ENOUGH;
    if apart * whole < at_once * part {
        group.clone_from_slice(&seals);
    }
}
