//! Forgetting what nobody can ask for any more, and archiving what is over.
//!
//! Everything is done in small transactions, between which vouchers are accepted. Each step finds its rows by a
//! partial index that holds nothing else, so that its cost goes with what it removes, whatever else lives here.

use toll_protocol::OPEN_SLOT_WINDOW;

use crate::column::integer;
use crate::engine::{Tx, params};
use crate::{DAY, Ledger, LedgerError, acceptance, serving};

mod archive;
#[cfg(test)]
mod tests;

/// What a purge did, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Answers of paid requests that were dropped; the requests are still known.
    pub answers: usize,
    /// Paid requests that were forgotten.
    pub replays: usize,
    /// Uses of challenges that were forgotten.
    pub challenges: usize,
    /// Payments that bought nothing and were forgotten.
    pub payments: usize,
    /// Transactions whose bytes were dropped.
    pub transactions: usize,
    /// Opens that never landed and were forgotten.
    pub failed_opens: usize,
    /// Requests that nobody served to the end, settled at what was delivered.
    pub stale_earmarks: usize,
    /// Lines that were entered in the journal.
    pub entered: usize,
    /// Channels that moved to the archive.
    pub archived: usize,
    /// Channels that the archive forgot.
    pub forgotten: usize,
}

impl Purged {
    /// All that went.
    pub fn total(&self) -> usize {
        let Self {
            answers,
            replays,
            challenges,
            payments,
            transactions,
            failed_opens,
            archived,
            forgotten,
            entered: _,
            stale_earmarks: _,
        } = *self;
        answers + replays + challenges + payments + transactions + failed_opens + archived + forgotten
    }
}

/// One transaction's worth of work.
#[derive(Clone, Copy, Debug)]
struct Batch {
    /// The time now, in unix seconds.
    now: i64,
    /// The time until which things go, in unix seconds.
    until: i64,
    /// How many rows may be touched.
    rows: usize,
}

/// Does one batch. Returns how many things it was about, and whether there may be more.
type Step = fn(&Tx, Batch) -> Result<(usize, bool), LedgerError>;

const NOTE_OVER: &str = "-- note_over
    UPDATE channels SET over_since = ?1 WHERE channel_id IN
        (SELECT channel_id FROM channels INDEXED BY channels_newly_over WHERE over_since IS NULL AND state IN ('closed', 'gone') LIMIT ?2)";

/// A channel that a node hid, and that came back.
const NOTE_BACK: &str = "-- note_back
    UPDATE channels SET over_since = NULL WHERE channel_id IN
        (SELECT channel_id FROM channels INDEXED BY channels_back WHERE over_since IS NOT NULL AND state = 'closing' LIMIT ?1)";

const OVER_WITH_REPLAYS: &str = "-- over_with_replays
    SELECT channel_id FROM channels INDEXED BY channels_over_with_replays
     WHERE over_since IS NOT NULL AND replays_kept = 1 AND last_activity_at <= ?1
     ORDER BY last_activity_at LIMIT 1";

const PURGE_CHANNEL_REPLAYS: &str = "-- purge_channel_replays
    DELETE FROM replays WHERE (channel_id, replay_key) IN
        (SELECT channel_id, replay_key FROM replays WHERE channel_id = ?1 LIMIT ?2)";

const NO_REPLAYS_LEFT: &str = "-- no_replays_left
    UPDATE channels SET replays_kept = 0 WHERE channel_id = ?1";

const PURGE_OLD_REPLAYS: &str = "-- purge_old_replays
    DELETE FROM replays WHERE (channel_id, replay_key) IN
        (SELECT channel_id, replay_key FROM replays WHERE accepted_at <= ?1 ORDER BY accepted_at LIMIT ?2)";

const DROP_ANSWERS: &str = "-- drop_answers
    UPDATE replays SET answer = 'not_kept', answer_bytes = 0, response_status = NULL, response_headers = NULL,
           response_body = NULL
     WHERE (channel_id, replay_key) IN
        (SELECT channel_id, replay_key FROM replays WHERE response_status IS NOT NULL AND accepted_at <= ?1
          ORDER BY accepted_at LIMIT ?2)";

