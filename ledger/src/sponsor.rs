//! What the sponsor pays for at present: published by the settler, which holds the purse, for the gateway,
//! which makes the promises.

use solana_pubkey::Pubkey;
use toll_protocol::{Amount, ChannelId};

use crate::column::{Columns, amount, integer};
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::spending::{self, day_of};
use crate::{Ledger, LedgerError};

/// What the sponsor pays for, and on which conditions.
///
/// It gives up in this order: opens first, then top-ups, vouchers last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sponsor {
    /// Pays fees and rent of new channels. If not, payers may pay them themselves.
    pub opens: bool,
    /// Pays the fees of top-ups. If not, payers may pay them themselves.
    pub top_ups: bool,
    /// Can pay for the closes of all channels, so that a voucher taken now settles. All or none: every close takes from
    /// the same lamports, and none is refused, so no channel has a part of them to itself.
    pub vouchers: bool,
    /// Most channels of one payer that are not closed.
    pub channels_per_payer: u64,
    /// Smallest top-up whose fee is paid, in base units.
    pub minimum_top_up: Amount,
    /// Lamports a day that may be spent on one payer.
    pub payer_budget: u64,
    /// What an open takes of a budget, in lamports: its fee and those of its close.
    pub open_charge: u64,
    /// Opens that it pays for in a minute, whoever the payers are; `None` for any number.
    pub opens_per_minute: Option<u64>,
    /// When it was published, in unix seconds.
    pub published_at: i64,
}

/// Why the sponsor does not pay for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsponsored {
    /// It pays for no channels at present.
    OutOfFunds,
    /// What it spends on this payer in a day is spent.
    PayerBudget,
    /// It has paid for as many opens as it does in a minute.
    TooManyOpens,
}

