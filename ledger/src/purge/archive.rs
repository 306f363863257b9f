//! Moving channels that are over out of the tables that are worked on.

use toll_protocol::ChannelId;

use super::Batch;
use crate::engine::{Tx, params};
use crate::{LedgerError, journal};

/// A channel whose account is gone and whose paid requests are forgotten, with every transaction resolved.
pub(super) const NEXT: &str = "-- channel_to_archive
    SELECT channel_id FROM channels INDEXED BY channels_to_archive
     WHERE over_since IS NOT NULL AND replays_kept = 0 AND state = 'gone' AND over_since <= ?1
       AND NOT EXISTS (SELECT 1 FROM submission_channels JOIN submissions USING (submission_id)
                        WHERE submission_channels.channel_id = channels.channel_id
                          AND submissions.state IN ('requested', 'recorded'))
     ORDER BY over_since LIMIT 1";

pub(super) const COPY_SUBMISSIONS: &str = "-- archive_submissions
    INSERT INTO archived_submissions
           (channel_id, submission_id, kind, state, signature, amount, error, fee_lamports, compute_units,
            landed_slot, created_at, updated_at)
    SELECT channel_id, submission_id, kind, state, signature, amount, error, fee_lamports, compute_units,
           landed_slot, created_at, updated_at
      FROM submission_channels JOIN submissions USING (submission_id)
     WHERE channel_id = ?1 ORDER BY submission_id LIMIT ?2
    ON CONFLICT DO NOTHING";

pub(super) const COPY_CHANNEL: &str = "-- archive_channel
    INSERT INTO archived_channels
           (channel_id, payer, payee, mint, authorized_signer, salt, open_slot, program, token_program, rent_payer,
            grace_period, splits, price, unit_type, opening_challenge_id, deposit, accepted, spent, settled,
            payout_watermark, payer_withdrawn_at, refunded, close_reason, close_signature, observed_slot,
            created_at, last_activity_at, closing_at, over_since, archived_at,
            voucher_amount, voucher_expires_at, voucher_signer, voucher_signature)
    SELECT channels.channel_id, payer, payee, mint, authorized_signer, salt, open_slot, program, token_program,
           rent_payer, grace_period, splits, price, unit_type, opening_challenge_id, deposit, accepted, spent,
           settled, payout_watermark, payer_withdrawn_at, refunded, close_reason, close_signature, observed_slot,
           created_at, last_activity_at, closing_at, over_since, ?2,
           vouchers.cumulative_amount, vouchers.expires_at, vouchers.signer, vouchers.signature
      FROM channels LEFT JOIN vouchers USING (channel_id)
     WHERE channels.channel_id = ?1
     ORDER BY vouchers.cumulative_amount DESC, vouchers.expires_at DESC LIMIT 1";

pub(super) const SUBMISSIONS: &str = "-- submissions_to_detach
    SELECT submission_id FROM submission_channels WHERE channel_id = ?1 ORDER BY submission_id LIMIT ?2";

pub(super) const DETACH: &str = "-- detach_submission
    DELETE FROM submission_channels WHERE channel_id = ?1 AND submission_id = ?2";

pub(super) const DELETE_CHALLENGES: &str = "-- delete_challenges
    DELETE FROM challenges WHERE submission_id = ?1
       AND NOT EXISTS (SELECT 1 FROM submission_channels WHERE submission_id = ?1)";

/// One that acted on several channels goes with the last of them.
pub(super) const DELETE_SUBMISSION: &str = "-- delete_submission
    DELETE FROM submissions WHERE submission_id = ?1
       AND NOT EXISTS (SELECT 1 FROM submission_channels WHERE submission_id = ?1)";

pub(super) const DELETE_VOUCHERS: &str = "-- delete_vouchers\nDELETE FROM vouchers WHERE channel_id = ?1";

/// The journal has all that moved, and nothing moves any more.
pub(super) const DELETE_MARKS: &str = "-- delete_marks\nDELETE FROM journal_marks WHERE channel_id = ?1";

pub(super) const DELETE_CHANNEL: &str = "-- delete_channel\nDELETE FROM channels WHERE channel_id = ?1";

pub(super) const FORGET: &str = "-- channels_to_forget
    SELECT channel_id FROM archived_channels WHERE archived_at <= ?1 ORDER BY archived_at LIMIT ?2";

pub(super) const FORGET_SUBMISSIONS: &str =
    "-- forget_submissions\nDELETE FROM archived_submissions WHERE channel_id = ?1";

pub(super) const FORGET_CHANNEL: &str =
    "-- forget_channel\nDELETE FROM archived_channels WHERE channel_id = ?1";

/// Archives one channel, or a part of its transactions when it has many.
///
/// The use of its challenge goes with it: a challenge expires long before.
pub(super) fn archive(tx: &Tx, batch: Batch) -> Result<(usize, bool), LedgerError> {
    let channel: Option<[u8; 32]> = tx.first(NEXT, params![batch.until], |row| row.get(0))?;
    let Some(channel) = channel else { return Ok((0, false)) };
    journal::enter(tx, &ChannelId::new(channel), batch.now, None)?;
    tx.execute(COPY_SUBMISSIONS, params![channel, batch.rows])?;
    if detach(tx, &channel, batch.rows)? == batch.rows {
        return Ok((0, true));
    }
    tx.execute(COPY_CHANNEL, params![channel, batch.now])?;
    tx.execute(DELETE_VOUCHERS, params![channel])?;
    tx.execute(DELETE_MARKS, params![channel])?;
    tx.execute(DELETE_CHANNEL, params![channel])?;
    Ok((1, true))
}

/// Removes a channel's oldest transactions, at most `rows`. Returns how many.
pub(super) fn detach(tx: &Tx, channel: &[u8; 32], rows: usize) -> Result<usize, LedgerError> {
    let submissions: Vec<i64> = tx.all(SUBMISSIONS, params![channel, rows], |row| row.get(0))?;
    for submission in &submissions {
        tx.execute(DETACH, params![channel, submission])?;
        tx.execute(DELETE_CHALLENGES, params![submission])?;
        tx.execute(DELETE_SUBMISSION, params![submission])?;
    }
    Ok(submissions.len())
}

/// Archived channels that not even an accountant wants. Their slots have been too old for their addresses to be
/// opened since long before they were archived.
pub(super) fn forget(tx: &Tx, batch: Batch) -> Result<(usize, bool), LedgerError> {
    let channels: Vec<[u8; 32]> = tx.all(FORGET, params![batch.until, batch.rows], |row| row.get(0))?;
    for channel in &channels {
        tx.execute(FORGET_SUBMISSIONS, params![channel])?;
        tx.execute(FORGET_CHANNEL, params![channel])?;
    }
    Ok((channels.len(), channels.len() == batch.rows))
}
