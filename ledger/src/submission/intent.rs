//! What a transaction is meant to do, written down with it.

use toll_protocol::{Amount, ChannelId};

use super::{SubmissionId, SubmissionKind};
use crate::LedgerError;
use crate::column::{Columns, amount};
use crate::engine::{DatabaseError, Row, Tx, params};

/// What a transaction is meant to do. Nobody has to read its bytes to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What it is for.
    pub kind: SubmissionKind,
    /// What it does to each channel it acts on. None for one that makes a token account.
    pub effects: Vec<Effect>,
}

/// What a transaction does to one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The channel.
    pub channel: ChannelId,
    /// The cumulative amount of the voucher it shows, if it shows one. From when it is sent, that voucher is
    /// public.
    pub publishes: Option<Amount>,
    /// Whether it pays out everything that is settled once it has landed.
    pub pays_out: bool,
}

impl Effect {
    /// Acts on `channel` without a voucher or a payout.
    pub const fn on(channel: ChannelId) -> Self {
        Self { channel, publishes: None, pays_out: false }
    }
}

impl Intent {
    /// One effect on one channel.
    pub fn of(kind: SubmissionKind, effect: Effect) -> Self {
        Self { kind, effects: vec![effect] }
    }

    /// Acts on channels without vouchers or payouts.
    pub fn on(kind: SubmissionKind, channels: &[ChannelId]) -> Self {
        Self { kind, effects: channels.iter().copied().map(Effect::on).collect() }
    }

    /// Creates the token account of somebody who is paid; acts on no channel.
    pub const fn create_account() -> Self {
        Self { kind: SubmissionKind::CreateAccount, effects: Vec::new() }
    }
}

/// Writes down what a submission does to a channel, and what it tells everybody by that.
pub(super) fn attach(tx: &Tx, id: SubmissionId, effect: &Effect) -> Result<(), LedgerError> {
    tx.execute(
        "-- attach_submission
        INSERT INTO submission_channels (channel_id, submission_id, publishes, pays_out)
        VALUES (?1, ?2, ?3, ?4)",
        params![
            effect.channel.as_bytes(),
            id.get(),
            effect.publishes.map(amount).transpose()?,
            effect.pays_out,
        ],
    )?;
    match effect.publishes {
        Some(shown) => note_published(tx, effect.channel.as_bytes(), shown),
        None => Ok(()),
    }
}

pub(super) fn effects(connection: &Tx, id: SubmissionId) -> Result<Vec<Effect>, DatabaseError> {
    connection.all(
        "-- submission_effects
        SELECT channel_id, publishes, pays_out FROM submission_channels WHERE submission_id = ?1",
        params![id.get()],
        effect,
    )
}

fn effect(row: &Row<'_>) -> Result<Effect, DatabaseError> {
    Ok(Effect {
        channel: row.channel_id("channel_id")?,
        publishes: row.optional_amount("publishes")?,
        pays_out: row.get("pays_out")?,
    })
}

/// Notes that the voucher for `shown` is about to be sent. Whoever is handed the transaction has it from then on,
/// whatever becomes of the transaction: it still settles, but no longer shows that its sender is the payer.
fn note_published(tx: &Tx, channel: &[u8; 32], shown: Amount) -> Result<(), LedgerError> {
    tx.execute(
        "-- note_published
        UPDATE channels SET sent_cumulative = ?2 WHERE channel_id = ?1 AND sent_cumulative < ?2",
        params![channel, amount(shown)?],
    )?;
    Ok(())
}
