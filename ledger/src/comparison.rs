//! Which channels the settler looks at next.
//!
//! No question here costs more than its answer: what is urgent is found by an index of its own, and the rest are
//! compared with the chain in turn, the one whose turn was longest ago first.

use solana_pubkey::Pubkey;
use toll_protocol::{Amount, ChannelId, OPEN_SLOT_WINDOW};

use crate::channel::{self, ChannelRecord};
use crate::column::{Columns, amount, integer};
use crate::engine::params;
use crate::{ChannelState, Ledger, LedgerError};

pub(crate) const OLDEST_COMPARED: &str = "-- oldest_compared
    SELECT * FROM channels INDEXED BY channels_by_comparison
     WHERE state IN ('opening', 'open', 'closing') AND compared_at <= ?1
     ORDER BY compared_at LIMIT ?2";

pub(crate) const OLDEST_COMPARISON: &str = "-- oldest_comparison
    SELECT compared_at FROM channels INDEXED BY channels_by_comparison
     WHERE state IN ('opening', 'open', 'closing') ORDER BY compared_at LIMIT 1";

pub(crate) const MARK_COMPARED: &str = "-- mark_compared
    UPDATE channels SET compared_at = max(compared_at, ?2) WHERE channel_id = ?1";

/// The next payee after one; each is a step down the index, however many channels it has.
pub(crate) const NEXT_LIVE_PAYEE: &str = "-- next_live_payee
    SELECT payee FROM channels INDEXED BY channels_live_by_payee
     WHERE state IN ('opening', 'open', 'closing') AND payee > ?1 ORDER BY payee LIMIT 1";

pub(crate) const PAID_OUT: &str = "-- paid_out
    SELECT * FROM channels INDEXED BY channels_paid_out
     WHERE state = 'closed' AND open_slot < ?1 ORDER BY open_slot LIMIT ?2";

pub(crate) const FAILED_IN_WINDOW: &str = "-- failed_in_window
    SELECT * FROM channels INDEXED BY channels_failed_by_slot
     WHERE state = 'failed' AND open_slot >= ?1 ORDER BY open_slot LIMIT ?2";

pub(crate) const MOST_EXPOSED: &str = "-- most_exposed
    SELECT * FROM channels INDEXED BY channels_by_exposure
     WHERE state IN ('open', 'closing') AND accepted > settled AND accepted - settled >= ?1
     ORDER BY accepted - settled DESC LIMIT ?2";

pub(crate) const EXPIRING_VOUCHERS: &str = "-- expiring_vouchers
    SELECT channel_id, cumulative_amount FROM vouchers INDEXED BY vouchers_by_expiry
     WHERE expires_at > 0 AND expires_at > ?1 AND expires_at <= ?2
     ORDER BY expires_at LIMIT ?3";

impl Ledger {
    /// Up to `count` channels the chain may have something to say about and that were last compared with it at
    /// `before` (unix seconds) or earlier, the longest ago first.
    pub async fn oldest_compared(
        &self,
        before: i64,
        count: usize,
    ) -> Result<Vec<ChannelRecord>, LedgerError> {
        self.select("oldest_compared", OLDEST_COMPARED, before, count).await
    }

    /// When the live channel whose turn is next was last compared with the chain, in unix seconds; `None` when no
    /// channel is live.
    pub async fn oldest_comparison(&self) -> Result<Option<i64>, LedgerError> {
        self.read("oldest_comparison", |tx| Ok(tx.first(OLDEST_COMPARISON, &[], |row| row.get(0))?)).await
    }

    /// Notes that channels were compared with the chain as it was at `at` (unix seconds).
    pub async fn mark_compared(&self, channels: Vec<ChannelId>, at: i64) -> Result<(), LedgerError> {
        self.write("mark_compared", move |tx| {
            for channel in &channels {
                tx.execute(MARK_COMPARED, params![channel.as_bytes(), at])?;
            }
            Ok(())
        })
        .await
    }

