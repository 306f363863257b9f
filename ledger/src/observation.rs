//! Copying the chain's facts into the ledger.
//!
//! Facts carry the slot they were read at. Older ones are ignored, watermarks only rise and states only move
//! on, so answers of lagging nodes and answers out of order do no harm: see [`crate::rules::observation`]. The deposit is no watermark: it goes by the
//! chain, and falls with it, to what is accepted and no lower. Nothing is sold on what is no longer escrowed, and
//! what the ledger has above the chain's deposit then is a promise that nothing secures. There is one way back: a channel that
//! vanished although nobody was seen to pay it out, and is there again, was hidden by a node or by a fork. It
//! never serves again, but what was accepted on it can still be settled. What a finalized block takes back is another
//! matter: see [`Ledger::observe_finalized`].

use toll_protocol::{ChannelAccount, ChannelId};

use crate::engine::Tx;
use crate::rules::observation::{self as rules, Seen};
use crate::{ChannelRecord, ChannelState, Ledger, LedgerError, SubmissionKind, channel, finality};

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
                None => match rules::account_missing(&record, slot, now) {
                    Some(seen) => write(tx, &record, &seen),
                    None => Ok(Observation::NotYet),
                },
            }
        })
        .await
    }
}

/// Copies what `account`, read at `slot`, says of the channel.
pub(crate) fn apply(
    tx: &Tx,
    record: &ChannelRecord,
    account: &ChannelAccount,
    slot: u64,
    now: i64,
) -> Result<Observation, LedgerError> {
    let seen = rules::account_seen(record, account, slot, now)
        .map_err(|difference| LedgerError::AccountMismatch { channel: record.id, difference })?;
    write(tx, record, &seen)
}

/// Writes what an observation changes.
fn write(tx: &Tx, record: &ChannelRecord, seen: &Seen) -> Result<Observation, LedgerError> {
    let Seen { after, awaits_finality, lost_top_up } = seen;
    channel::store(tx, after)?;
    if *awaits_finality {
        finality::await_finality(tx, &after.id, after.observed_slot)?;
    }
    if *lost_top_up {
        finality::unresolve(tx, &after.id, &[SubmissionKind::TopUp])?;
    }
    Ok(Observation::Applied { before: record.state, after: after.state })
}
