//! What this process knows of the channels it serves, in memory and bounded.
//!
//! Whoever serves a request reads this and nothing else. Other processes write the database, too, so the book may be
//! behind it, and two laws follow. It admits and never refuses: before anybody is told no, the row is read anew
//! ([`Ledger::reload`]). And it is never trusted for money: what it says is decided on again, on the row itself, by the
//! transaction that changes it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use toll_protocol::{ChannelId, VoucherKey};

use crate::rules::acceptance::Standing;
use crate::{ChannelRecord, ChannelState, Ledger, LedgerError, Watermarks, channel};

/// A channel as this process knows it.
#[derive(Clone, Debug)]
pub struct BookedChannel {
    /// The row as it was read, with the amounts as this process has raised them since.
    pub record: ChannelRecord,
    key: Option<VoucherKey>,
    follows: bool,
}

impl BookedChannel {
    fn new(record: ChannelRecord) -> Self {
        Self {
            key: VoucherKey::new(&record.agreement.terms.authorized_signer),
            follows: record.agreement.terms.address(&record.agreement.program).0 == record.id,
            record,
        }
    }

    /// The authorized signer, ready to verify with; `None` when nobody can sign for it.
    pub const fn key(&self) -> Option<&VoucherKey> {
        self.key.as_ref()
    }

    /// Whether the channel's address follows from its terms: derived when the row was read, never believed.
    pub const fn follows_from_its_terms(&self) -> bool {
        self.follows
    }
}

/// A channel, and how sure that is.
#[derive(Clone, Debug)]
pub struct Booked {
    /// The channel.
    pub channel: Arc<BookedChannel>,
    /// Whether its row was read just now. If not, refuse nothing on it before [`Ledger::reload`].
    pub is_fresh: bool,
}

/// The channels in memory, the one that was longest without a request going first.
#[derive(Debug)]
pub(crate) struct Book {
    /// Most channels.
    most: usize,
    /// By the beginning of the address, which is a digest. Two that begin alike take turns, and cost reads.
    channels: Mutex<LruCache<[u8; 8], Arc<BookedChannel>>>,
    /// Up to when forced closes have been looked for, in unix seconds, as far as this process knows. Never goes back.
    observed_at: AtomicI64,
}

impl Book {
    /// A book of up to `most` channels.
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most: most as usize,
            channels: Mutex::new(LruCache::unbounded()),
            observed_at: AtomicI64::new(i64::MIN),
        }
    }

    fn find(&self, id: &ChannelId) -> Option<Arc<BookedChannel>> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.get(&place(id)).filter(|channel| channel.record.id == *id).cloned()
    }

    /// What its vouchers are decided on, as far as this process knows.
    pub(crate) fn standing(&self, id: &ChannelId) -> Option<Standing> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let record = &channels.peek(&place(id)).filter(|channel| channel.record.id == *id)?.record;
        Some(Standing {
            state: record.state,
            closure_started_at: record.closure_started_at,
            authorized_signer: record.agreement.terms.authorized_signer,
            idle_timeout: record.idle_timeout,
            watermarks: record.watermarks,
            sent: record.sent,
        })
    }

    /// Enters what was read of a channel. Only open ones are worth their place.
    fn enter(&self, channel: &Arc<BookedChannel>) {
        let id = channel.record.id;
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if channel.record.state == ChannelState::Open {
            channels.put(place(&id), Arc::clone(channel));
            while channels.len() > self.most {
                channels.pop_lru();
            }
        } else {
            channels.pop(&place(&id));
        }
    }

    fn forget(&self, id: &ChannelId) {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).pop(&place(id));
    }

    /// Enters amounts that are durable, and when the channel was active by that (unix seconds), if it was.
    pub(crate) fn raise(&self, id: &ChannelId, to: &Watermarks, active_at: Option<i64>) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(channel) = channels.peek_mut(&place(id)) else { return };
        if channel.record.id == *id && to.accepted > channel.record.watermarks.accepted {
            let record = &mut Arc::make_mut(channel).record;
            record.watermarks = *to;
            record.last_activity_at = record.last_activity_at.max(active_at.unwrap_or(i64::MIN));
        }
    }

    /// Enters amounts that are durable, of a charge that raised nothing, unless newer ones are known.
    pub(crate) fn correct(&self, id: &ChannelId, to: &Watermarks) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(channel) = channels.peek_mut(&place(id)) else { return };
        let known = &channel.record.watermarks;
        if channel.record.id == *id && to.accepted >= known.accepted && to.spent >= known.spent {
            Arc::make_mut(channel).record.watermarks = *to;
        }
    }

    /// Enters up to when forced closes have been looked for, in unix seconds.
    pub(crate) fn observe(&self, at: i64) {
        self.observed_at.fetch_max(at, Ordering::Relaxed);
    }

    fn observed_at(&self) -> Option<i64> {
        Some(self.observed_at.load(Ordering::Relaxed)).filter(|at| *at != i64::MIN)
    }

    #[cfg(all(test, feature = "testing"))]
    pub(crate) fn len(&self) -> usize {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn place(id: &ChannelId) -> [u8; 8] {
    *id.as_bytes().first_chunk().expect("32 bytes begin with 8")
}

impl Ledger {
    /// The channel, if the ledger has it: from memory when it is in the book, else from its row, which may be behind as
    /// well: vouchers that were accepted lately are not in it yet.
    pub async fn booked(&self, id: &ChannelId) -> Result<Option<Booked>, LedgerError> {
        if let Some(channel) = self.book().find(id) {
            return Ok(Some(Booked { channel, is_fresh: false }));
        }
        let of = *id;
        let record = self.read_beside("booked", move |tx| Ok(channel::find(tx, &of)?)).await?;
        let Some(record) = record else { return Ok(None) };
        let channel = Arc::new(BookedChannel::new(record));
        self.book().enter(&channel);
        Ok(Some(Booked { channel, is_fresh: false }))
    }

    /// The channel as its row says now, if the ledger has it; the book has it from here on.
    pub async fn reload(&self, id: &ChannelId) -> Result<Option<Booked>, LedgerError> {
        let Some(record) = self.channel(id).await? else {
            self.book().forget(id);
            return Ok(None);
        };
        let channel = Arc::new(BookedChannel::new(record));
        self.book().enter(&channel);
        Ok(Some(Booked { channel, is_fresh: true }))
    }

    /// Up to when forced closes have been looked for at least, in unix seconds, as far as this process knows. For
    /// certain: [`Ledger::channels_observed_at`].
    pub fn known_observed_at(&self) -> Option<i64> {
        self.book().observed_at()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
