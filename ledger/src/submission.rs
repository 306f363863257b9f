//! Transactions, on record before they are sent.
//!
//! A submission goes `Requested → Recorded → Landed | Failed | Expired`, or starts at `Recorded` when the
//! settler makes the transaction itself. What is `Recorded` may have been sent: only the chain can say
//! what became of it.

use std::fmt;

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};
use solana_signature::Signature;
use toll_protocol::{Amount, ChannelId};

use crate::column::{Columns, amount, integer, words};
use crate::{Ledger, LedgerError};

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

impl FromSql for SubmissionId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
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
}

words!(SubmissionKind {
    Open => "open",
    TopUp => "top_up",
    Settle => "settle",
    Close => "close",
    Seal => "seal",
    Distribute => "distribute",
    Reclaim => "reclaim",
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
    /// The channels it acts on: one, but for a reclaim.
    pub channels: Vec<ChannelId>,
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
    /// The first channel it acts on.
    pub fn channel(&self) -> ChannelId {
        self.channels[0]
    }
}

/// What telling a submission's fate did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The submission has that fate now.
    Resolved,
    /// It had this state already, which stays.
    Already(SubmissionState),
}

fn from_row(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Submission> {
    let id: SubmissionId = row.get("submission_id")?;
    let channels = connection
        .prepare_cached(
            "-- submission_channels\nSELECT channel_id FROM submission_channels WHERE submission_id = ?1",
        )?
        .query_map([id.0], |row| row.channel_id("channel_id"))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Submission {
        id,
        kind: row.get("kind")?,
        channels,
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

pub(crate) fn find(connection: &Connection, id: SubmissionId) -> rusqlite::Result<Option<Submission>> {
    connection
        .prepare_cached("-- submission\nSELECT * FROM submissions WHERE submission_id = ?1")?
        .query_row([id.0], |row| from_row(connection, row))
        .optional()
}

/// Records a transaction that the payer has signed and the settler has yet to.
pub(crate) fn request(
    tx: &Connection,
    kind: SubmissionKind,
    channel: &ChannelId,
    transaction: &[u8],
    deposited: Amount,
    now: i64,
) -> Result<SubmissionId, LedgerError> {
    tx.prepare_cached(
        "-- request_submission
        INSERT INTO submissions (kind, state, request, transaction_bytes, amount, created_at, updated_at)
        VALUES (?1, 'requested', ?2, ?2, ?3, ?4, ?4)",
    )?
    .execute(params![kind, transaction, amount(deposited)?, now])?;
    let id = SubmissionId(tx.last_insert_rowid());
    attach(tx, id, channel)?;
    Ok(id)
}

/// The submission of `kind` on `channel` that was requested by these very bytes.
pub(crate) fn requested_by(
    tx: &Connection,
    kind: SubmissionKind,
    channel: &ChannelId,
    transaction: &[u8],
) -> rusqlite::Result<Option<SubmissionId>> {
    tx.prepare_cached(
        "-- submission_requested_by
        SELECT submission_id FROM submissions JOIN submission_channels USING (submission_id)
         WHERE channel_id = ?1 AND kind = ?2 AND request = ?3",
    )?
    .query_row(params![channel.as_bytes(), kind, transaction], |row| row.get(0))
    .optional()
}

fn attach(tx: &Connection, id: SubmissionId, channel: &ChannelId) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "-- attach_submission\nINSERT INTO submission_channels (channel_id, submission_id) VALUES (?1, ?2)",
    )?
    .execute(params![channel.as_bytes(), id.0])?;
    Ok(())
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
        self.read(name, move |tx| {
            // `IN` of two constants lets SQLite see that the partial index applies.
            let found = tx
                .prepare_cached(
                    "-- submissions_in
                    SELECT * FROM submissions
                     WHERE state IN ('requested', 'recorded') AND state = ?1 ORDER BY submission_id",
                )?
                .query_map([state], |row| from_row(tx, row))?
                .collect::<Result<Vec<_>, _>>()?;
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
            let found = tx
                .prepare_cached(
                    "-- submissions_of
                    SELECT submissions.* FROM submissions JOIN submission_channels USING (submission_id)
                     WHERE channel_id = ?1 ORDER BY submission_id",
                )?
                .query_map([channel.as_bytes()], |row| from_row(tx, row))?
                .collect::<Result<Vec<_>, _>>()?;
            Ok(found)
        })
        .await
    }

    /// Records the fully signed form of a requested transaction. Call this before sending it.
    ///
    /// The same signature again changes nothing. Any other state than `Requested` is
    /// [`LedgerError::NotRequested`]: that transaction must not be sent.
    pub async fn record_signed(
        &self,
        id: SubmissionId,
        transaction: Vec<u8>,
        signature: Signature,
        last_valid_block_height: u64,
    ) -> Result<(), LedgerError> {
        let now = self.now();
        self.write("record_signed", move |tx| {
            let found = find(tx, id)?.ok_or(LedgerError::UnknownSubmission(id))?;
            match found.state {
                SubmissionState::Requested => {}
                SubmissionState::Recorded if found.signature == Some(signature) => return Ok(()),
                state => return Err(LedgerError::NotRequested { id, state }),
            }
            tx.prepare_cached(
                "-- record_signed
                UPDATE submissions
                   SET state = 'recorded', transaction_bytes = ?2, signature = ?3,
                       last_valid_block_height = ?4, updated_at = ?5
                 WHERE submission_id = ?1 AND state = 'requested'",
            )?
            .execute(params![
                id.0,
                transaction,
                signature.as_ref(),
                integer(last_valid_block_height)?,
                now
            ])?;
            Ok(())
        })
        .await
    }

    /// Records a fully signed transaction of the settler's own. Call this before sending it.
    ///
    /// The same signature again finds the first record.
    pub async fn record(
        &self,
        kind: SubmissionKind,
        channels: &[ChannelId],
        transaction: Vec<u8>,
        signature: Signature,
        last_valid_block_height: u64,
    ) -> Result<SubmissionId, LedgerError> {
        let (channels, now) = (channels.to_vec(), self.now());
        self.write("record_submission", move |tx| {
            let existing = tx
                .prepare_cached(
                    "-- submission_signed\nSELECT submission_id FROM submissions WHERE signature = ?1",
                )?
                .query_row([signature.as_ref()], |row| row.get(0))
                .optional()?;
            if let Some(id) = existing {
                return Ok(id);
            }
            tx.prepare_cached(
                "-- record_submission
                INSERT INTO submissions
                       (kind, state, transaction_bytes, signature, last_valid_block_height, created_at, updated_at)
                VALUES (?1, 'recorded', ?2, ?3, ?4, ?5, ?5)",
            )?
            .execute(params![kind, transaction, signature.as_ref(), integer(last_valid_block_height)?, now])?;
            let id = SubmissionId(tx.last_insert_rowid());
            for channel in &channels {
                if crate::channel::find(tx, channel)?.is_none() {
                    return Err(LedgerError::UnknownChannel(*channel));
                }
                attach(tx, id, channel)?;
            }
            Ok(id)
        })
        .await
    }

    /// The submission is on chain and did what it was for. A landed top-up counts as activity on its
    /// channel; a landed close leaves its signature there.
    ///
    /// The chain has the last word: this also holds for one that was given up as expired. Costs may be
    /// unknown.
    pub async fn landed(
        &self,
        id: SubmissionId,
        slot: u64,
        fee_lamports: Option<u64>,
        compute_units: Option<u64>,
    ) -> Result<Resolution, LedgerError> {
        let now = self.now();
        self.write("submission_landed", move |tx| {
            let found = find(tx, id)?.ok_or(LedgerError::UnknownSubmission(id))?;
            if !matches!(found.state, SubmissionState::Recorded | SubmissionState::Expired) {
                return Ok(Resolution::Already(found.state));
            }
            tx.prepare_cached(
                "-- submission_landed
                UPDATE submissions
                   SET state = 'landed', landed_slot = ?2, fee_lamports = ?3, compute_units = ?4, updated_at = ?5
                 WHERE submission_id = ?1",
            )?
            .execute(params![
                id.0,
                integer(slot)?,
                fee_lamports.map(integer).transpose()?,
                compute_units.map(integer).transpose()?,
                now,
            ])?;
            tx.prepare_cached(
                "-- submission_landed_on_channel
                UPDATE channels
                   SET last_activity_at = CASE WHEN ?2 = 'top_up' THEN max(last_activity_at, ?3)
                                               ELSE last_activity_at END,
                       close_signature = CASE WHEN ?2 = 'close' THEN ?4 ELSE close_signature END
                 WHERE channel_id IN (SELECT channel_id FROM submission_channels WHERE submission_id = ?1)
                   AND ?2 IN ('top_up', 'close')",
            )?
            .execute(params![id.0, found.kind, now, found.signature.as_ref().map(AsRef::<[u8]>::as_ref)])?;
            Ok(Resolution::Resolved)
        })
        .await
    }

    /// The submission was refused before it was sent, or is on chain with an error.
    pub async fn failed(&self, id: SubmissionId, error: &str) -> Result<Resolution, LedgerError> {
        self.give_up(id, SubmissionState::Failed, Some(error.to_owned())).await
    }

    /// The submission can no longer land: its last valid block height has passed, and the chain has not seen
    /// it.
    pub async fn expired(&self, id: SubmissionId) -> Result<Resolution, LedgerError> {
        self.give_up(id, SubmissionState::Expired, None).await
    }

    async fn give_up(
        &self,
        id: SubmissionId,
        state: SubmissionState,
        error: Option<String>,
    ) -> Result<Resolution, LedgerError> {
        let now = self.now();
        self.write("give_up_submission", move |tx| {
            let found = find(tx, id)?.ok_or(LedgerError::UnknownSubmission(id))?;
            if !matches!(found.state, SubmissionState::Requested | SubmissionState::Recorded) {
                return Ok(Resolution::Already(found.state));
            }
            tx.prepare_cached(
                "-- give_up_submission
                UPDATE submissions SET state = ?2, error = ?3, updated_at = ?4 WHERE submission_id = ?1",
            )?
            .execute(params![id.0, state, error, now])?;
            Ok(Resolution::Resolved)
        })
        .await
    }
}
