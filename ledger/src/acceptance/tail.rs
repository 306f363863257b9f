//! The tail: vouchers that are accepted, on disk in the order in which they came, and not in the rows yet.
//!
//! A group of vouchers is one row of the table `tail`, however many channels it is of, and that row is what their
//! callers wait for. The rows of channels, vouchers and requests follow: they are *posted*, a channel at a time with
//! all that came for it since, when the writer has nothing better to do.
//!
//! The rows and the tail behind them are the ledger, so whoever reads or writes rows posts the whole tail first, and
//! what is in memory here is only what is on disk. Another process that has written rows has posted the tail before;
//! when one has written anything, and after anything that went wrong, the memory is thrown away and the tail is read from
//! disk. An entry that is in the rows already is known by its amount: the row has it, or a greater one.
//!
//! SQLite only: a server has its own log, and other writers between one group and the next.

mod entry;

use std::collections::{HashMap, HashSet, VecDeque};

use toll_protocol::{Amount, ChannelId};

use super::change::{self, Change};
use super::group::{Offer, Outcome, Queue, accept_on_rows, by_channel};
use super::standings;
use crate::engine::{DatabaseError, Tx, params};
use crate::replay::{self, Place};
use crate::rules::acceptance::{Raise, Standing};
use crate::{LedgerError, Watermarks, sponsor};

/// Entries above which channels are posted while nobody waits.
const MANY: usize = 4_096;

/// Entries above which channels are posted although somebody waits.
const TOO_MANY: usize = 16_384;

/// Entries that are posted at a time, or twice what the last group brought if that is more: bounds how long the next
/// voucher waits for that, and keeps up.
const FEW: usize = 64;

/// Standings remembered of channels without entries.
const STANDINGS: usize = 65_536;

/// What the writer knows of the tail.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    known: Option<Known>,
    /// Whether the rows are whole until the transaction ends, and must stay so.
    is_posted: bool,
}

/// What is on disk, as long as nobody else writes.
#[derive(Debug)]
struct Known {
    /// The database's word for what others have written.
    version: i64,
    /// The number of the last group.
    last: i64,
    pending: HashMap<ChannelId, Pending>,
    /// The channels of `pending` by their first group. One that is out of date is passed over.
    order: VecDeque<(i64, ChannelId)>,
    /// The requests in the tail.
    keys: HashSet<Place>,
    /// Channels without entries: what their rows say.
    standings: HashMap<ChannelId, Standing>,
}

/// What the tail has of one channel.
#[derive(Debug)]
struct Pending {
    /// The group of the first entry.
    first: i64,
    /// What the row says.
    before: Standing,
    after: Standing,
    entries: Vec<(Raise, Offer)>,
}

impl Tail {
    /// Begins a transaction, before anything else in it. With `rows` the whole tail is posted, for what is read or
    /// written in it.
    pub(crate) fn begin(&mut self, tx: &Tx, rows: bool) -> Result<(), LedgerError> {
        let version = tx.version()?;
        let known = match &mut self.known {
            Some(known) if known.version == version => known,
            known => known.insert(Known::recover(tx, version)?),
        };
        if rows {
            known.post_all(tx)?;
            known.standings.clear();
        }
        self.is_posted = rows;
        Ok(())
    }

    /// Forgets everything: a transaction was taken back, or a part of it.
    pub(crate) fn forget(&mut self) {
        self.known = None;
    }