impl Ledger {
    /// Publishes what the sponsor pays for.
    pub async fn publish_sponsor(&self, sponsor: Sponsor) -> Result<(), LedgerError> {
        self.write("publish_sponsor", move |tx| {
            tx.execute(
                "-- publish_sponsor
                INSERT INTO sponsor
                       (id, opens, top_ups, vouchers, channels_per_payer, minimum_top_up, payer_budget,
                        open_charge, published_at, opens_per_minute)
                VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                ON CONFLICT (id) DO UPDATE SET
                    opens = excluded.opens, top_ups = excluded.top_ups, vouchers = excluded.vouchers,
                    channels_per_payer = excluded.channels_per_payer,
                    minimum_top_up = excluded.minimum_top_up, payer_budget = excluded.payer_budget,
                    open_charge = excluded.open_charge, published_at = excluded.published_at,
                    opens_per_minute = excluded.opens_per_minute",
                params![
                    sponsor.opens,
                    sponsor.top_ups,
                    sponsor.vouchers,
                    integer(sponsor.channels_per_payer)?,
                    amount(sponsor.minimum_top_up)?,
                    integer(sponsor.payer_budget)?,
                    integer(sponsor.open_charge)?,
                    sponsor.published_at,
                    sponsor.opens_per_minute.map(integer).transpose()?,
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// What the sponsor said last; `None` before it has said anything, when it pays for everything.
    pub async fn sponsor(&self) -> Result<Option<Sponsor>, LedgerError> {
        self.read("sponsor", |tx| Ok(find(tx)?)).await
    }

    /// Whether the sponsor would pay for an open now, of a payer it has not paid for today.
    pub async fn sponsors_opens(&self) -> Result<bool, LedgerError> {
        let now = self.now();
        self.read("sponsors_opens", move |tx| {
            let Some(sponsor) = find(tx)? else { return Ok(true) };
            Ok(sponsor.opens && !is_at_rate(tx, &sponsor, now)?)
        })
        .await
    }
}

/// What the sponsor said last, inside a transaction.
pub(crate) fn find(connection: &Tx) -> Result<Option<Sponsor>, DatabaseError> {
    connection.first("-- sponsor\nSELECT * FROM sponsor WHERE id = 1", &[], from_row)
}

/// Counts an open that the sponsor pays for at `now` (unix seconds).
pub(crate) fn count_open(connection: &Tx, now: i64) -> Result<(), DatabaseError> {
    connection.execute(
        "-- count_sponsored_open
        UPDATE sponsor
           SET opens_in_minute = CASE WHEN minute = ?1 THEN opens_in_minute + 1 ELSE 1 END, minute = ?1",
        params![minute_of(now)],
    )?;
    Ok(())
}

/// Gives back the place of an open that nobody but its payer ever signed: it cost the sponsor nothing, and whoever
/// sends many of those must not use up the minute for all others.
pub(crate) fn uncount_open(connection: &Tx, channel: &ChannelId) -> Result<(), DatabaseError> {
    connection.execute(
        "-- uncount_sponsored_open
        UPDATE sponsor
           SET opens_in_minute = opens_in_minute - 1
         WHERE opens_in_minute > 0
           AND EXISTS (SELECT 1
                         FROM channels JOIN submission_channels USING (channel_id)
                              JOIN submissions USING (submission_id)
                        WHERE channel_id = ?1 AND payer <> rent_payer
                          AND channels.created_at / 60 = sponsor.minute
                          AND kind = 'open' AND signature IS NULL)",
        params![channel.as_bytes()],
    )?;
    Ok(())
}

/// Whether the sponsor has paid for as many opens as it does in the minute of `now` (unix seconds).
fn is_at_rate(connection: &Tx, sponsor: &Sponsor, now: i64) -> Result<bool, DatabaseError> {
    let Some(limit) = sponsor.opens_per_minute else { return Ok(false) };
    let opened: i64 = connection.one(
        "-- sponsored_opens
        SELECT CASE WHEN minute = ?1 THEN opens_in_minute ELSE 0 END FROM sponsor WHERE id = 1",
        params![minute_of(now)],
        |row| row.get(0),
    )?;
    Ok(opened.unsigned_abs() >= limit)
}

fn minute_of(now: i64) -> i64 {
    now.div_euclid(60)
}

/// How many channels of `payer` are not closed.
pub(crate) fn live_channels(connection: &Tx, payer: &Pubkey) -> Result<u64, DatabaseError> {
    let count: i64 = connection.one(
        "-- live_channels_of
        SELECT count(*) FROM channels
         WHERE payer = ?1 AND state IN ('opening', 'open', 'closing')",
        params![payer.as_ref()],
        |row| row.get(0),
    )?;
    Ok(count.unsigned_abs())
}

/// Why `sponsor` would not pay for another channel of `payer` at `now` (unix seconds).
pub(crate) fn refusal(
    connection: &Tx,
    sponsor: &Sponsor,
    payer: &Pubkey,
    now: i64,
) -> Result<Option<Unsponsored>, DatabaseError> {
    if !sponsor.opens {
        return Ok(Some(Unsponsored::OutOfFunds));
    }
    if is_at_rate(connection, sponsor, now)? {
        return Ok(Some(Unsponsored::TooManyOpens));
    }
    let charged = spending::charged_to(connection, payer, day_of(now))?;
    let left = sponsor.payer_budget.saturating_sub(charged);
    Ok((left < sponsor.open_charge).then_some(Unsponsored::PayerBudget))
}

fn from_row(row: &Row<'_>) -> Result<Sponsor, DatabaseError> {
    Ok(Sponsor {
        opens: row.get("opens")?,
        top_ups: row.get("top_ups")?,
        vouchers: row.get("vouchers")?,
        channels_per_payer: row.unsigned("channels_per_payer")?,
        minimum_top_up: row.amount("minimum_top_up")?,
        payer_budget: row.unsigned("payer_budget")?,
        open_charge: row.unsigned("open_charge")?,
        opens_per_minute: row.get::<_, Option<i64>>("opens_per_minute")?.map(i64::unsigned_abs),
        published_at: row.get("published_at")?,
    })
}