const PURGE_CHALLENGES: &str = "-- purge_challenges
    DELETE FROM challenges WHERE challenge_id IN
        (SELECT challenge_id FROM challenges WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";

/// The request of a top-up that landed stays, so that its repeat is recognized.
const DROP_TRANSACTIONS: &str = "-- drop_transactions
    UPDATE submissions
       SET transaction_bytes = x'',
           request = CASE WHEN kind = 'charge' OR (kind = 'top_up' AND state IN ('failed', 'expired'))
                          THEN NULL ELSE request END
     WHERE submission_id IN
        (SELECT submission_id FROM submissions
          WHERE state IN ('landed', 'failed', 'expired') AND transaction_bytes <> x'' AND updated_at <= ?1
          ORDER BY updated_at LIMIT ?2)";

/// Challenge, message and signature of a payment that landed stay for good; what repeats were answered with does not.
const DROP_PAYMENT_ANSWERS: &str = "-- drop_payment_answers
    UPDATE payments SET terms = '', answer = CASE WHEN answer = 'kept' THEN 'not_kept' ELSE answer END,
           response_status = NULL, response_headers = NULL, response_body = NULL
     WHERE challenge_id IN
        (SELECT challenge_id FROM payments WHERE terms <> '' AND state IN ('landed', 'served') AND updated_at <= ?1
          ORDER BY updated_at LIMIT ?2)";

/// What bought nothing, under a challenge that cannot be answered any more: its transaction repeats that challenge's
/// reference, so it pays no other.
const PURGE_FAILED_PAYMENTS: &str = "-- purge_failed_payments
    DELETE FROM payments WHERE challenge_id IN
        (SELECT challenge_id FROM payments WHERE state = 'failed' AND challenge_expires_at <= ?1
          ORDER BY challenge_expires_at LIMIT ?2)";

/// When the newest open was recorded that is one too many; asked on a reader.
const ONE_FAILED_OPEN_TOO_MANY: &str = "-- one_failed_open_too_many
    SELECT created_at FROM channels INDEXED BY channels_failed WHERE state = 'failed' AND created_at >= 0
     ORDER BY created_at DESC LIMIT 1 OFFSET ?1";

/// Opens that nobody ever saw on chain, and never will: their slot is too old to open that address, their
/// transactions are resolved and their challenges have expired.
const FAILED_OPENS: &str = "-- failed_opens
    SELECT channel_id FROM channels INDEXED BY channels_failed
     WHERE state = 'failed' AND created_at <= ?1 AND observed_slot = 0
       AND open_slot + ?2 < (SELECT slot FROM tip WHERE id = 1)
       AND NOT EXISTS (SELECT 1 FROM submission_channels JOIN submissions USING (submission_id)
                               LEFT JOIN challenges USING (submission_id)
                        WHERE submission_channels.channel_id = channels.channel_id
                          AND (submissions.state IN ('requested', 'recorded') OR challenges.expires_at > ?3))
     ORDER BY created_at LIMIT ?4";

impl Ledger {
    /// Drops what is past its retention at `now` (unix seconds), as [`LedgerConfig`](crate::LedgerConfig) has it,
    /// enters in the journal what is not there yet, and moves channels that are over to the archive.
    ///
    /// The entry of a paid request on a live channel outlives its answer, so that not even a late retry is
    /// charged twice. A failed open is forgotten only when its slot is too old to open that address ever again.
    pub async fn purge(&self, now: i64) -> Result<Purged, LedgerError> {
        let config = self.settings();
        let until = |retention: i64| now.saturating_sub(retention);
        let kept = until(config.replay_retention());
        let stale_earmarks = self.batches("stale_earmarks", now, now, stale_earmarks).await?;
        self.batches("note_over", now, now, note_over).await?;
        let failed = until(i64::from(config.failed_open_retention_seconds));
        let failed = failed.max(self.one_failed_open_too_many().await?);
        let on_closed = self.batches("purge_channel_replays", now, kept, channel_replays).await?;
        let aged = until(config.replay_entry_retention());
        let on_live =
            self.batches("purge_old_replays", now, aged, |tx, batch| by_age(tx, PURGE_OLD_REPLAYS, batch));
        let on_live = on_live.await?;
        let answers = self.batches("drop_answers", now, kept, |tx, batch| by_age(tx, DROP_ANSWERS, batch));
        let answers = answers.await?;
        let challenges =
            self.batches("purge_challenges", now, kept, |tx, batch| by_age(tx, PURGE_CHALLENGES, batch));
        let challenges = challenges.await?;
        self.batches("purge_serving", now, now, purge_serving).await?;
        let dropped = self
            .batches("drop_payment_answers", now, kept, |tx, batch| by_age(tx, DROP_PAYMENT_ANSWERS, batch));
        let answers = answers + dropped.await?;
        let payments = self.batches("purge_failed_payments", now, kept, |tx, batch| {
            by_age(tx, PURGE_FAILED_PAYMENTS, batch)
        });
        let payments = payments.await?;
        let transactions =
            self.batches("drop_transactions", now, kept, |tx, batch| by_age(tx, DROP_TRANSACTIONS, batch));
        let transactions = transactions.await?;
        let failed_opens = self.batches("failed_opens", now, failed, failed_opens).await?;
        let entered = self.bring_journal_up_to_date().await?;
        let archived = self.batches("archive", now, until(config.archive_after()), archive::archive).await?;
        let forgotten = match config.archive_retention() {
            Some(retention) => self.batches("forget", now, until(retention), archive::forget).await?,
            None => 0,
        };
        let replays = on_closed + on_live;
        Ok(Purged {
            answers,
            replays,
            challenges,
            payments,
            transactions,
            failed_opens,
            stale_earmarks,
            entered,
            archived,
            forgotten,
        })
    }

    /// Repeats `step`, a transaction each, until it leaves nothing for the next.
    async fn batches(
        &self,
        name: &'static str,
        now: i64,
        until: i64,
        step: Step,
    ) -> Result<usize, LedgerError> {
        let batch = Batch { now, until, rows: self.settings().purge_batch_rows as usize };
        let mut touched = 0;
        loop {
            let (rows, more) = self.write(name, move |tx| step(tx, batch)).await?;
            touched += rows;
            if !more {
                return Ok(touched);
            }
        }
    }

    /// The time until which failed opens go because there are too many of them.
    async fn one_failed_open_too_many(&self) -> Result<i64, LedgerError> {
        let most = self.settings().max_failed_opens;
        self.read("one_failed_open_too_many", move |tx| {
            let newest = tx.first(ONE_FAILED_OPEN_TOO_MANY, params![most], |row| row.get(0))?;
            Ok(newest.unwrap_or(i64::MIN))
        })
        .await
    }
}

/// Runs a statement that takes the oldest rows.
fn by_age(tx: &Tx, statement: &'static str, batch: Batch) -> Result<(usize, bool), LedgerError> {
    let rows = tx.execute(statement, params![batch.until, batch.rows])?;
    Ok((rows, rows == batch.rows))
}

/// Those that died a day ago.
fn purge_serving(tx: &Tx, batch: Batch) -> Result<(usize, bool), LedgerError> {
    let rows = tx.execute(serving::PURGE, params![DAY, batch.rows])?;
    Ok((rows, rows == batch.rows))
}

fn stale_earmarks(tx: &Tx, batch: Batch) -> Result<(usize, bool), LedgerError> {
    let settled = acceptance::settle_stale(tx, batch.rows, batch.now)?;
    Ok((settled, settled == batch.rows))
}

fn note_over(tx: &Tx, batch: Batch) -> Result<(usize, bool), LedgerError> {
    let over = tx.execute(NOTE_OVER, params![batch.now, batch.rows])?;
    let back = tx.execute(NOTE_BACK, params![batch.rows])?;
    Ok((over + back, over.max(back) == batch.rows))
}

/// The paid requests of one channel that is over, the last of which is past its retention.
fn channel_replays(tx: &Tx, batch: Batch) -> Result<(usize, bool), LedgerError> {
    let channel: Option<[u8; 32]> = tx.first(OVER_WITH_REPLAYS, params![batch.until], |row| row.get(0))?;
    let Some(channel) = channel else { return Ok((0, false)) };
    let rows = tx.execute(PURGE_CHANNEL_REPLAYS, params![channel, batch.rows])?;
    if rows < batch.rows {
        tx.execute(NO_REPLAYS_LEFT, params![channel])?;
    }
    Ok((rows, true))
}

/// Anybody can have such opens recorded, for free.
fn failed_opens(tx: &Tx, batch: Batch) -> Result<(usize, bool), LedgerError> {
    let channels: Vec<[u8; 32]> = tx.all(
        FAILED_OPENS,
        params![batch.until, integer(OPEN_SLOT_WINDOW)?, batch.now, batch.rows],
        |row| row.get(0),
    )?;
    for channel in &channels {
        while archive::detach(tx, channel, batch.rows)? == batch.rows {}
        tx.execute(archive::DELETE_CHANNEL, params![channel])?;
    }
    Ok((channels.len(), channels.len() == batch.rows))
}
