//! The vouchers of one transaction, decided together.
//!
//! A group is written in as few statements as it takes: a channel's row once, however many of its vouchers are in the
//! group, and nothing is read that the book knows. What the book says is a guess. It may lead to vouchers being
//! accepted, by a statement that changes the row only if it is what was guessed; nothing else is decided on it.

use std::collections::HashMap;

use toll_protocol::{ChannelId, SignedVoucher};

use super::change::{self, Change};
use super::{Acceptance, Charge, standings};
use crate::book::Book;
use crate::engine::{DatabaseError, Tx};
use crate::replay::{self, Place};
use crate::rules::acceptance::{Earlier, Verdict, decide};
use crate::{LedgerError, sponsor};

/// A voucher that is offered, and what for.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) signed: SignedVoucher,
    pub(crate) charge: Charge,
    /// Unix seconds.
    pub(crate) now: i64,
    /// Answers from before this, in unix seconds, are not kept.
    pub(crate) oldest: i64,
}

impl Offer {
    /// Where its charge is, or will be.
    pub(super) fn place(&self) -> Place {
        (self.signed.voucher.channel_id, self.charge.replay.key)
    }
}

/// What became of an offer, and when the channel was active by that (unix seconds), if it was.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) acceptance: Result<Acceptance, LedgerError>,
    pub(crate) active_at: Option<i64>,
}

/// What the decisions go by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Basis<'a> {
    /// The book, as far as it suffices.
    Book(&'a Book),
    /// The rows alone.
    Rows,
}

/// The offers of one channel, in order.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    pub(super) id: ChannelId,
    /// Where each is among all that are offered.
    pub(super) places: Vec<usize>,
    pub(super) offers: Vec<&'a Offer>,
}

/// Decides on `offers` and writes what they change. Offers of one channel are taken in order.
///
/// `None`: the book led astray. Take everything back that this has written, as after an error, and go by the rows.
pub(crate) fn accept_all(
    tx: &Tx,
    basis: Basis<'_>,
    offers: &[&Offer],
) -> Result<Option<Vec<Outcome>>, LedgerError> {
    let funded = sponsor::find(tx)?.is_none_or(|sponsor| sponsor.vouchers);
    let mut outcomes: Vec<Option<Outcome>> = offers.iter().map(|_| None).collect();
    let (mut guessed, mut changes, mut on_rows) = (Vec::new(), Vec::new(), Vec::new());
    for queue in by_channel(offers) {
        let guess = match basis {
            Basis::Book(book) if funded => book.standing(&queue.id),
            _ => None,
        };
        match guess.and_then(|guess| Change::of_all(queue.id, guess, &queue.offers)) {
            Some(change) => {
                guessed.push(queue);
                changes.push(change);
            }
            None => on_rows.push(queue),
        }
    }
    let written = change::carry_out(tx, &changes)?;
    if written.repeats {
        // A repeat under a voucher that would pay. It is charged nothing, nor do those after it build on it.
        return Ok(None);
    }
    for ((queue, change), held) in guessed.into_iter().zip(&changes).zip(written.held) {
        if held {
            for (outcome, place) in change.outcomes().zip(&queue.places) {
                outcomes[*place] = Some(outcome);
            }
        } else {
            on_rows.push(queue);
        }
    }
    accept_on_rows(tx, &on_rows, funded, &mut outcomes)?;
    Ok(Some(outcomes.into_iter().flatten().collect()))
}

/// The offers of each channel, by its address: two processes that write the same rows do so in the same order.
pub(super) fn by_channel<'a>(offers: &[&'a Offer]) -> Vec<Queue<'a>> {
    let mut queues: Vec<Queue<'a>> = Vec::with_capacity(offers.len());
    let mut known: HashMap<ChannelId, usize> = HashMap::with_capacity(offers.len());
    for (place, offer) in offers.iter().enumerate() {
        let id = offer.signed.voucher.channel_id;
        let at = *known.entry(id).or_insert_with(|| {
            queues.push(Queue { id, places: Vec::new(), offers: Vec::new() });
            queues.len() - 1
        });
        queues[at].places.push(place);
        queues[at].offers.push(offer);
    }
    queues.sort_unstable_by(|one, other| one.id.as_bytes().cmp(other.id.as_bytes()));
    queues
}

/// Decides on offers by the rows of their channels.
pub(super) fn accept_on_rows(
    tx: &Tx,
    queues: &[Queue<'_>],
    funded: bool,
    outcomes: &mut [Option<Outcome>],
) -> Result<(), LedgerError> {
    if queues.is_empty() {
        return Ok(());
    }
    let standings = standings(tx, queues.iter().map(|queue| &queue.id))?;
    let offered = || queues.iter().flat_map(|queue| &queue.offers);
    let places = offered().map(|offer| (offer.place(), offer.oldest));
    let mut charged: HashMap<Place, Earlier> = replay::find_all(tx, places)?;
    let mut changes = Vec::with_capacity(queues.len());
    for queue in queues {
        let mut change = standings.get(&queue.id).map(|known| Change::new(queue.id, *known));
        for (offer, place) in queue.offers.iter().zip(&queue.places) {
            let Offer { signed, charge, now, .. } = offer;
            let earlier = charged.get(&offer.place()).cloned();
            let known = change.as_ref().map(Change::standing);
            let acceptance = match (decide(known, signed, charge, earlier, funded, *now), &mut change) {
                (Verdict::Raise(raise), Some(change)) => {
                    charged.insert(offer.place(), replay::entered(&queue.id, charge, &raise.to, *now));
                    outcomes[*place] = Some(change.add(raise, offer));
                    continue;
                }
                (Verdict::Refuse(refusal), _) => Ok(refusal),
                (Verdict::ForeignSigner, _) => Err(LedgerError::ForeignSigner(queue.id)),
                (Verdict::Raise(_), None) => Ok(Acceptance::Unknown),
            };
            outcomes[*place] = Some(Outcome { acceptance, active_at: None });
        }
        changes.extend(change.filter(|change| !change.is_empty()));
    }
    let written = change::carry_out(tx, &changes)?;
    // The rule and the statements say the same; should they ever differ, nothing is accepted.
    if written.repeats || written.held.contains(&false) {
        return Err(DatabaseError::changed_rows(0).into());
    }
    Ok(())
}
