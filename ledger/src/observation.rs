//! Copying the chain's facts into the ledger.
//!
//! Facts carry the slot they were read at. Older ones are ignored, watermarks only rise and states only move
//! on, so answers of lagging nodes and answers out of order do no harm. The deposit is no watermark: it goes by the
//! chain, and falls with it, to what is accepted and no lower. Nothing is sold on what is no longer escrowed, and
//! what the ledger has above the chain's deposit then is a promise that nothing secures. There is one way back: a channel that
//! vanished although nobody was seen to pay it out, and is there again, was hidden by a node or by a fork. It
//! never serves again, but what was accepted on it can still be settled. What a finalized block takes back is another
//! matter: see [`Ledger::observe_finalized`].

use toll_protocol::{Amount, ChannelAccount, ChannelId, ChannelStatus};

use crate::column::{amount, integer};
use crate::engine::{Tx, params};
use crate::{ChannelRecord, ChannelState, Ledger, LedgerError, channel, finality};

/// What an observation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The facts were copied.
    Applied {
        /// The state they found.
        before: ChannelState,
        /// The state they left.
        after: ChannelState,
    },
    /// The ledger knows of a later slot; nothing changed.
    Older {
        /// That slot.
        observed_slot: u64,
    },
    /// There is no account, and none was ever seen: the open has not landed yet. Nothing changed.
    NotYet,
}

impl Ledger {
    /// The open landed: `account`, read at `slot`, is the channel. The channel serves from here on, unless the
    /// account says otherwise.
    ///
    /// Call this before [`Ledger::landed`] for the open's submission: should the process die between the
    /// two, the submission is still unresolved and both are done again.
    pub async fn open_landed(
        &self,
        id: &ChannelId,
        account: &ChannelAccount,
        slot: u64,
    ) -> Result<Observation, LedgerError> {
        self.observe(id, Some(account), slot).await
    }

    /// Copies what the chain says of a channel at `slot`; `None` when its account is deallocated.
    ///
    /// Fails with [`LedgerError::AccountMismatch`] when the account is not this channel's. If the chain has
    /// settled more than was accepted here, the accepted watermark is raised to that. An account that is
    /// closing, or ended in another way than ours, stops service at once and counts as a forced close.
    pub async fn observe(
        &self,
        id: &ChannelId,
        account: Option<&ChannelAccount>,
        slot: u64,
    ) -> Result<Observation, LedgerError> {
        let (id, account, now) = (*id, account.cloned(), self.now());
        self.write("observe", move |tx| {
            let record = channel::find(tx, &id)?.ok_or(LedgerError::UnknownChannel(id))?;
            if slot < record.observed_slot {
                return Ok(Observation::Older { observed_slot: record.observed_slot });
            }
            match &account {
                Some(account) => apply(tx, &record, account, slot, now),
                None => deallocated(tx, &record, slot, now),
            }
        })
        .await
    }
}

