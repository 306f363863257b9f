//! Channel rows: what a channel is, and where it stands.

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::{Agreement, Amount, ChannelAccount, ChannelId, ChannelStatus, ChannelTerms, Splits};

use crate::column::{Columns, amount, integer, undecodable, words};
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::{Ledger, LedgerError, SubmissionId, Watermarks};

/// Where a channel stands, for the payee. Only `Open` serves; no state is left backwards but `Closing`, when the rearm
/// of a channel that is [renewed](ChannelRecord::renewing) has landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelState {
    /// The open is on record; the chain has not shown the account yet.
    Opening,
    /// Vouchers are accepted.
    Open,
    /// Service has stopped, by us or by the payer's forced close; tokens are still in escrow.
    Closing,
    /// Every token is paid out; only the account's rent may wait for reclaim.
    Closed,
    /// The account is deallocated.
    Gone,
    /// The open never landed, as far as we know. Should the account show up after all, it is observed.
    Failed,
}

words!(ChannelState {
    Opening => "opening",
    Open => "open",
    Closing => "closing",
    Closed => "closed",
    Gone => "gone",
    Failed => "failed",
});

impl ChannelState {
    /// The states in which the chain may still have something to say.
    pub const LIVE: &'static [Self] = &[Self::Opening, Self::Open, Self::Closing];

    /// How far along its life a channel is. A failed open is no further than one that has not landed.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Opening | Self::Failed => 0,
            Self::Open => 1,
            Self::Closing => 2,
            Self::Closed => 3,
            Self::Gone => 4,
        }
    }
}

/// Why service on a channel stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The payer asked over HTTP.
    Requested,
    /// Nothing happened for the channel's idle timeout.
    Idle,
    /// The payee closes its channels before it stops.
    Shutdown,
    /// The payer went to the chain.
    Forced,
}

words!(CloseReason {
    Requested => "requested",
    Idle => "idle",
    Shutdown => "shutdown",
    Forced => "forced",
});

/// All the ledger knows about a channel, vouchers and submissions aside.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelRecord {
    /// The channel's address.
    pub id: ChannelId,
    /// The address's bump.
    pub bump: u8,
    /// What the parties agreed on.
    pub agreement: Agreement,
    /// Price of one unit, as challenged when the channel opened.
    pub price: Amount,
    /// What a unit is, when the challenge said so.
    pub unit_type: Option<String>,
    /// Seconds without activity after which the channel is closed; fixed for its life.
    pub idle_timeout: u32,
    /// The challenge that the open answered.
    pub opening_challenge_id: String,
    /// Digest of the proof that uses of the channel carry, where the server signs the vouchers. Nothing on the chain
    /// tells it.
    pub proof: Option<[u8; 32]>,
    /// Where it stands.
    pub state: ChannelState,
    /// Its amounts.
    pub watermarks: Watermarks,
    /// Highest cumulative amount of a voucher in a transaction that may have been sent.
    pub sent: Amount,
    /// The account's status at `observed_slot`; `None` before the account was seen and once it is gone.
    pub chain_status: Option<ChannelStatus>,
    /// Chain time of the payer's forced close, while one is pending.
    pub closure_started_at: Option<i64>,
    /// Chain time of the payer's refund, if it took one early.
    pub payer_withdrawn_at: Option<i64>,
    /// Last open, accepted voucher or landed top-up, in unix seconds.
    pub last_activity_at: i64,
    /// Why service stopped, once it did.
    pub close_reason: Option<CloseReason>,
    /// When service stopped, in unix seconds.
    pub closing_at: Option<i64>,
    /// Whether a channel that is closing is to be rearmed and to serve again.
    pub renewing: bool,
    /// What was settled when the last session that was rearmed ended.
    pub rearmed: Option<Amount>,
    /// The open or top-up with which the payer asked for its deposit to stay in escrow while the channel is idle; `None`
    /// where it is refunded.
    pub kept_by: Option<SubmissionId>,
    /// The cumulative amount that is to be settled and paid out although the channel stays open, until it is.
    pub pay_out_to: Option<Amount>,
    /// The transaction that closed it.
    pub close_signature: Option<Signature>,
    /// What the payer got back, once closed.
    pub refunded: Option<Amount>,
    /// Why the open failed, if it did.
    pub failure: Option<String>,
    /// Slot of the chain facts here; 0 before the first.
    pub observed_slot: u64,
    /// When the open was recorded, in unix seconds.
    pub created_at: i64,
}

impl ChannelRecord {
    /// The cumulative amount up to which vouchers prove nothing: the chain shows them, or a transaction in flight
    /// may. Zero while nothing was shown.
    pub fn published(&self) -> Amount {
        published(&self.watermarks, self.sent)
    }

    /// Whether a voucher for `cumulative` could be anybody's by now.
    pub fn has_published(&self, cumulative: Amount) -> bool {
        !self.published().is_zero() && cumulative <= self.published()
    }

