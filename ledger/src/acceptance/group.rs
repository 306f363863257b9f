//! The vouchers of one transaction, decided together.
//!
//! A group is written in as few statements as it takes: a channel's row once, however many of its vouchers are in the
//! group, and nothing is read that the book knows. What the book says is a guess. It may lead to vouchers being
//! accepted, by a statement that changes the row only if it is what was guessed; nothing else is decided on it.

use std::collections::HashMap;

use toll_protocol::{Amount, ChannelId, SignedVoucher};

use super::{Acceptance, Charge, standing};
use crate::book::Book;
use crate::column::amount;
use crate::engine::{DatabaseError, Tx, params};
use crate::rules::acceptance::{Raise, Standing, Verdict, decide};
use crate::rules::retention::retain;
use crate::{LedgerError, Watermarks, replay, sponsor, voucher};

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
    let mut on_rows = Vec::new();
    for places in by_channel(offers) {
        let of_channel: Vec<&Offer> = places.iter().map(|place| offers[*place]).collect();
        let guess = match basis {
            Basis::Book(book) if funded => book.standing(&of_channel[0].signed.voucher.channel_id),
            _ => None,
        };
        let Some(change) = guess.and_then(|guess| Change::of_all(guess, &of_channel)) else {
            on_rows.push(places);
            continue;
        };
        if !change.carry_out(tx)? {
            on_rows.push(places);
            continue;
        }
        for (raised, offer) in change.raised.iter().zip(&of_channel) {
            if !replay::enter(tx, &change.id, &offer.charge, &raised.raise.to, offer.now)? {
                // A repeat under a voucher that would pay. It is charged nothing, nor do those after it build on it.
                return Ok(None);
            }
        }
        for (raised, place) in change.raised.iter().zip(&places) {
            outcomes[*place] = Some(raised.outcome(&change.before));
        }
    }
    for places in on_rows {
        let of_channel: Vec<&Offer> = places.iter().map(|place| offers[*place]).collect();
        for (outcome, place) in accept_on_row(tx, &of_channel, funded)?.into_iter().zip(&places) {
            outcomes[*place] = Some(outcome);
        }
    }
    Ok(Some(outcomes.into_iter().flatten().collect()))
}

/// The places of the offers of each channel, in order.
fn by_channel(offers: &[&Offer]) -> Vec<Vec<usize>> {
    let mut channels: Vec<Vec<usize>> = Vec::with_capacity(offers.len());
    let mut known: HashMap<ChannelId, usize> = HashMap::with_capacity(offers.len());
    for (place, offer) in offers.iter().enumerate() {
        let at = *known.entry(offer.signed.voucher.channel_id).or_insert_with(|| {
            channels.push(Vec::new());
            channels.len() - 1
        });
        channels[at].push(place);
    }
    channels
}

/// Decides on the offers of one channel by its row.
fn accept_on_row(tx: &Tx, offers: &[&Offer], funded: bool) -> Result<Vec<Outcome>, LedgerError> {
    let id = offers[0].signed.voucher.channel_id;
    let known = standing(tx, &id)?;
    let mut change = known.map(|known| Change::new(id, known));
    let mut outcomes = Vec::with_capacity(offers.len());
    for offer in offers {
        let Offer { signed, charge, now, oldest } = offer;
        let earlier = replay::find(tx, &charge.replay.key, *oldest)?;
        let known = change.as_ref().map(|change| &change.after);
        let acceptance = match (decide(known, signed, charge, earlier, funded, *now), &mut change) {
            (Verdict::Raise(raise), Some(change)) => {
                replay::enter(tx, &id, charge, &raise.to, *now)?;
                outcomes.push(change.add(raise, offer).outcome(&change.before));
                continue;
            }
            (Verdict::Refuse(refusal), _) => Ok(refusal),
            (Verdict::ForeignSigner, _) => Err(LedgerError::ForeignSigner(id)),
            (Verdict::Raise(_), None) => Ok(Acceptance::Unknown),
        };
        outcomes.push(Outcome { acceptance, active_at: None });
    }
    // The rule and the statement say the same; should they ever differ, nothing is accepted.
    match change {
        Some(change) if !change.carry_out(tx)? => Err(DatabaseError::changed_rows(0).into()),
        _ => Ok(outcomes),
    }
}

