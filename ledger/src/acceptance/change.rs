//! What a group of vouchers changes, and how that is written: in a few statements over all of it.

use toll_protocol::ChannelId;

use super::group::{Offer, Outcome};
use crate::column::amount;
use crate::engine::{Given, Tx, Value};
use crate::rules::acceptance::{Raise, Standing, Verdict, decide};
use crate::rules::retention::retain;
use crate::{LedgerError, replay, voucher};

/// Raises an open channel's amounts by vouchers of which the lowest is for `?10`, if they are what this was decided on.
/// The state is asked for in a way that no index answers: a server that has not counted its rows yet would look for each
/// channel among all that are open.
const RAISE: &str = "-- accept_vouchers
    UPDATE channels
       SET accepted = ?2, spent = ?3, last_activity_at = max(last_activity_at, ?4)
     WHERE channel_id = ?1 AND state || '' = 'open' AND closure_started_at IS NULL
       AND deposit = ?5 AND accepted = ?6 AND spent = ?7 AND settled = ?8 AND payout_watermark = ?9
       AND sent_cumulative < ?10 AND earmarked = ?11";

/// What vouchers change of one channel.
#[derive(Debug)]
pub(super) struct Change<'a> {
    id: ChannelId,
    before: Standing,
    after: Standing,
    raised: Vec<(Raise, &'a Offer)>,
}

impl<'a> Change<'a> {
    pub(super) fn new(id: ChannelId, before: Standing) -> Self {
        Self { id, before, after: before, raised: Vec::new() }
    }

    /// What all of `offers` change, if each of them is accepted on `guess` as a new request.
    pub(super) fn of_all(id: ChannelId, guess: Standing, offers: &[&'a Offer]) -> Option<Self> {
        let mut change = Self::new(id, guess);
        for offer in offers {
            match decide(Some(&change.after), &offer.signed, &offer.charge, None, true, offer.now) {
                Verdict::Raise(raise) => change.add(raise, offer),
                Verdict::Refuse(_) | Verdict::ForeignSigner => return None,
            };
        }
        Some(change)
    }

    /// Adds a voucher that is accepted after those before it.
    pub(super) fn add(&mut self, raise: Raise, offer: &'a Offer) -> Outcome {
        self.after = self.after.after(&raise);
        self.raised.push((raise, offer));
        self.outcome(&raise, offer)
    }

    /// The channel as it is after all that was added.
    pub(super) fn standing(&self) -> &Standing {
        &self.after
    }

    /// What each voucher raises, in order.
    pub(super) fn raised(&self) -> impl Iterator<Item = &(Raise, &'a Offer)> {
        self.raised.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.raised.is_empty()
    }

    /// What whoever offered the vouchers is told, in order.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.raised.iter().map(|(raise, offer)| self.outcome(raise, offer))
    }

    fn outcome(&self, raise: &Raise, offer: &Offer) -> Outcome {
        Outcome { acceptance: Ok(self.before.accepted(raise, offer.now)), active_at: raise.active_at }
    }

    /// The parameters of [`RAISE`].
    fn row(&self) -> Result<[Value<'_>; 11], LedgerError> {
        let (from, to) = (&self.before.watermarks, &self.after.watermarks);
        let active_at = self.raised.iter().filter_map(|(raise, _)| raise.active_at).max();
        let lowest = self.raised.first().map_or(to.accepted, |(raise, _)| raise.to.accepted);
        Ok([
            Value::Bytes(self.id.as_bytes()),
            Value::Integer(amount(to.accepted)?),
            Value::Integer(amount(to.spent)?),
            Value::Integer(active_at.unwrap_or(i64::MIN)),
            Value::Integer(amount(from.deposit)?),
            Value::Integer(amount(from.accepted)?),
            Value::Integer(amount(from.spent)?),
            Value::Integer(amount(from.settled)?),
            Value::Integer(amount(from.payout_watermark)?),
            Value::Integer(amount(lowest)?),
            Value::Integer(amount(from.earmarked)?),
        ])
    }

    /// The vouchers that are worth keeping after all of them.
    fn kept(&self) -> Vec<&'a Offer> {
        let mut offers: Vec<&Offer> = self.raised.iter().map(|(_, offer)| *offer).collect();
        retain(&mut offers, |offer| &offer.signed.voucher, self.after.watermarks.spent);
        offers
    }
}

/// What became of changes.
#[derive(Debug)]
pub(super) struct Written {
    /// Of each change whether its row was what it was decided on. If not, nothing of it is written.
    pub(super) held: Vec<bool>,
    /// Whether a request was charged before under its key. Then nothing that was written may stay.
    pub(super) repeats: bool,
}

/// Writes rows, vouchers and charges: on a server in two round trips, however many they are.
pub(super) fn carry_out(tx: &Tx, changes: &[Change<'_>]) -> Result<Written, LedgerError> {
    let rows: Given<'_> = changes.iter().map(Change::row).collect::<Result<_, _>>()?;
    let held = tx.update_each(RAISE, &rows)?;
    let written = || changes.iter().zip(&held).filter(|(_, held)| **held).map(|(change, _)| change);
    let kept: Vec<&Offer> = written().flat_map(Change::kept).collect();
    let vouchers = voucher::to_store(kept.iter().map(|offer| (&offer.signed, offer.now)))?;
    let spent = voucher::to_prune(written().map(|change| (&change.id, change.after.watermarks.spent)))?;
    let charged =
        written().flat_map(|change| change.raised.iter().map(|(raise, offer)| (&change.id, raise, offer)));
    let charges =
        replay::to_enter(charged.map(|(id, raise, offer)| (id, &offer.charge, raise.to, offer.now)))?;
    let requests: usize = written().map(|change| change.raised.len()).sum();
    let touched =
        tx.execute_each(&[(voucher::STORE, &vouchers), (voucher::PRUNE, &spent), (replay::ENTER, &charges)])?;
    Ok(Written { repeats: touched.last() != Some(&requests), held })
}