    /// Those of `addresses` that are channels here which the ledger does not have as closing or over: what the
    /// chain says of them is news. Addresses that the ledger never heard of are left out.
    pub async fn not_known_to_close(
        &self,
        addresses: Vec<ChannelId>,
    ) -> Result<Vec<ChannelRecord>, LedgerError> {
        self.read("not_known_to_close", move |tx| {
            let mut news = Vec::new();
            for address in &addresses {
                let Some(record) = channel::find(tx, address)? else { continue };
                let live =
                    matches!(record.state, ChannelState::Opening | ChannelState::Open | ChannelState::Failed);
                let unseen = record.state == ChannelState::Closing && record.closure_started_at.is_none();
                if live || unseen || record.has_vanished() {
                    news.push(record);
                }
            }
            Ok(news)
        })
        .await
    }

    /// For each of `addresses` the channel there, if it is live.
    pub async fn live_among(
        &self,
        addresses: Vec<ChannelId>,
    ) -> Result<Vec<Option<ChannelRecord>>, LedgerError> {
        self.read("live_among", move |tx| {
            let find = |address| {
                let record = channel::find(tx, address)?;
                Ok(record.filter(|record| ChannelState::LIVE.contains(&record.state)))
            };
            addresses.iter().map(find).collect()
        })
        .await
    }

    /// Up to `count` payees of live channels.
    pub async fn live_payees(&self, count: usize) -> Result<Vec<Pubkey>, LedgerError> {
        self.read("live_payees", move |tx| {
            let mut payees: Vec<Pubkey> = Vec::new();
            while payees.len() < count {
                let last = payees.last().map_or(Vec::new(), |payee| payee.to_bytes().to_vec());
                match tx.first(NEXT_LIVE_PAYEE, params![last], |row| row.pubkey("payee"))? {
                    Some(payee) => payees.push(payee),
                    None => break,
                }
            }
            Ok(payees)
        })
        .await
    }

    /// Up to `count` paid-out channels whose rent may be reclaimed at `slot`, those that have waited longest first.
    pub async fn due_for_reclaim(&self, slot: u64, count: usize) -> Result<Vec<ChannelRecord>, LedgerError> {
        let until = integer(slot.saturating_sub(OPEN_SLOT_WINDOW))?;
        self.select("due_for_reclaim", PAID_OUT, until, count).await
    }

    /// Up to `count` channels whose open was given up and may still show up at `slot`.
    pub async fn failed_in_window(&self, slot: u64, count: usize) -> Result<Vec<ChannelRecord>, LedgerError> {
        let since = integer(slot.saturating_sub(OPEN_SLOT_WINDOW))?;
        self.select("failed_in_window", FAILED_IN_WINDOW, since, count).await
    }

    /// Up to `count` channels with at least `unsettled` accepted and not settled, the most exposed first.
    pub async fn most_exposed(
        &self,
        unsettled: Amount,
        count: usize,
    ) -> Result<Vec<ChannelRecord>, LedgerError> {
        let at_least = amount(unsettled)?;
        self.select("most_exposed", MOST_EXPOSED, at_least, count).await
    }

    /// Open channels that have a voucher above `settled` which expires after `now` and at `until` or before
    /// (chain time, unix seconds). Looks at up to `count` vouchers.
    pub async fn with_expiring_vouchers(
        &self,
        now: i64,
        until: i64,
        count: usize,
    ) -> Result<Vec<ChannelRecord>, LedgerError> {
        self.read("with_expiring_vouchers", move |tx| {
            let expiring = tx.all(EXPIRING_VOUCHERS, params![now, until, count], |row| {
                Ok((row.channel_id("channel_id")?, row.amount("cumulative_amount")?))
            })?;
            let mut records: Vec<ChannelRecord> = Vec::new();
            for (id, cumulative) in expiring {
                if records.iter().any(|known| known.id == id) {
                    continue;
                }
                let record = channel::find(tx, &id)?;
                records.extend(record.filter(|record| {
                    record.state == ChannelState::Open && cumulative > record.watermarks.settled
                }));
            }
            Ok(records)
        })
        .await
    }

    async fn select(
        &self,
        name: &'static str,
        statement: &'static str,
        bound: i64,
        count: usize,
    ) -> Result<Vec<ChannelRecord>, LedgerError> {
        self.read(name, move |tx| Ok(tx.all(statement, params![bound, count], ChannelRecord::from_row)?))
            .await
    }
}
