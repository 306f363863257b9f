//! What a confirmed block showed, and a finalized one has to show again.
//!
//! A confirmed block can still be taken back. So a channel that was seen to open, to end, or to have more settled or
//! escrowed is remembered until a finalized block shows it; should that show otherwise, the channel returns to where
//! the chain has it, and the transactions that were thought to have done it are asked after once more.

use toll_protocol::{ChannelAccount, ChannelId, ChannelStatus};

use crate::channel::{self, ChannelRecord};
use crate::column::{amount, integer};
use crate::engine::{Tx, params};
use crate::{ChannelState, Ledger, LedgerError, renewal};

pub(crate) const AWAITING_FINALITY: &str = "-- awaiting_finality
    SELECT * FROM channels INDEXED BY channels_awaiting_finality
     WHERE awaits_finality IS NOT NULL ORDER BY awaits_finality LIMIT ?1";

/// What a finalized block said of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// The ledger has it right, for good.
    Final,
    /// The block is older than what it should show.
    TooEarly,
    /// It never happened: the channel is back where the chain has it. The states are the same where only amounts fell.
    TakenBack {
        /// What the ledger had.
        before: ChannelState,
        /// What it has now.
        after: ChannelState,
    },
}

impl Ledger {
    /// Up to `count` channels that were seen to open, to end or to rise in a block that may not be final, oldest first.
    pub async fn awaiting_finality(&self, count: usize) -> Result<Vec<ChannelRecord>, LedgerError> {
        self.read("awaiting_finality", move |tx| {
            Ok(tx.all(AWAITING_FINALITY, params![count], ChannelRecord::from_row)?)
        })
        .await
    }

    /// Compares a channel with a finalized block of `slot`; `None` when there is no account in it.
    ///
    /// An end that did not happen makes the channel `Closing` again, so that it is closed once more; an open that
    /// did not happen makes it `Opening`. A settle or a top-up that did not happen is no more; what was accepted
    /// above the deposit of before stays accepted, and nothing more is until the top-up lands again. In every case
    /// the transactions that were taken for landed are unresolved again.
    pub async fn observe_finalized(
        &self,
        id: &ChannelId,
        account: Option<&ChannelAccount>,
        slot: u64,
    ) -> Result<Finality, LedgerError> {
        let (id, account, now) = (*id, account.cloned(), self.now());
        self.write("observe_finalized", move |tx| {
            let record = channel::find(tx, &id)?.ok_or(LedgerError::UnknownChannel(id))?;
            let (awaited, open_final) = standing(tx, &id)?;
            match awaited {
                None => return Ok(Finality::Final),
                Some(awaited) if slot < awaited => return Ok(Finality::TooEarly),
                Some(_) => {}
            }
            let status = account.as_ref().map(|account| account.status);
            let before = record.state;
            let never_opened = before == ChannelState::Open || record.has_vanished();
            let after = match (before, status) {
                (_, None) if never_opened && !open_final => ChannelState::Opening,
                (ChannelState::Closed | ChannelState::Gone, Some(status))
                    if status != ChannelStatus::Distributed =>
                {
                    ChannelState::Closing
                }
                (ChannelState::Gone, Some(_)) => ChannelState::Closed,
                _ => before,
            };
            match (&account, after) {
                (Some(account), ChannelState::Open | ChannelState::Closing)
                    if after == before && record.is_above(account) =>
                {
                    lower(tx, &record, account, slot, now)?;
                }
                _ if after == before => {
                    settle(tx, &id, account.is_some())?;
                    return Ok(Finality::Final);
                }
                (Some(account), ChannelState::Closing) => reopen(tx, &record, account, slot)?,
                (Some(_), _) => reappear(tx, &record, slot)?,
                (None, _) => unopen(tx, &id, slot)?,
            }
            Ok(Finality::TakenBack { before, after })
        })
        .await
    }
}