pub(crate) fn apply(
    tx: &Tx,
    record: &ChannelRecord,
    account: &ChannelAccount,
    slot: u64,
    now: i64,
) -> Result<Observation, LedgerError> {
    check_identity(record, account)?;
    let before = record.state;
    let shown = match account.status {
        ChannelStatus::Open => ChannelState::Open,
        ChannelStatus::Closing | ChannelStatus::Sealed => ChannelState::Closing,
        ChannelStatus::Distributed => ChannelState::Closed,
    };
    let after = match record.has_vanished() {
        true if shown == ChannelState::Closed => shown,
        true => ChannelState::Closing,
        false => further(before, shown),
    };
    let closed = after == ChannelState::Closed;
    let settled = account.settled.max(record.watermarks.settled);
    let deposit = account.deposit.max(record.watermarks.accepted);
    tx.execute(
        "-- observe
        UPDATE channels
           SET state = ?2,
               deposit = ?3,
               accepted = max(accepted, ?4),
               settled = ?4,
               payout_watermark = max(payout_watermark, ?5),
               pay_out_to = CASE WHEN max(payout_watermark, ?5) >= pay_out_to THEN NULL ELSE pay_out_to END,
               chain_status = ?6,
               closure_started_at = ?7,
               payer_withdrawn_at = coalesce(?8, payer_withdrawn_at),
               refunded = CASE WHEN ?9 THEN coalesce(refunded, ?10) ELSE refunded END,
               last_activity_at = CASE WHEN state IN ('opening', 'failed') THEN max(last_activity_at, ?11)
                                       ELSE last_activity_at END,
               failure = NULL,
               observed_slot = ?12
         WHERE channel_id = ?1",
        params![
            record.id.as_bytes(),
            after,
            amount(deposit)?,
            amount(settled)?,
            amount(account.payout_watermark)?,
            account.status as u8,
            (account.closure_started_at != 0).then_some(account.closure_started_at),
            (account.payer_withdrawn_at != 0).then_some(account.payer_withdrawn_at),
            closed,
            amount(account.deposit.saturating_sub(settled))?,
            now,
            integer(slot)?,
        ],
    )?;
    let moved = after != before && matches!(after, ChannelState::Open | ChannelState::Closed);
    let rose = matches!(after, ChannelState::Open | ChannelState::Closing) && record.is_below(account);
    if moved || rose {
        finality::await_finality(tx, &record.id, slot)?;
    }
    let paid_out = account.payout_watermark > record.watermarks.payout_watermark;
    if account.deposit < record.watermarks.deposit && !paid_out {
        // No rearm, so a fork took a top-up back.
        finality::unresolve(tx, &record.id, &["top_up"])?;
    }
    note_forced_close(tx, record, after, now)?;
    Ok(Observation::Applied { before, after })
}

fn deallocated(tx: &Tx, record: &ChannelRecord, slot: u64, now: i64) -> Result<Observation, LedgerError> {
    let before = record.state;
    if before.rank() == 0 {
        return Ok(Observation::NotYet);
    }
    tx.execute(
        "-- observe_deallocated
        UPDATE channels
           SET state = 'gone', chain_status = NULL, closure_started_at = NULL, observed_slot = ?2
         WHERE channel_id = ?1",
        params![record.id.as_bytes(), integer(slot)?],
    )?;
    if before != ChannelState::Gone {
        finality::await_finality(tx, &record.id, slot)?;
    }
    note_forced_close(tx, record, ChannelState::Gone, now)?;
    Ok(Observation::Applied { before, after: ChannelState::Gone })
}

/// Service that stopped without our asking was stopped by the payer.
fn note_forced_close(
    tx: &Tx,
    record: &ChannelRecord,
    after: ChannelState,
    now: i64,
) -> Result<(), LedgerError> {
    if after.rank() <= ChannelState::Open.rank() || record.close_reason.is_some() {
        return Ok(());
    }
    tx.execute(
        "-- note_forced_close
        UPDATE channels SET close_reason = 'forced', closing_at = ?2
         WHERE channel_id = ?1 AND close_reason IS NULL",
        params![record.id.as_bytes(), now],
    )?;
    Ok(())
}

/// The later of two states: what the ledger has, or what the chain shows.
pub(crate) fn further(ours: ChannelState, shown: ChannelState) -> ChannelState {
    if shown.rank() > ours.rank() { shown } else { ours }
}

/// Everything about an account that can never change must be as recorded.
fn check_identity(record: &ChannelRecord, account: &ChannelAccount) -> Result<(), LedgerError> {
    // Before a channel has opened nothing lowers its deposit: an open that escrowed less than it said is another one.
    let least = if record.state.rank() == 0 { record.watermarks.deposit } else { Amount::ZERO };
    match record.agreement.difference(account, least) {
        None => Ok(()),
        Some(difference) => Err(LedgerError::AccountMismatch { channel: record.id, difference }),
    }
}
