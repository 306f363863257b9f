//! What the sponsor pays for at present: published by the settler, which holds the purse, for the gateway,
//! which makes the promises.

use rusqlite::{Connection, OptionalExtension, Row, params};
use solana_pubkey::Pubkey;
use toll_protocol::Amount;

use crate::column::{Columns, amount, integer};
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
    /// Can pay for the closes of all channels, so that a voucher taken now settles.
    pub vouchers: bool,
    /// Most channels of one payer that are not closed.
    pub channels_per_payer: u64,
    /// Smallest top-up whose fee is paid, in base units.
    pub minimum_top_up: Amount,
    /// Lamports a day that may be spent on one payer.
    pub payer_budget: u64,
    /// What an open takes of a budget, in lamports: its fee and those of its close.
    pub open_charge: u64,
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
}

impl Ledger {
    /// Publishes what the sponsor pays for.
    pub async fn publish_sponsor(&self, sponsor: Sponsor) -> Result<(), LedgerError> {
        self.write("publish_sponsor", move |tx| {
            tx.prepare_cached(
                "-- publish_sponsor
                INSERT INTO sponsor
                       (id, opens, top_ups, vouchers, channels_per_payer, minimum_top_up, payer_budget,
                        open_charge, published_at)
                VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                ON CONFLICT (id) DO UPDATE SET
                    opens = excluded.opens, top_ups = excluded.top_ups, vouchers = excluded.vouchers,
                    channels_per_payer = excluded.channels_per_payer,
                    minimum_top_up = excluded.minimum_top_up, payer_budget = excluded.payer_budget,
                    open_charge = excluded.open_charge, published_at = excluded.published_at",
            )?
            .execute(params![
                sponsor.opens,
                sponsor.top_ups,
                sponsor.vouchers,
                integer(sponsor.channels_per_payer)?,
                amount(sponsor.minimum_top_up)?,
                integer(sponsor.payer_budget)?,
                integer(sponsor.open_charge)?,
                sponsor.published_at,
            ])?;
            Ok(())
        })
        .await
    }

    /// What the sponsor said last; `None` before it has said anything, when it pays for everything.
    pub async fn sponsor(&self) -> Result<Option<Sponsor>, LedgerError> {
        self.read("sponsor", |tx| Ok(find(tx)?)).await
    }
}

/// What the sponsor said last, inside a transaction.
pub(crate) fn find(connection: &Connection) -> rusqlite::Result<Option<Sponsor>> {
    connection
        .prepare_cached("-- sponsor\nSELECT * FROM sponsor WHERE id = 1")?
        .query_row([], from_row)
        .optional()
}

/// How many channels of `payer` are not closed.
pub(crate) fn live_channels(connection: &Connection, payer: &Pubkey) -> rusqlite::Result<u64> {
    let count: i64 = connection
        .prepare_cached(
            "-- live_channels_of
            SELECT count(*) FROM channels
             WHERE payer = ?1 AND state IN ('opening', 'open', 'closing')",
        )?
        .query_row([payer.as_ref()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Why `sponsor` would not pay for another channel of `payer` at `now` (unix seconds).
pub(crate) fn refusal(
    connection: &Connection,
    sponsor: &Sponsor,
    payer: &Pubkey,
    now: i64,
) -> rusqlite::Result<Option<Unsponsored>> {
    if !sponsor.opens {
        return Ok(Some(Unsponsored::OutOfFunds));
    }
    let charged = spending::charged_to(connection, payer, day_of(now))?;
    let left = sponsor.payer_budget.saturating_sub(charged);
    Ok((left < sponsor.open_charge).then_some(Unsponsored::PayerBudget))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Sponsor> {
    Ok(Sponsor {
        opens: row.get("opens")?,
        top_ups: row.get("top_ups")?,
        vouchers: row.get("vouchers")?,
        channels_per_payer: row.unsigned("channels_per_payer")?,
        minimum_top_up: row.amount("minimum_top_up")?,
        payer_budget: row.unsigned("payer_budget")?,
        open_charge: row.unsigned("open_charge")?,
        published_at: row.get("published_at")?,
    })
}
