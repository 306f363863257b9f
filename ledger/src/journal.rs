//! What happened to money, for accountants: a log that is only ever added to.
//!
//! The database refuses to change or remove a line. A line is a difference: what a channel's row says now less what the
//! log has of it already ([`crate::rules::money`]), or what a transaction cost less what is entered for it. So entering
//! twice adds nothing, an amount that a fork takes back is another line below zero, and the lines of a channel add up to
//! its row at any time. They are written where the chain's answers are ([`enter`]) and by the purge, never for a single
//! request: acceptances are entered as one sum for each channel and purge. Rows leave the ledger only once the log has them.

mod enter;
mod lamports;

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::{Agreement, ChannelId};

use crate::column::{Columns, words};
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::{ChannelState, Ledger, LedgerError, Watermarks, channel};

pub(crate) use self::enter::{By, enter};
pub use self::lamports::{Lamports, TransactionCost};

/// What kind of money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// The payer escrowed tokens.
    Deposit,
    /// Requests were charged.
    Acceptance,
    /// Tokens went to payee and recipients.
    Payout,
    /// Tokens went back to the payer.
    Refund,
    /// The sponsor paid the fee of a transaction.
    Fee,
    /// The sponsor lent an account its rent, or got it back.
    Rent,
}

words!(EntryKind {
    Deposit => "deposit",
    Acceptance => "acceptance",
    Payout => "payout",
    Refund => "refund",
    Fee => "fee",
    Rent => "rent",
});

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number; they have no gaps.
    pub number: u64,
    /// When it was entered, in unix seconds.
    pub at: i64,
    /// What moved.
    pub kind: EntryKind,
    /// How much: base units of the channel's mint, or lamports of the fee payer. Below zero, a fork took back what was
    /// entered before; of rent, that it came back.
    pub amount: i64,
    /// The channel, where it is about one.
    pub channel: Option<ChannelId>,
    /// Its payer, payee and mint.
    pub parties: Option<[Pubkey; 3]>,
    /// Whose lamports they were.
    pub fee_payer: Option<Pubkey>,
    /// What the transaction was for, of fees and rent.
    pub purpose: Option<String>,
    /// The transaction, where it is known and only one did it.
    pub signature: Option<Signature>,
}

/// A channel, and what the log has of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// The channel's address.
    pub channel: ChannelId,
    /// What the parties agreed on.
    pub agreement: Agreement,
    /// Where the channel stands; `None` when it is archived.
    pub state: Option<ChannelState>,
    /// Its amounts.
    pub watermarks: Watermarks,
    /// When the payer took its refund before the rest was paid out, as the chain says.
    pub payer_withdrawn_at: Option<i64>,
    /// The sums of its lines, in base units, in the order of [`EntryKind::ALL`].
    sums: [i64; 4],
}

impl Account {
    /// What moved of one kind of tokens, in base units.
    pub fn sum(&self, kind: EntryKind) -> i64 {
        self.sums.get(kind as usize).copied().unwrap_or(0)
    }

    /// Whether every token is paid out.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, None | Some(ChannelState::Closed | ChannelState::Gone))
    }

    /// What was deposited and went nowhere yet, in base units; below zero when more went than came.
    pub fn left(&self) -> i128 {
        let sum = |kind| i128::from(self.sum(kind));
        sum(EntryKind::Deposit) - sum(EntryKind::Payout) - sum(EntryKind::Refund)
    }
}

const ENTRIES: &str = "-- journal_page
    SELECT journal.*, journal_channels.payer, journal_channels.payee, journal_channels.mint
      FROM journal LEFT JOIN journal_channels USING (channel_id)
     WHERE entry > ?1 AND entered_at >= ?2 ORDER BY entry LIMIT ?3";

