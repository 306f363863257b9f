//! What a confirmed block showed, and a finalized one has to show again.
//!
//! A confirmed block can still be taken back. So a channel that was seen to open, to end, or to have more settled or
//! escrowed is remembered until a finalized block shows it; should that show otherwise, the channel returns to where
//! the chain has it, and the transactions that were thought to have done it are asked after once more: see
//! [`crate::rules::finality`].

use toll_protocol::{ChannelAccount, ChannelId};

use crate::channel::{self, ChannelRecord};
use crate::column::integer;
use crate::engine::{Tx, params};
use crate::rules::finality::{self as rules, Awaited, Finalized, TakenBack};
use crate::{ChannelState, Ledger, LedgerError, SubmissionKind};

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
            let (since, open_final) = standing(tx, &id)?;
            let awaited = Awaited { record: &record, since, open_final };
            match rules::finalized(awaited, account.as_ref(), slot, now) {
                Finalized::NothingAwaited => Ok(Finality::Final),
                Finalized::TooEarly => Ok(Finality::TooEarly),
                Finalized::Confirmed { shown } => {
                    is_final(tx, &id, open_final || shown)?;
                    Ok(Finality::Final)
                }
                Finalized::TakenBack(TakenBack { after, open_final, unresolved }) => {
                    channel::store(tx, &after)?;
                    is_final(tx, &id, open_final)?;
                    unresolve(tx, &id, unresolved)?;
                    Ok(Finality::TakenBack { before: record.state, after: after.state })
                }
            }
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

/// Nothing more is awaited, and the open is final or not.
fn is_final(tx: &Tx, id: &ChannelId, open_final: bool) -> Result<(), LedgerError> {
    tx.execute(
        "-- final
        UPDATE channels SET awaits_finality = NULL, open_final = ?2 WHERE channel_id = ?1",
        params![id.as_bytes(), open_final],
    )?;
    Ok(())
}

/// Landed transactions of these kinds may not have: they are to be asked after again.
pub(crate) fn unresolve(tx: &Tx, id: &ChannelId, kinds: &[SubmissionKind]) -> Result<(), LedgerError> {
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
