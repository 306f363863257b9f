//! What the sponsor pays for at present: published by the settler, which holds the purse, for the gateway,
//! which makes the promises.

use solana_pubkey::Pubkey;
use toll_protocol::{Amount, ChannelId};

use crate::column::{Columns, amount, integer};
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::rules::sponsorship::{self as rules, OpensInMinute, Share};
use crate::spending::{self, day_of};
use crate::{ChannelRecord, Ledger, LedgerError};

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
        self.write_beside("publish_sponsor", move |tx| {
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
        self.read_beside("sponsor", |tx| Ok(find(tx)?)).await
    }

    /// Whether the sponsor would pay for an open now, of a payer it has not paid for today.
    pub async fn sponsors_opens(&self) -> Result<bool, LedgerError> {
        let now = self.now();
        self.read("sponsors_opens", move |tx| {
            let Some(sponsor) = find(tx)? else { return Ok(true) };
            Ok(rules::pays_for_opens(&sponsor, opens_in_minute(tx)?, now).is_ok())
        })
        .await
    }
}

/// What the sponsor said last, inside a transaction.
pub(crate) fn find(connection: &Tx) -> Result<Option<Sponsor>, DatabaseError> {
    connection.first("-- sponsor\nSELECT * FROM sponsor WHERE id = 1", &[], from_row)
}

/// The sponsor's conditions, what `payer` has of it at `now` (unix seconds), and what it has paid for lately.
pub(crate) fn as_seen_by(
    connection: &Tx,
    payer: &Pubkey,
    now: i64,
) -> Result<Option<(Sponsor, Share, OpensInMinute)>, DatabaseError> {
    let Some(sponsor) = find(connection)? else { return Ok(None) };
    let live = live_channels(connection, payer)?;
    let charged = spending::charged_to(connection, payer, day_of(now))?;
    Ok(Some((sponsor, Share { live, charged }, opens_in_minute(connection)?)))
}

/// Counts an open that the sponsor pays for at `now` (unix seconds).
pub(crate) fn count_open(connection: &Tx, now: i64) -> Result<(), LedgerError> {
    let opened = opens_in_minute(connection)?;
    set_opens_in_minute(connection, opened.counted(now))
}

/// Gives back the place of an open that failed, if the sponsor was to pay for it and nobody but its payer ever signed it.
pub(crate) fn give_back(connection: &Tx, failed: &ChannelRecord) -> Result<(), LedgerError> {
    if failed.agreement.rent_payer == failed.agreement.terms.payer || !is_unsigned(connection, &failed.id)? {
        return Ok(());
    }
    let opened = opens_in_minute(connection)?;
    set_opens_in_minute(connection, opened.given_back(failed.created_at))
}

/// Whether the settler has not signed the channel's open.
fn is_unsigned(connection: &Tx, channel: &ChannelId) -> Result<bool, DatabaseError> {
    connection.one(
        "-- is_unsigned
        SELECT EXISTS (SELECT 1 FROM submission_channels JOIN submissions USING (submission_id)
                        WHERE channel_id = ?1 AND kind = 'open' AND signature IS NULL)",
        params![channel.as_bytes()],
        |row| row.get(0),
    )
}

fn opens_in_minute(connection: &Tx) -> Result<OpensInMinute, DatabaseError> {
    let found = connection.first(
        "-- opens_in_minute\nSELECT minute, opens_in_minute FROM sponsor WHERE id = 1",
        &[],
        |row| Ok(OpensInMinute { minute: row.get("minute")?, opens: row.unsigned("opens_in_minute")? }),
    )?;
    Ok(found.unwrap_or_default())
}

/// Where nothing is published, nothing is counted.
fn set_opens_in_minute(connection: &Tx, opened: OpensInMinute) -> Result<(), LedgerError> {
    connection.execute(
        "-- set_opens_in_minute\nUPDATE sponsor SET minute = ?1, opens_in_minute = ?2",
        params![opened.minute, integer(opened.opens)?],
    )?;
    Ok(())
}

/// How many channels of `payer` are not closed.
fn live_channels(connection: &Tx, payer: &Pubkey) -> Result<u64, DatabaseError> {
    let count: i64 = connection.one(
        "-- live_channels_of
        SELECT count(*) FROM channels
         WHERE payer = ?1 AND state IN ('opening', 'open', 'closing')",
        params![payer.as_ref()],
        |row| row.get(0),
    )?;
    Ok(count.unsigned_abs())
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