    /// Whether the account is said to be gone although nobody was seen to pay it out.
    pub(crate) fn has_vanished(&self) -> bool {
        self.state == ChannelState::Gone && self.refunded.is_none() && self.close_signature.is_none()
    }

    /// Whether less is settled, paid out or escrowed here than `account` says.
    pub(crate) fn is_below(&self, account: &ChannelAccount) -> bool {
        let marks = &self.watermarks;
        marks.settled < account.settled
            || marks.payout_watermark < account.payout_watermark
            || marks.deposit < account.deposit
    }

    /// Whether more is settled, paid out or escrowed here than `account` says.
    pub(crate) fn is_above(&self, account: &ChannelAccount) -> bool {
        let marks = &self.watermarks;
        marks.settled > account.settled
            || marks.payout_watermark > account.payout_watermark
            || marks.deposit > account.deposit
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, DatabaseError> {
        let status: Option<u8> = row.get("chain_status")?;
        Ok(Self {
            id: row.channel_id("channel_id")?,
            bump: row.get("bump")?,
            agreement: agreement(row)?,
            price: row.amount("price")?,
            unit_type: row.get("unit_type")?,
            idle_timeout: row.get("idle_timeout")?,
            opening_challenge_id: row.get("opening_challenge_id")?,
            proof: row.get("proof")?,
            state: row.get("state")?,
            watermarks: amounts(row)?,
            sent: row.amount("sent_cumulative")?,
            chain_status: status
                .map(ChannelStatus::try_from)
                .transpose()
                .map_err(|_| undecodable("chain_status"))?,
            closure_started_at: row.get("closure_started_at")?,
            payer_withdrawn_at: row.get("payer_withdrawn_at")?,
            last_activity_at: row.get("last_activity_at")?,
            close_reason: row.get("close_reason")?,
            closing_at: row.get("closing_at")?,
            renewing: row.get("renewing")?,
            rearmed: row.optional_amount("rearmed")?,
            kept_by: row.get("kept_by")?,
            pay_out_to: row.optional_amount("pay_out_to")?,
            close_signature: row.optional_signature("close_signature")?,
            refunded: row.optional_amount("refunded")?,
            failure: row.get("failure")?,
            observed_slot: row.unsigned("observed_slot")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// See [`ChannelRecord::published`].
pub(crate) fn published(watermarks: &Watermarks, sent: Amount) -> Amount {
    watermarks.settled.max(sent)
}

/// What the parties of a channel row agreed on.
pub(crate) fn agreement(row: &Row<'_>) -> Result<Agreement, DatabaseError> {
    let salt: String = row.get("salt")?;
    let splits: Vec<u8> = row.get("splits")?;
    Ok(Agreement {
        program: row.pubkey("program")?,
        terms: ChannelTerms {
            payer: row.pubkey("payer")?,
            payee: row.pubkey("payee")?,
            mint: row.pubkey("mint")?,
            authorized_signer: row.pubkey("authorized_signer")?,
            salt: salt.parse().map_err(|_| undecodable("salt"))?,
            open_slot: row.unsigned("open_slot")?,
        },
        token_program: row.pubkey("token_program")?,
        rent_payer: row.pubkey("rent_payer")?,
        grace_period: row.get("grace_period")?,
        splits: Splits::from_preimage(&splits).map_err(|_| undecodable("splits"))?,
    })
}

/// All amounts of a channel's row.
pub(crate) fn amounts(row: &Row<'_>) -> Result<Watermarks, DatabaseError> {
    Ok(Watermarks { earmarked: row.amount("earmarked")?, ..watermarks(row)? })
}

/// The amounts of a channel that outlast its requests.
pub(crate) fn watermarks(row: &Row<'_>) -> Result<Watermarks, DatabaseError> {
    Ok(Watermarks {
        deposit: row.amount("deposit")?,
        accepted: row.amount("accepted")?,
        spent: row.amount("spent")?,
        earmarked: Amount::ZERO,
        settled: row.amount("settled")?,
        payout_watermark: row.amount("payout_watermark")?,
    })
}

/// The channel's row, inside a transaction.
pub(crate) fn find(connection: &Tx, id: &ChannelId) -> Result<Option<ChannelRecord>, DatabaseError> {
    connection.first(
        "-- channel\nSELECT * FROM channels WHERE channel_id = ?1",
        params![id.as_bytes()],
        ChannelRecord::from_row,
    )
}

/// Writes the channel's row as it is `after` a decision on that row, in the same transaction. What never changes, what
/// vouchers change and what the payer asked for is not written.
pub(crate) fn store(tx: &Tx, after: &ChannelRecord) -> Result<(), LedgerError> {
    let marks = &after.watermarks;
    tx.execute(
        "-- store_channel
        UPDATE channels
           SET state = ?2, deposit = ?3, accepted = ?4, settled = ?5, payout_watermark = ?6, chain_status = ?7,
               closure_started_at = ?8, payer_withdrawn_at = ?9, refunded = ?10, last_activity_at = ?11,
               close_reason = ?12, closing_at = ?13, failure = ?14, observed_slot = ?15, pay_out_to = ?16,
               renewing = ?17, rearmed = ?18, close_signature = ?19
         WHERE channel_id = ?1",
        params![
            after.id.as_bytes(),
            after.state,
            amount(marks.deposit)?,
            amount(marks.accepted)?,
            amount(marks.settled)?,
            amount(marks.payout_watermark)?,
            after.chain_status.map(|status| status as u8),
            after.closure_started_at,
            after.payer_withdrawn_at,
            after.refunded.map(amount).transpose()?,
            after.last_activity_at,
            after.close_reason,
            after.closing_at,
            after.failure,
            integer(after.observed_slot)?,
            after.pay_out_to.map(amount).transpose()?,
            after.renewing,
            after.rearmed.map(amount).transpose()?,
            after.close_signature.as_ref().map(AsRef::<[u8]>::as_ref),
        ],
    )?;
    Ok(())
}

pub(crate) const FORCED_CLOSES: &str = "-- forced_closes
    SELECT (SELECT count(*) FROM channels
             WHERE payer = ?1 AND close_reason = 'forced' AND closing_at >= ?2)
         + (SELECT count(*) FROM archived_channels
             WHERE payer = ?1 AND close_reason = 'forced' AND closing_at >= ?2)";

impl Ledger {
    /// The channel, if the ledger has it.
    pub async fn channel(&self, id: &ChannelId) -> Result<Option<ChannelRecord>, LedgerError> {
        let id = *id;
        self.read("channel", move |tx| Ok(find(tx, &id)?)).await
    }

    /// Every channel in one of `states`, oldest first. [`ChannelState::ALL`] and [`ChannelState::LIVE`] are
    /// such lists.
    pub async fn channels(&self, states: &[ChannelState]) -> Result<Vec<ChannelRecord>, LedgerError> {
        let states = states.to_vec();
        self.read("channels", move |tx| {
            let mut records: Vec<ChannelRecord> = Vec::new();
            for state in &states {
                records.extend(tx.all(
                    "-- channels\nSELECT * FROM channels WHERE state = ?1 ORDER BY rowid",
                    params![state],
                    ChannelRecord::from_row,
                )?);
            }
            records.sort_by_key(|record| record.created_at);
            Ok(records)
        })
        .await
    }

    /// How many channels are in one of `states`.
    pub async fn count_channels(&self, states: &[ChannelState]) -> Result<u64, LedgerError> {
        let states = states.to_vec();
        self.read("count_channels", move |tx| {
            let mut count = 0;
            for state in &states {
                count += tx
                    .one(
                        "-- count_channels\nSELECT count(*) FROM channels WHERE state = ?1",
                        params![state],
                        |row| row.get::<_, i64>(0),
                    )?
                    .unsigned_abs();
            }
            Ok(count)
        })
        .await
    }

    /// How many of the same payer's channels were recorded before `id` and are not closed.
    pub async fn live_channels_before(&self, id: &ChannelId) -> Result<u64, LedgerError> {
        let id = *id;
        self.read("live_channels_before", move |tx| {
            let count: i64 = tx.one(
                "-- live_channels_before
                SELECT count(*) FROM channels
                  JOIN channels AS this ON this.channel_id = ?1 AND this.payer = channels.payer
                 WHERE channels.rowid < this.rowid
                   AND channels.state IN ('opening', 'open', 'closing')",
                params![id.as_bytes()],
                |row| row.get(0),
            )?;
            Ok(count.unsigned_abs())
        })
        .await
    }

    /// Channels that vanished at `since` (unix seconds) or later, unpaid by all we know, with something accepted
    /// that was never settled.
    pub async fn vanished_channels(&self, since: i64) -> Result<Vec<ChannelRecord>, LedgerError> {
        self.read("vanished_channels", move |tx| {
            let vanished = tx.all(
                "-- vanished_channels
                SELECT * FROM channels
                 WHERE state = 'gone' AND refunded IS NULL AND close_signature IS NULL
                   AND closing_at >= ?1 AND accepted > settled",
                params![since],
                ChannelRecord::from_row,
            )?;
            Ok(vanished)
        })
        .await
    }

    /// How many of the payer's channels ended, or are ending, by a forced close begun at `since` (unix
    /// seconds) or later.
    pub async fn forced_closes(&self, payer: &Pubkey, since: i64) -> Result<u64, LedgerError> {
        let payer = payer.to_bytes();
        self.read("forced_closes", move |tx| {
            let count: i64 = tx.one(FORCED_CLOSES, params![payer, since], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
        .await
    }
}