/// What a group changes of one channel.
#[derive(Debug)]
struct Change {
    id: ChannelId,
    before: Standing,
    after: Standing,
    raised: Vec<Raised>,
}

/// A voucher that raises the channel.
#[derive(Clone, Debug)]
struct Raised {
    raise: Raise,
    signed: SignedVoucher,
    at: i64,
}

impl Raised {
    fn outcome(&self, standing: &Standing) -> Outcome {
        let acceptance = Ok(standing.accepted(&self.raise, self.at));
        Outcome { acceptance, active_at: self.raise.active_at }
    }
}

impl Change {
    fn new(id: ChannelId, before: Standing) -> Self {
        Self { id, before, after: before, raised: Vec::new() }
    }

    /// What all of `offers` change, if each of them is accepted on `guess` as a new request.
    fn of_all(guess: Standing, offers: &[&Offer]) -> Option<Self> {
        let mut change = Self::new(offers[0].signed.voucher.channel_id, guess);
        for offer in offers {
            match decide(Some(&change.after), &offer.signed, &offer.charge, None, true, offer.now) {
                Verdict::Raise(raise) => change.add(raise, offer),
                Verdict::Refuse(_) | Verdict::ForeignSigner => return None,
            };
        }
        Some(change)
    }

    fn add(&mut self, raise: Raise, offer: &Offer) -> Raised {
        self.after = self.after.after(&raise);
        let raised = Raised { raise, signed: offer.signed.clone(), at: offer.now };
        self.raised.push(raised.clone());
        raised
    }

    /// Writes the row and its vouchers. False, and nothing is written, when the row is not what this was decided on.
    fn carry_out(&self, tx: &Tx) -> Result<bool, LedgerError> {
        let Some(first) = self.raised.first() else { return Ok(true) };
        let active_at = self.raised.iter().filter_map(|raised| raised.raise.active_at).max();
        let lowest = first.signed.voucher.cumulative_amount;
        let (from, to) = (&self.before.watermarks, &self.after.watermarks);
        if !raise_row(tx, &self.id, from, to, lowest, active_at)? {
            return Ok(false);
        }
        let mut vouchers: Vec<&Raised> = self.raised.iter().collect();
        retain(&mut vouchers, |raised| &raised.signed.voucher, to.spent);
        for raised in vouchers {
            voucher::store(tx, &raised.signed, raised.at)?;
        }
        voucher::prune(tx, &self.id, to.spent)?;
        Ok(true)
    }
}

/// Raises an open channel's amounts by vouchers of which the lowest is for `lowest`, if they are `from`.
fn raise_row(
    tx: &Tx,
    id: &ChannelId,
    from: &Watermarks,
    to: &Watermarks,
    lowest: Amount,
    active_at: Option<i64>,
) -> Result<bool, LedgerError> {
    let raised = tx.execute(
        "-- accept_vouchers
        UPDATE channels
           SET accepted = ?2, spent = ?3, last_activity_at = max(last_activity_at, ?4)
         WHERE channel_id = ?1 AND state = 'open' AND closure_started_at IS NULL
           AND deposit = ?5 AND accepted = ?6 AND spent = ?7 AND settled = ?8 AND payout_watermark = ?9
           AND sent_cumulative < ?10",
        params![
            id.as_bytes(),
            amount(to.accepted)?,
            amount(to.spent)?,
            active_at.unwrap_or(i64::MIN),
            amount(from.deposit)?,
            amount(from.accepted)?,
            amount(from.spent)?,
            amount(from.settled)?,
            amount(from.payout_watermark)?,
            amount(lowest)?,
        ],
    )?;
    Ok(raised == 1)
}