impl Ledger {
    /// Up to `count` lines of the log behind the one numbered `after`, of those that were entered at `since` (unix
    /// seconds) or later.
    pub async fn journal(&self, after: u64, since: i64, count: usize) -> Result<Vec<Entry>, LedgerError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.read("journal", move |tx| Ok(tx.all(ENTRIES, params![after, since, count], Entry::from_row)?))
            .await
    }

    /// How many lines the log has, and the greatest number: the same unless a line is missing.
    pub async fn journal_length(&self) -> Result<(u64, u64), LedgerError> {
        self.read("journal_length", |tx| {
            let sql = "-- journal_length\nSELECT count(*), coalesce(max(entry), 0) FROM journal";
            let unsigned = |number: i64| number.unsigned_abs();
            Ok(tx.one(sql, &[], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))))?)
        })
        .await
    }

    /// The accounts of up to `count` channels, live and archived, by address: those behind `after`. Channels whose open
    /// never landed have none.
    pub async fn accounts(
        &self,
        after: Option<ChannelId>,
        count: usize,
    ) -> Result<Vec<Account>, LedgerError> {
        self.read("accounts", move |tx| {
            let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
            let page = tx.all(
                "-- account_page
                SELECT channel_id, 1 AS live FROM channels
                 WHERE channel_id > ?1 AND state IN ('open', 'closing', 'closed', 'gone')
                UNION ALL
                SELECT channel_id, 0 AS live FROM archived_channels WHERE channel_id > ?1
                ORDER BY channel_id LIMIT ?2",
                params![after, count],
                |row| Ok((row.channel_id("channel_id")?, row.get::<_, bool>("live")?)),
            )?;
            let mut accounts = Vec::with_capacity(page.len());
            for (id, is_live) in page {
                accounts.extend(account(tx, &id, is_live)?);
            }
            Ok(accounts)
        })
        .await
    }
}

fn account(tx: &Tx, id: &ChannelId, is_live: bool) -> Result<Option<Account>, DatabaseError> {
    let sql = match is_live {
        true => "-- live_account\nSELECT * FROM channels WHERE channel_id = ?1",
        false => "-- archived_account\nSELECT * FROM archived_channels WHERE channel_id = ?1",
    };
    let sums = sums(tx, id)?;
    tx.first(sql, params![id.as_bytes()], |row| {
        Ok(Account {
            channel: *id,
            agreement: channel::agreement(row)?,
            state: if is_live { Some(row.get("state")?) } else { None },
            watermarks: channel::watermarks(row)?,
            payer_withdrawn_at: row.get("payer_withdrawn_at")?,
            sums,
        })
    })
}

/// The sums of a channel's lines about tokens.
fn sums(tx: &Tx, id: &ChannelId) -> Result<[i64; 4], DatabaseError> {
    let found: Vec<(EntryKind, i64)> = tx.all(
        "-- journal_sums
        SELECT kind, CAST(sum(amount) AS BIGINT) AS total FROM journal
         WHERE channel_id = ?1 AND kind NOT IN ('fee', 'rent') GROUP BY kind",
        params![id.as_bytes()],
        |row| Ok((row.get("kind")?, row.get("total")?)),
    )?;
    let mut sums = [0; 4];
    for (kind, total) in found {
        sums[kind as usize] = total;
    }
    Ok(sums)
}

impl Entry {
    fn from_row(row: &Row<'_>) -> Result<Self, DatabaseError> {
        let channel = row.get::<_, Option<[u8; 32]>>("channel_id")?.map(ChannelId::new);
        let parties = match channel {
            Some(_) => Some([row.pubkey("payer")?, row.pubkey("payee")?, row.pubkey("mint")?]),
            None => None,
        };
        Ok(Self {
            number: row.unsigned("entry")?,
            at: row.get("entered_at")?,
            kind: row.get("kind")?,
            amount: row.get("amount")?,
            channel,
            parties,
            fee_payer: row.get::<_, Option<[u8; 32]>>("fee_payer")?.map(Pubkey::from),
            purpose: row.get("purpose")?,
            signature: row.optional_signature("signature")?,
        })
    }
}
