//! What the archive knows of channels that are over. [`Ledger::purge`] fills it.

use solana_signature::Signature;
use toll_protocol::{Agreement, Amount, ChannelId};

use crate::channel;
use crate::column::Columns;
use crate::engine::{DatabaseError, Row, params};
use crate::{CloseReason, Ledger, LedgerError, SubmissionId, SubmissionKind, SubmissionState, Watermarks};

const LATEST_ARCHIVED: &str = "-- latest_archived
    SELECT * FROM archived_channels INDEXED BY archived_channels_by_age ORDER BY archived_at DESC LIMIT ?1";

/// A channel that is over: what it was, and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchivedChannel {
    /// The channel's address.
    pub id: ChannelId,
    /// What the parties agreed on.
    pub agreement: Agreement,
    /// Price of one unit, as challenged when the channel opened.
    pub price: Amount,
    /// What a unit is, when the challenge said so.
    pub unit_type: Option<String>,
    /// The challenge that the open answered.
    pub opening_challenge_id: String,
    /// Its amounts at the end.
    pub watermarks: Watermarks,
    /// Cumulative amount of the highest voucher, if there was one.
    pub voucher: Option<Amount>,
    /// What the payer got back, if anybody saw it.
    pub refunded: Option<Amount>,
    /// Why service stopped.
    pub close_reason: Option<CloseReason>,
    /// The transaction that closed it.
    pub close_signature: Option<Signature>,
    /// When the open was recorded, in unix seconds.
    pub created_at: i64,
    /// Last open, accepted voucher or landed top-up, in unix seconds.
    pub last_activity_at: i64,
    /// When service stopped, in unix seconds.
    pub closing_at: Option<i64>,
    /// When the ledger first saw that it is over, in unix seconds.
    pub over_since: i64,
    /// When it came to the archive, in unix seconds.
    pub archived_at: i64,
}

/// A transaction of an archived channel, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedSubmission {
    /// Its number. One that acted on several channels is in the archive of each.
    pub id: SubmissionId,
    /// What it was for.
    pub kind: SubmissionKind,
    /// What became of it.
    pub state: SubmissionState,
    /// The transaction's own signature, if it was fully signed.
    pub signature: Option<Signature>,
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

impl Ledger {
    /// Up to `count` archived channels, the one that was archived last first.
    pub async fn archived_channels(&self, count: usize) -> Result<Vec<ArchivedChannel>, LedgerError> {
        self.read("latest_archived", move |tx| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            Ok(tx.all(LATEST_ARCHIVED, params![count], ArchivedChannel::from_row)?)
        })
        .await
    }

    /// An archived channel and its transactions, in the order in which they were recorded.
    pub async fn archived_channel(
        &self,
        id: &ChannelId,
    ) -> Result<Option<(ArchivedChannel, Vec<ArchivedSubmission>)>, LedgerError> {
        let id = *id;
        self.read("archived_channel", move |tx| {
            let channel = tx.first(
                "-- archived_channel\nSELECT * FROM archived_channels WHERE channel_id = ?1",
                params![id.as_bytes()],
                ArchivedChannel::from_row,
            )?;
            let Some(channel) = channel else { return Ok(None) };
            let submissions = tx.all(
                "-- archived_submissions
                SELECT * FROM archived_submissions WHERE channel_id = ?1 ORDER BY submission_id",
                params![id.as_bytes()],
                ArchivedSubmission::from_row,
            )?;
            Ok(Some((channel, submissions)))
        })
        .await
    }
}

impl ArchivedChannel {
    fn from_row(row: &Row<'_>) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.channel_id("channel_id")?,
            agreement: channel::agreement(row)?,
            price: row.amount("price")?,
            unit_type: row.get("unit_type")?,
            opening_challenge_id: row.get("opening_challenge_id")?,
            watermarks: channel::watermarks(row)?,
            voucher: row.optional_amount("voucher_amount")?,
            refunded: row.optional_amount("refunded")?,
            close_reason: row.get("close_reason")?,
            close_signature: row.optional_signature("close_signature")?,
            created_at: row.get("created_at")?,
            last_activity_at: row.get("last_activity_at")?,
            closing_at: row.get("closing_at")?,
            over_since: row.get("over_since")?,
            archived_at: row.get("archived_at")?,
        })
    }
}

impl ArchivedSubmission {
    fn from_row(row: &Row<'_>) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.get("submission_id")?,
            kind: row.get("kind")?,
            state: row.get("state")?,
            signature: row.optional_signature("signature")?,
            amount: row.optional_amount("amount")?,
            error: row.get("error")?,
            fee_lamports: row.optional_unsigned("fee_lamports")?,
            compute_units: row.optional_unsigned("compute_units")?,
            landed_slot: row.optional_unsigned("landed_slot")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}