    /// Decides on `offers` and writes those that are accepted behind the tail. `None` in a transaction in which the
    /// rows must stay whole.
    pub(crate) fn accept(&mut self, tx: &Tx, offers: &[&Offer]) -> Result<Option<Vec<Outcome>>, LedgerError> {
        match &mut self.known {
            Some(known) if !self.is_posted => known.accept(tx, offers).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether it is time to post a few channels, while the writer `is_idle` or not.
    pub(crate) fn is_long(&self, is_idle: bool) -> bool {
        let most = if is_idle { MANY } else { TOO_MANY };
        self.known.as_ref().is_some_and(|known| known.keys.len() > most)
    }

    /// Whether anything is left to post.
    pub(crate) fn has_entries(&self) -> bool {
        self.known.as_ref().is_some_and(|known| !known.keys.is_empty())
    }

    /// Posts the channels that have waited longest, in a transaction of its own: more than the `company` entries of the
    /// last group.
    pub(crate) fn post_some(&mut self, tx: &Tx, company: usize) -> Result<(), LedgerError> {
        self.known.as_mut().map_or(Ok(()), |known| known.post_oldest(tx, FEW.max(company * 2)))
    }

    /// Posts every channel.
    pub(crate) fn post_all(&mut self, tx: &Tx) -> Result<(), LedgerError> {
        self.known.as_mut().map_or(Ok(()), |known| known.post_all(tx))
    }
}

impl Known {
    /// Reads the tail that is on disk, whoever wrote it. Nothing is written, so that a disk that is full refuses vouchers
    /// and nothing else.
    fn recover(tx: &Tx, version: i64) -> Result<Self, LedgerError> {
        let mut known = Self {
            version,
            last: 0,
            pending: HashMap::new(),
            order: VecDeque::new(),
            keys: HashSet::new(),
            standings: HashMap::new(),
        };
        let groups = tx.all("-- tail\nSELECT seq, entries FROM tail ORDER BY seq", &[], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        for (seq, entries) in groups {
            known.last = seq;
            for entry in entry::read(&entries)? {
                known.recall(tx, &entry)?;
            }
        }
        Ok(known)
    }

    fn recall(&mut self, tx: &Tx, entry: &entry::Entry) -> Result<(), LedgerError> {
        let Offer { signed, charge, now, .. } = &entry.offer;
        let (id, accepted) = (signed.voucher.channel_id, signed.voucher.cumulative_amount);
        let standing = self.standing(tx, &id)?.ok_or(LedgerError::UnknownChannel(id))?;
        if accepted <= standing.watermarks.accepted {
            return Ok(());
        }
        let from = standing.watermarks;
        let active_at = (charge.cost != Amount::ZERO).then_some(*now);
        let raise = Raise { from, to: Watermarks { accepted, spent: entry.spent, ..from }, active_at };
        let mut change = Change::new(id, standing);
        change.add(raise, &entry.offer);
        self.add(id, standing, &change);
        Ok(())
    }

    /// Where the channel stands, entries included.
    fn standing(&mut self, tx: &Tx, id: &ChannelId) -> Result<Option<Standing>, LedgerError> {
        if let Some(pending) = self.pending.get(id) {
            return Ok(Some(pending.after));
        }
        if let Some(known) = self.standings.get(id) {
            return Ok(Some(*known));
        }
        let read = standings(tx, std::iter::once(id))?.remove(id);
        if let Some(read) = read {
            self.remember(*id, read);
        }
        Ok(read)
    }

    fn remember(&mut self, id: ChannelId, standing: Standing) {
        if self.standings.len() >= STANDINGS {
            self.standings.clear();
        }
        self.standings.insert(id, standing);
    }

    /// Adds to the tail's end what vouchers change of a channel that stands at `before`.
    fn add(&mut self, id: ChannelId, before: Standing, change: &Change<'_>) {
        let entries = change.raised().map(|(raise, offer)| (*raise, (*offer).clone()));
        self.keys.extend(change.raised().map(|(_, offer)| offer.place()));
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.after = *change.standing();
            pending.entries.extend(entries);
        } else {
            self.standings.remove(&id);
            self.order.push_back((self.last, id));
            let entries = entries.collect();
            self.pending.insert(id, Pending { first: self.last, before, after: *change.standing(), entries });
        }
    }

    fn accept(&mut self, tx: &Tx, offers: &[&Offer]) -> Result<Vec<Outcome>, LedgerError> {
        let funded = sponsor::find(tx)?.is_none_or(|sponsor| sponsor.vouchers);
        let mut outcomes: Vec<Option<Outcome>> = offers.iter().map(|_| None).collect();
        let (mut on_rows, mut entries) = (Vec::new(), Vec::new());
        self.last += 1;
        for queue in by_channel(offers) {
            let standing = self.standing(tx, &queue.id)?;
            let change = match standing {
                Some(standing) if funded && self.are_new(tx, &queue.offers)? => {
                    Change::of_all(queue.id, standing, &queue.offers).map(|change| (standing, change))
                }
                _ => None,
            };
            let Some((before, change)) = change else {
                on_rows.push(queue);
                continue;
            };
            for (raise, offer) in change.raised() {
                entry::write(&mut entries, offer, raise.to.spent);
            }
            for (outcome, place) in change.outcomes().zip(&queue.places) {
                outcomes[*place] = Some(outcome);
            }
            self.add(queue.id, before, &change);
        }
        if !entries.is_empty() {
            tx.execute("-- accept_group\nINSERT INTO tail VALUES (?1, ?2)", params![self.last, entries])?;
        }
        self.make_whole(tx, &on_rows)?;
        accept_on_rows(tx, &on_rows, funded, &mut outcomes)?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Posts what decisions on the rows of `queues` depend on: these channels, and whoever has one of the keys.
    fn make_whole(&mut self, tx: &Tx, queues: &[Queue<'_>]) -> Result<(), LedgerError> {
        let mut offers = queues.iter().flat_map(|queue| &queue.offers);
        if offers.any(|offer| self.keys.contains(&offer.place())) {
            self.post_all(tx)?;
        }
        let channels: Vec<ChannelId> = queues.iter().map(|queue| queue.id).collect();
        self.post(tx, &channels)?;
        for id in &channels {
            self.standings.remove(id);
        }
        Ok(())
    }

    /// Whether nothing was charged under the keys of `offers`. A key that is made of its voucher is new as long as the
    /// voucher is, and that is asked anyway.
    fn are_new(&self, tx: &Tx, offers: &[&Offer]) -> Result<bool, LedgerError> {
        for (nth, offer) in offers.iter().enumerate().filter(|(_, offer)| !offer.charge.is_of_voucher) {
            let place = offer.place();
            let is_known = offers[..nth].iter().any(|earlier| earlier.place() == place)
                || self.keys.contains(&place)
                || replay::is_known(tx, &place)?;
            if is_known {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn post_all(&mut self, tx: &Tx) -> Result<(), LedgerError> {
        self.post_oldest(tx, usize::MAX)
    }

    /// Posts channels until that is `count` entries, and deletes the groups of which nothing is left to post.
    fn post_oldest(&mut self, tx: &Tx, count: usize) -> Result<(), LedgerError> {
        let (mut channels, mut entries) = (Vec::new(), 0);
        while entries < count
            && let Some((first, id)) = self.order.pop_front()
        {
            if let Some(pending) = self.pending.get(&id).filter(|pending| pending.first == first) {
                entries += pending.entries.len();
                channels.push(id);
            }
        }
        let posted = self.take(&channels);
        let is_stale = |(first, id): &(i64, ChannelId)| {
            self.pending.get(id).is_none_or(|pending| pending.first != *first)
        };
        while self.order.front().is_some_and(is_stale) {
            self.order.pop_front();
        }
        let first = self.order.front().map_or(i64::MAX, |(first, _)| *first);
        // What goes makes room for what comes: a disk that is full need not grow for it.
        tx.execute("-- forget_posted\nDELETE FROM tail WHERE seq < ?1", params![first])?;
        self.write(tx, posted)
    }

    fn post(&mut self, tx: &Tx, channels: &[ChannelId]) -> Result<(), LedgerError> {
        let posted = self.take(channels);
        self.write(tx, posted)
    }

    fn take(&mut self, channels: &[ChannelId]) -> Vec<(ChannelId, Pending)> {
        channels.iter().filter_map(|id| Some((*id, self.pending.remove(id)?))).collect()
    }

    fn write(&mut self, tx: &Tx, mut posted: Vec<(ChannelId, Pending)>) -> Result<(), LedgerError> {
        // Neighbours share pages.
        posted.sort_unstable_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
        let changes = posted.iter().map(|(id, pending)| {
            let mut change = Change::new(*id, pending.before);
            for (raise, offer) in &pending.entries {
                change.add(*raise, offer);
            }
            change
        });
        let written = change::carry_out(tx, &changes.collect::<Vec<_>>())?;
        // Nothing but this writes the rows as long as there are entries for them.
        if written.repeats || written.held.contains(&false) {
            return Err(DatabaseError::changed_rows(0).into());
        }
        for (id, Pending { after, entries, .. }) in posted {
            for (_, offer) in &entries {
                self.keys.remove(&offer.place());
            }
            self.remember(id, after);
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
