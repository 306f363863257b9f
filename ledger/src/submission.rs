//! Transactions, on record before they are sent.
//!
//! A submission goes `Requested → Recorded → Landed | Failed | Expired`, or starts at `Recorded` when the
//! settler makes the transaction itself. What is `Recorded` may have been sent: only the chain can say
//! what became of it.

mod intent;
mod record;
mod resolve;

use std::fmt;

use solana_signature::Signature;
use toll_protocol::{Amount, ChannelId};

use crate::column::{Columns, words};
use crate::engine::{DatabaseError, FromValue, Row, Tx, Value, params};
use crate::{Ledger, LedgerError};

pub use self::intent::{Effect, Intent};
pub(crate) use self::record::{request, requested_by, requested_count};
pub use self::resolve::Resolution;

/// A submission's number in its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId(i64);

impl SubmissionId {
    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromValue for SubmissionId {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(Self)
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubmissionKind {
    /// Opens a channel.
    Open,
    /// Raises a deposit.
    TopUp,
    /// Raises `settled` on an open channel.
    Settle,
    /// Settles, seals and distributes.
    Close,
    /// Seals after the grace period.
    Seal,
    /// Pays out.
    Distribute,
    /// Frees the accounts of one or more channels.
    Reclaim,
    /// Makes a token account.
    CreateAccount,
    /// Ends a session and leaves the channel open.
    Rearm,
    /// Pays for one request.
    Charge,
}

words!(SubmissionKind {
    Open => "open",
    TopUp => "top_up",
    Settle => "settle",
    Close => "close",
    Seal => "seal",
    Distribute => "distribute",
    Reclaim => "reclaim",
    CreateAccount => "create_account",
    Rearm => "rearm",
    Charge => "charge",
});

/// How far a submission has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubmissionState {
    /// Signed by the payer only; the settler has not signed it.
    Requested,
    /// Fully signed and on disk; it may have been sent.
    Recorded,
    /// On chain, and it did what it was for.
    Landed,
    /// Refused before it was sent, or on chain with an error.
    Failed,
    /// Its blockhash ran out before it landed.
    Expired,
}

words!(SubmissionState {
    Requested => "requested",
    Recorded => "recorded",
    Landed => "landed",
    Failed => "failed",
    Expired => "expired",
});

/// A transaction and its fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its number.
    pub id: SubmissionId,
    /// What it is for.
    pub kind: SubmissionKind,
    /// What it does to the channels it acts on: one, but for a reclaim and for what is of no channel.
    pub effects: Vec<Effect>,
    /// How far it has come.
    pub state: SubmissionState,
    /// The transaction's bytes: as the payer sent it while `Requested`, fully signed after that.
    pub transaction: Vec<u8>,
    /// The transaction's own signature, once fully signed.
    pub signature: Option<Signature>,
    /// Block height after which it can no longer land.
    pub last_valid_block_height: Option<u64>,
    /// Deposit of an open, rise of a top-up.
    pub amount: Option<Amount>,
    /// Why it failed.
    pub error: Option<String>,
    /// What it cost, in lamports.
    pub fee_lamports: Option<u64>,
    /// What it used.
    pub compute_units: Option<u64>,
    /// The slot it landed in.
    pub landed_slot: Option<u64>,
    /// When it was recorded, in unix seconds.
    pub created_at: i64,
    /// When its state last changed, in unix seconds.
    pub updated_at: i64,
}

impl Submission {
    /// The channel it acts on, or the first of them.
    pub fn channel(&self) -> Option<ChannelId> {
        self.effects.first().map(|effect| effect.channel)
    }

    /// The channels it acts on.
    pub fn channels(&self) -> Vec<ChannelId> {
        self.effects.iter().map(|effect| effect.channel).collect()
    }
}

fn from_row(connection: &Tx, row: &Row<'_>) -> Result<Submission, DatabaseError> {
    let id: SubmissionId = row.get("submission_id")?;
    Ok(Submission {
        id,
        kind: row.get("kind")?,
        effects: intent::effects(connection, id)?,
        state: row.get("state")?,
        transaction: row.get("transaction_bytes")?,
        signature: row.optional_signature("signature")?,
        last_valid_block_height: row.optional_unsigned("last_valid_block_height")?,
        amount: row.optional_amount("amount")?,
        error: row.get("error")?,
        fee_lamports: row.optional_unsigned("fee_lamports")?,
        compute_units: row.optional_unsigned("compute_units")?,
        landed_slot: row.optional_unsigned("landed_slot")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

pub(crate) fn find(connection: &Tx, id: SubmissionId) -> Result<Option<Submission>, DatabaseError> {
    connection.first(
        "-- submission\nSELECT * FROM submissions WHERE submission_id = ?1",
        params![id.0],
        |row| from_row(connection, row),
    )
}

impl Ledger {
    /// Submissions waiting for the settler's signature, oldest first.
    pub async fn requested(&self) -> Result<Vec<Submission>, LedgerError> {
        self.submissions_in("requested", SubmissionState::Requested).await
    }

    /// Submissions that may have been sent and whose fate is unknown, oldest first. Resolve these before
    /// anything else after a restart.
    pub async fn unresolved(&self) -> Result<Vec<Submission>, LedgerError> {
        self.submissions_in("unresolved", SubmissionState::Recorded).await
    }

    async fn submissions_in(
        &self,
        name: &'static str,
        state: SubmissionState,
    ) -> Result<Vec<Submission>, LedgerError> {
        self.read_beside(name, move |tx| {
            // `IN` of two constants lets SQLite see that the partial index applies.
            let found = tx.all(
                "-- submissions_in
                SELECT * FROM submissions
                 WHERE state IN ('requested', 'recorded') AND state = ?1 ORDER BY submission_id",
                params![state],
                |row| from_row(tx, row),
            )?;
            Ok(found)
        })
        .await
    }

    /// The submission, if the ledger has it.
    pub async fn submission(&self, id: SubmissionId) -> Result<Option<Submission>, LedgerError> {
        self.read("submission", move |tx| Ok(find(tx, id)?)).await
    }

    /// Every submission that acts on `channel`, oldest first.
    pub async fn submissions_of(&self, channel: &ChannelId) -> Result<Vec<Submission>, LedgerError> {
        let channel = *channel;
        self.read("submissions_of", move |tx| {
            let found = tx.all(
                "-- submissions_of
                SELECT submissions.* FROM submissions JOIN submission_channels USING (submission_id)
                 WHERE channel_id = ?1 ORDER BY submission_id",
                params![channel.as_bytes()],
                |row| from_row(tx, row),
            )?;
            Ok(found)
        })
        .await
    }
}
