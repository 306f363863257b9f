//! Putting transactions on record.

use solana_signature::Signature;
use toll_protocol::{Amount, ChannelId};

use super::intent::{Effect, Intent, attach};
use super::{SubmissionId, SubmissionKind, find};
use crate::column::{amount, integer};
use crate::engine::{DatabaseError, Tx, params};
use crate::rules::submission::{self as rules, Signing};
use crate::{Ledger, LedgerError, channel, payment, settler_lock};

/// Records a transaction that the payer has signed and the settler has yet to.
pub(crate) fn request(
    tx: &Tx,
    kind: SubmissionKind,
    channel: Option<&ChannelId>,
    transaction: &[u8],
    moved: Amount,
    now: i64,
) -> Result<SubmissionId, LedgerError> {
    let id = tx.one(
        "-- request_submission
        INSERT INTO submissions (kind, state, request, transaction_bytes, amount, created_at, updated_at)
        VALUES (?1, 'requested', ?2, ?2, ?3, ?4, ?4) RETURNING submission_id",
        params![kind, transaction, amount(moved)?, now],
        |row| row.get(0),
    )?;
    if let Some(channel) = channel {
        attach(tx, id, &Effect::on(*channel))?;
    }
    Ok(id)
}

/// How many submissions wait for the settler's signature.
pub(crate) fn requested_count(tx: &Tx) -> Result<usize, DatabaseError> {
    // `IN` of two constants lets SQLite see that the partial index applies.
    tx.one(
        "-- requested_count
        SELECT count(*) FROM submissions WHERE state IN ('requested', 'recorded') AND state = 'requested'",
        &[],
        |row| row.get(0),
    )
}

/// The submission of `kind` on `channel` that was requested by these very bytes.
pub(crate) fn requested_by(
    tx: &Tx,
    kind: SubmissionKind,
    channel: &ChannelId,
    transaction: &[u8],
) -> Result<Option<SubmissionId>, DatabaseError> {
    tx.first(
        "-- submission_requested_by
        SELECT submission_id FROM submissions JOIN submission_channels USING (submission_id)
         WHERE channel_id = ?1 AND kind = ?2 AND request = ?3",
        params![channel.as_bytes(), kind, transaction],
        |row| row.get(0),
    )
}

/// The submission whose transaction has `signature`.
fn signed_by(tx: &Tx, signature: &Signature) -> Result<Option<SubmissionId>, DatabaseError> {
    tx.first(
        "-- submission_signed\nSELECT submission_id FROM submissions WHERE signature = ?1",
        params![signature.as_ref()],
        |row| row.get(0),
    )
}

impl Ledger {
    /// Records the fully signed form of a requested transaction. Call this before sending it.
    ///
    /// The same signature again changes nothing. Any other state than `Requested` is
    /// [`LedgerError::NotRequested`]: that transaction must not be sent. Nor may one that another submission
    /// has, [`LedgerError::SameTransaction`]: a payer can sign one message twice, and both requests differ.
    pub async fn record_signed(
        &self,
        id: SubmissionId,
        transaction: Vec<u8>,
        signature: Signature,
        last_valid_block_height: u64,
    ) -> Result<(), LedgerError> {
        let (now, holder) = (self.now(), self.lease_holder());
        self.write("record_signed", move |tx| {
            settler_lock::check(tx, holder)?;
            let found = find(tx, id)?.ok_or(LedgerError::UnknownSubmission(id))?;
            let elsewhere = signed_by(tx, &signature)?;
            match rules::sign(found.state, found.signature, signature, elsewhere) {
                Signing::Record => {}
                Signing::Done => return Ok(()),
                Signing::GoneOn(state) => return Err(LedgerError::NotRequested { id, state }),
                Signing::Same(earlier) => return Err(LedgerError::SameTransaction { id, earlier }),
            }
            tx.execute(
                "-- record_signed
                UPDATE submissions
                   SET state = 'recorded', transaction_bytes = ?2, signature = ?3,
                       last_valid_block_height = ?4, updated_at = ?5
                 WHERE submission_id = ?1 AND state = 'requested'",
                params![id.0, transaction, signature.as_ref(), integer(last_valid_block_height)?, now],
            )?;
            if found.kind == SubmissionKind::Charge {
                payment::note_signed(tx, id, &signature)?;
            }
            Ok(())
        })
        .await
    }

    /// Records a fully signed transaction of the settler's own with what it is meant to do. Call this before
    /// sending it.
    ///
    /// The vouchers it shows count as published from here on:
    /// [`ChannelRecord::published`](crate::ChannelRecord::published). The same signature again finds the first record.
    pub async fn record(
        &self,
        intent: Intent,
        transaction: Vec<u8>,
        signature: Signature,
        last_valid_block_height: u64,
    ) -> Result<SubmissionId, LedgerError> {
        let (now, holder) = (self.now(), self.lease_holder());
        self.write("record_submission", move |tx| {
            settler_lock::check(tx, holder)?;
            if let Some(id) = signed_by(tx, &signature)? {
                return Ok(id);
            }
            let id = tx.one(
                "-- record_submission
                INSERT INTO submissions
                       (kind, state, transaction_bytes, signature, last_valid_block_height, created_at, updated_at)
                VALUES (?1, 'recorded', ?2, ?3, ?4, ?5, ?5) RETURNING submission_id",
                params![
                intent.kind,
                transaction,
                signature.as_ref(),
                integer(last_valid_block_height)?,
                now
            ],
                |row| row.get(0),
            )?;
            for effect in &intent.effects {
                if channel::find(tx, &effect.channel)?.is_none() {
                    return Err(LedgerError::UnknownChannel(effect.channel));
                }
                attach(tx, id, effect)?;
            }
            Ok(id)
        })
        .await
    }
}