/// The slot that a finalized block has to reach, if anything is awaited, and whether one has shown the account.
fn standing(tx: &Tx, id: &ChannelId) -> Result<(Option<u64>, bool), LedgerError> {
    let (slot, open_final): (Option<i64>, bool) = tx.one(
        "-- awaits_finality\nSELECT awaits_finality, open_final FROM channels WHERE channel_id = ?1",
        params![id.as_bytes()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok((slot.map(i64::unsigned_abs), open_final))
}

/// What was seen of a channel at `slot` has to be seen again, finalized.
pub(crate) fn await_finality(tx: &Tx, id: &ChannelId, slot: u64) -> Result<(), LedgerError> {
    tx.execute(
        "-- await_finality
        UPDATE channels SET awaits_finality = ?2 WHERE channel_id = ?1",
        params![id.as_bytes(), integer(slot)?],
    )?;
    Ok(())
}

fn settle(tx: &Tx, id: &ChannelId, seen: bool) -> Result<(), LedgerError> {
    tx.execute(
        "-- final
        UPDATE channels SET awaits_finality = NULL, open_final = max(open_final, ?2) WHERE channel_id = ?1",
        params![id.as_bytes(), seen],
    )?;
    Ok(())
}

/// A channel that has not ended after all. What was settled goes by the chain.
fn reopen(tx: &Tx, record: &ChannelRecord, account: &ChannelAccount, slot: u64) -> Result<(), LedgerError> {
    tx.execute(
        "-- reopen
        UPDATE channels
           SET state = 'closing', renewing = 0, deposit = max(accepted, ?8), accepted = max(accepted, ?2),
               settled = ?2, payout_watermark = ?3, chain_status = ?4, closure_started_at = ?5, payer_withdrawn_at = ?6,
               close_signature = NULL, refunded = NULL, awaits_finality = NULL, open_final = 1,
               observed_slot = ?7
         WHERE channel_id = ?1",
        params![
        record.id.as_bytes(),
        amount(account.settled)?,
        amount(account.payout_watermark)?,
        account.status as u8,
        (account.closure_started_at != 0).then_some(account.closure_started_at),
        (account.payer_withdrawn_at != 0).then_some(account.payer_withdrawn_at),
        integer(slot)?,
        amount(account.deposit)?,
    ],
    )?;
    unresolve(tx, &record.id, &["settle", "rearm", "close", "seal", "distribute"])
}

/// Amounts that have not risen after all. The deposit stays at what was accepted on it, which is owed all the same.
fn lower(
    tx: &Tx,
    record: &ChannelRecord,
    account: &ChannelAccount,
    slot: u64,
    now: i64,
) -> Result<(), LedgerError> {
    tx.execute(
        "-- lower
        UPDATE channels
           SET deposit = max(accepted, ?2), settled = ?3, payout_watermark = ?4, chain_status = ?5,
               awaits_finality = NULL, open_final = 1, observed_slot = ?6
         WHERE channel_id = ?1",
        params![
            record.id.as_bytes(),
            amount(account.deposit)?,
            amount(account.settled)?,
            amount(account.payout_watermark)?,
            account.status as u8,
            integer(slot)?,
        ],
    )?;
    if record.rearmed.is_some_and(|rearmed| account.settled < rearmed) {
        unresolve(tx, &record.id, &["rearm"])?;
        renewal::stop_to_renew(tx, &record.id, now)?;
    }
    unresolve(tx, &record.id, &["settle", "distribute", "top_up"])
}

/// The account that was to be gone still waits for its reclaim.
fn reappear(tx: &Tx, record: &ChannelRecord, slot: u64) -> Result<(), LedgerError> {
    tx.execute(
        "-- reappear
        UPDATE channels
           SET state = 'closed', chain_status = ?2, awaits_finality = NULL, observed_slot = ?3,
               refunded = coalesce(refunded, deposit - settled)
         WHERE channel_id = ?1",
        params![record.id.as_bytes(), ChannelStatus::Distributed as u8, integer(slot)?],
    )?;
    unresolve(tx, &record.id, &["reclaim"])
}

/// A channel that has not opened after all: its open may land again, or never.
fn unopen(tx: &Tx, id: &ChannelId, slot: u64) -> Result<(), LedgerError> {
    tx.execute(
        "-- unopen
        UPDATE channels
           SET state = 'opening', chain_status = NULL, closure_started_at = NULL, awaits_finality = NULL,
               observed_slot = ?2
         WHERE channel_id = ?1",
        params![id.as_bytes(), integer(slot)?],
    )?;
    unresolve(tx, id, &["open"])
}

/// Landed transactions of these kinds may not have: they are to be asked after again.
pub(crate) fn unresolve(tx: &Tx, id: &ChannelId, kinds: &[&str]) -> Result<(), LedgerError> {
    for kind in kinds {
        tx.execute(
            "-- unresolve
            UPDATE submissions SET state = 'recorded', landed_slot = NULL
             WHERE state = 'landed' AND kind = ?2 AND signature IS NOT NULL AND transaction_bytes <> x''
               AND submission_id IN (SELECT submission_id FROM submission_channels WHERE channel_id = ?1)",
            params![id.as_bytes(), kind],
        )?;
    }
    Ok(())
}
