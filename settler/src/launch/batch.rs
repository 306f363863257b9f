//! Channels whose vouchers our operator signs settle together: by one signature instead of one each.
//!
//! A channel that closes takes two transactions then. The batch settles and does nothing else, and once that is seen on
//! chain the channel is planned anew: what it owes is settled, so it is sealed without a voucher. Sealing goes by the
//! chain's own amount, never by a batch that was sent: one that passed a channel over, because its payer left or
//! somebody sealed it, costs that channel nothing, since its own voucher is on record and is shown at the next attempt.

use toll_ledger::{Effect, Intent, SubmissionKind};
use toll_protocol::{
    Amount, BatchVoucher, ChannelId, ChannelStatus, MAX_BATCH, OperatorKey, PROGRAM_ID, ed25519_verify_batch,
    settle_batch,
};

use super::packing::{Format, Load};
use super::parcel::Parcel;
use super::transaction::Draft;
use crate::SettlerError;
use crate::plan::Action;
use crate::planner::Task;

/// What a batch may settle a task's channel up to: the voucher that it would settle by itself, if that is `operator`'s.
/// While a grace period runs there is no time for two transactions.
pub(super) fn target(task: &Task, operator: Option<&OperatorKey>) -> Option<Amount> {
    let (Action::Settle(signed) | Action::Close(Some(signed))) = &task.action else { return None };
    let signs = operator.is_some_and(|operator| operator.signs_for(&signed.signer));
    let is_open = task.account.status == ChannelStatus::Open;
    // A batch promises for good, so it promises only what does.
    (signs && is_open && signed.voucher.expires_at == 0).then_some(signed.voucher.cumulative_amount)
}

/// Divides `parcels` into batches, where those save signatures, and all others.
pub(super) fn gather(parcels: Vec<Parcel>, format: Format, empty: &Load) -> (Vec<Vec<Parcel>>, Vec<Parcel>) {
    let (candidates, mut others): (Vec<_>, Vec<_>) =
        parcels.into_iter().partition(|parcel| parcel.target.is_some() && parcel.company > 1);
    if candidates.is_empty() {
        return (Vec::new(), others);
    }
    let most = most(format, empty);
    let mut batches: Vec<Vec<Parcel>> = Vec::new();
    for parcel in candidates {
        let has_room = |batch: &&mut Vec<Parcel>| {
            let company = batch.iter().map(|one| one.company).fold(parcel.company, usize::min);
            batch.len() < most.min(company) && program(&batch[0]) == program(&parcel)
        };
        match batches.iter_mut().find(has_room) {
            Some(batch) => batch.push(parcel),
            None => batches.push(vec![parcel]),
        }
    }
    let (mut batches, few): (Vec<_>, Vec<_>) = batches.into_iter().partition(|batch| saves(batch));
    batches.iter_mut().flatten().for_each(settle_only);
    others.extend(few.into_iter().flatten());
    others.sort_by_key(|parcel| parcel.order);
    (batches, others)
}

/// The transaction that settles all of a batch.
pub(super) fn draft(batch: &[Parcel], operator: Option<&OperatorKey>) -> Result<Draft, SettlerError> {
    let kind = SubmissionKind::Settle;
    let refused = |reason: String| SettlerError::Build { what: kind.as_str(), reason };
    let operator = operator.ok_or_else(|| refused("the operator's key is not ours".to_owned()))?;
    let effects: Vec<Effect> =
        batch.iter().flat_map(|parcel| parcel.drafts[0].intent.effects.clone()).collect();
    let targets = batch.iter().filter_map(|parcel| Some((parcel.record.id, parcel.target?))).collect();
    let voucher = BatchVoucher::new(*program(&batch[0]), targets, 0);
    let signed = operator.sign_batch(voucher.map_err(|error| refused(error.to_string()))?);
    let instructions = vec![ed25519_verify_batch(&signed), settle_batch(&signed.batch)];
    Ok(Draft { intent: Intent { kind, effects }, instructions })
}

fn program(parcel: &Parcel) -> &solana_pubkey::Pubkey {
    &parcel.record.agreement.program
}

/// Whether a transaction of their own, with the batch's signature, takes fewer signatures than their vouchers: those of
/// channels that close would go into transactions that are needed anyway.
fn saves(batch: &[Parcel]) -> bool {
    let settles = batch.iter().filter(|parcel| parcel.kind() == SubmissionKind::Settle).count();
    let vouchers = batch.len() + usize::from(settles > 0);
    vouchers > 2
}

/// Leaves everything but settling for later.
fn settle_only(parcel: &mut Parcel) {
    let effect = Effect { publishes: parcel.target, ..Effect::on(parcel.record.id) };
    let intent = Intent::of(SubmissionKind::Settle, effect);
    parcel.drafts = vec![Draft { intent, instructions: Vec::new() }];
    parcel.is_batched = true;
}

/// Most channels of a batch that one transaction holds.
fn most(format: Format, empty: &Load) -> usize {
    let key = OperatorKey::from_secret(&[1; 32]);
    let channels: Vec<_> =
        (1..=MAX_BATCH as u8).map(|byte| (ChannelId::new([byte; 32]), Amount::new(1))).collect();
    let fits = |count: usize| {
        let batch = BatchVoucher::new(PROGRAM_ID, channels[..count].to_vec(), 0).ok()?;
        let signed = key.sign_batch(batch);
        empty
            .with(&[ed25519_verify_batch(&signed), settle_batch(&signed.batch)])
            .fits(format)
            .then_some(count)
    };
    // What a batch takes grows with its channels.
    let (mut fitting, mut too_many) = (0, MAX_BATCH + 1);
    while too_many - fitting > 1 {
        let middle = fitting.midpoint(too_many);
        match fits(middle) {
            Some(count) => fitting = count,
            None => too_many = middle,
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::transaction::{Budget, MAX_COMPUTE_UNITS};

    #[test]
    fn a_batch_holds_as_many_channels_as_the_format_has_room_for() {
        let fee_payer = OperatorKey::from_secret(&[1; 32]).pubkey();
        for (format, price, expected) in
            [(Format::V0, 0, 18), (Format::V0, 1, 18), (Format::V1, 0, 59), (Format::V1, 1, 59)]
        {
            let budget = Budget { units: MAX_COMPUTE_UNITS, price };
            let empty = Load::of(&fee_payer, &budget.instructions());
            assert_eq!(most(format, &empty), expected, "{format:?} {price}");
        }
    }
}
