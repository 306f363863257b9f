//! Forgetting what nobody can ask for any more.

use rusqlite::{Connection, params};
use toll_protocol::OPEN_SLOT_WINDOW;

use crate::column::integer;
use crate::{Ledger, LedgerError, REPLAY_RETENTION};

/// Rows touched by one transaction: vouchers wait no longer than that for their turn.
const BATCH: usize = 500;

/// The statements of a purge, in an order that foreign keys allow. Each takes the time until which things go
/// (`?1`) and how many (`?2`).
const STATEMENTS: [(&str, &str); 4] = [
    (
        "purge_replays",
        "-- purge_replays
        DELETE FROM replays WHERE replay_key IN
            (SELECT replay_key FROM replays JOIN channels USING (channel_id)
              WHERE accepted_at <= ?1 AND state IN ('closed', 'gone', 'failed') LIMIT ?2)",
    ),
    (
        "purge_responses",
        "-- purge_responses
        UPDATE replays SET response_status = NULL, response_headers = NULL, response_body = NULL
         WHERE replay_key IN
            (SELECT replay_key FROM replays WHERE accepted_at <= ?1 AND response_status IS NOT NULL LIMIT ?2)",
    ),
    (
        "purge_challenges",
        "-- purge_challenges
        DELETE FROM challenges WHERE challenge_id IN
            (SELECT challenge_id FROM challenges WHERE expires_at <= ?1 LIMIT ?2)",
    ),
    (
        "purge_top_ups",
        "-- purge_top_ups
        UPDATE submissions SET request = NULL, transaction_bytes = x''
         WHERE submission_id IN
            (SELECT submission_id FROM submissions
              WHERE kind = 'top_up' AND state IN ('failed', 'expired') AND transaction_bytes <> x''
                AND updated_at <= ?1 LIMIT ?2)",
    ),
];

impl Ledger {
    /// Drops what is past its retention at `now` (unix seconds): answers after [`REPLAY_RETENTION`], whole
    /// entries once their channel is over as well, challenges that long after they expired, the bytes of
    /// top-ups that never landed, and opens that never did. Returns how many rows that touched.
    ///
    /// The entry of a live channel outlives its answer, so that not even a late retry is charged twice. A
    /// failed open is forgotten only when its slot is too old to open that address ever again. Works in
    /// small transactions, between which vouchers are accepted.
    pub async fn purge(&self, now: i64) -> Result<usize, LedgerError> {
        let until = now.saturating_sub(REPLAY_RETENTION);
        let mut touched = 0;
        for (name, statement) in STATEMENTS {
            touched += self
                .in_batches(name, move |tx| {
                    Ok(tx.prepare_cached(statement)?.execute(params![until, BATCH])?)
                })
                .await?;
        }
        Ok(touched + self.in_batches("purge_failed_opens", move |tx| failed_opens(tx, until)).await?)
    }

    /// Repeats `batch` until it leaves nothing for the next.
    async fn in_batches<F>(&self, name: &'static str, batch: F) -> Result<usize, LedgerError>
    where
        F: Fn(&Connection) -> Result<usize, LedgerError> + Clone + Send + 'static,
    {
        let mut touched = 0;
        loop {
            let rows = self.write(name, batch.clone()).await?;
            touched += rows;
            if rows < BATCH {
                return Ok(touched);
            }
        }
    }
}

/// Channels whose account nobody ever saw, and never will: anybody can have such opens recorded, for free.
fn failed_opens(tx: &Connection, until: i64) -> Result<usize, LedgerError> {
    let channels: Vec<[u8; 32]> = tx
        .prepare_cached(
            "-- purge_failed_opens
            SELECT channel_id FROM channels
             WHERE state = 'failed' AND observed_slot = 0 AND created_at <= ?1
               AND open_slot + ?2 < (SELECT slot FROM tip)
               AND NOT EXISTS (SELECT 1 FROM submission_channels JOIN submissions USING (submission_id)
                                WHERE submission_channels.channel_id = channels.channel_id
                                  AND (state IN ('requested', 'recorded')
                                       OR submission_id IN (SELECT submission_id FROM challenges)))
             LIMIT ?3",
        )?
        .query_map(params![until, integer(OPEN_SLOT_WINDOW)?, BATCH], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for channel in &channels {
        let submissions: Vec<i64> = tx
            .prepare_cached(
                "-- submissions_to_purge\nSELECT submission_id FROM submission_channels WHERE channel_id = ?1",
            )?
            .query_map([channel], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        tx.prepare_cached("-- purge_attachments\nDELETE FROM submission_channels WHERE channel_id = ?1")?
            .execute([channel])?;
        for submission in submissions {
            tx.prepare_cached("-- purge_submission\nDELETE FROM submissions WHERE submission_id = ?1")?
                .execute([submission])?;
        }
        tx.prepare_cached("-- purge_channel\nDELETE FROM channels WHERE channel_id = ?1")?
            .execute([channel])?;
    }
    Ok(channels.len())
}
