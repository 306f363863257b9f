//! What happened to money, channel by channel, for accountants.
//!
//! Nothing here is written anew: entries are read off transactions that landed, paid requests, and final accounts.
//! Where the single requests or transactions are no longer on record, one entry without a signature has their sum, so
//! that a channel's entries always add up to its amounts.

use solana_signature::Signature;
use toll_protocol::{Agreement, Amount, ChannelId};

use crate::column::{Columns, words};
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::{ChannelState, Ledger, LedgerError, Watermarks, channel};

/// What kind of money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// The payer escrowed tokens.
    Deposit,
    /// A request was charged.
    Acceptance,
    /// Tokens went to payee and recipients.
    Payout,
    /// Tokens went back to the payer.
    Refund,
}

words!(EntryKind {
    Deposit => "deposit",
    Acceptance => "acceptance",
    Payout => "payout",
    Refund => "refund",
});

/// One movement of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, in unix seconds.
    pub at: i64,
    /// What moved.
    pub kind: EntryKind,
    /// Base units of the channel's mint.
    pub amount: Amount,
    /// The transaction that moved it, where it is known and only one did.
    pub signature: Option<Signature>,
}

/// A channel's entries, and where it stands.
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
    /// Everything that happened, by kind, each in order of time.
    pub entries: Vec<Entry>,
}

impl Account {
    /// What moved of one kind, in base units.
    pub fn sum(&self, kind: EntryKind) -> u128 {
        let entries = self.entries.iter().filter(|entry| entry.kind == kind);
        entries.map(|entry| u128::from(entry.amount.get())).sum()
    }

    /// Whether every token is paid out.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, None | Some(ChannelState::Closed | ChannelState::Gone))
    }

    /// What was deposited and went nowhere yet, in base units; below zero when more went than came.
    pub fn left(&self) -> i128 {
        let gone = self.sum(EntryKind::Payout) + self.sum(EntryKind::Refund);
        let signed = |sum: u128| i128::try_from(sum).unwrap_or(i128::MAX);
        signed(self.sum(EntryKind::Deposit)) - signed(gone)
    }
}

/// A channel as live and archived rows have it.
struct Facts {
    account: Account,
    refunded: Option<Amount>,
    close_signature: Option<Signature>,
    created_at: i64,
    last_activity_at: i64,
    closing_at: Option<i64>,
}

impl Ledger {
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
    let Some(facts) = tx.first(sql, params![id.as_bytes()], |row| Facts::from_row(row, is_live))? else {
        return Ok(None);
    };
    let Facts { mut account, refunded, close_signature, created_at, last_activity_at, closing_at } = facts;
    let marks = account.watermarks;
    let ended_at = closing_at.unwrap_or(last_activity_at);
    let unsigned = |at, kind, amount| Entry { at, kind, amount: Amount::new(amount), signature: None };

    let deposits = deposits(tx, id, is_live)?;
    let deposited: u64 = deposits.iter().map(|entry| entry.amount.get()).fold(0, u64::saturating_add);
    // What only the chain showed.
    let unrecorded = marks.deposit.get().saturating_sub(deposited);
    if unrecorded > 0 {
        account.entries.push(unsigned(created_at, EntryKind::Deposit, unrecorded));
    }
    account.entries.extend(deposits);

    let charges = tx.all(
        "-- account_charges
        SELECT accepted_at, cost FROM replays WHERE channel_id = ?1 AND cost > 0 ORDER BY accepted_at, accepted",
        params![id.as_bytes()],
        |row| {
            let (at, amount) = (row.get("accepted_at")?, row.amount("cost")?);
            Ok(Entry { at, kind: EntryKind::Acceptance, amount, signature: None })
        },
    )?;
    let charged: u64 = charges.iter().map(|entry| entry.amount.get()).fold(0, u64::saturating_add);
    let forgotten = marks.spent.get().saturating_sub(charged);
    if forgotten > 0 {
        account.entries.push(unsigned(created_at, EntryKind::Acceptance, forgotten));
    }
    account.entries.extend(charges);

    if !marks.payout_watermark.is_zero() {
        let payout = unsigned(ended_at, EntryKind::Payout, marks.payout_watermark.get());
        account.entries.push(Entry { signature: close_signature, ..payout });
    }
    // A rearm refunds the rest and lets the deposit fall by it.
    let rearmed = deposited.saturating_sub(marks.deposit.get());
    if rearmed > 0 {
        account.entries.push(unsigned(last_activity_at, EntryKind::Refund, rearmed));
    }
    let refunded = match (refunded, account.payer_withdrawn_at) {
        (Some(refunded), _) => refunded.get(),
        (None, Some(_)) => marks.deposit.get() - marks.settled.get(),
        (None, None) => 0,
    };
    if refunded > 0 {
        let refund = unsigned(ended_at, EntryKind::Refund, refunded);
        account.entries.push(Entry { signature: close_signature, ..refund });
    }
    Ok(Some(account))
}

/// Opens and top-ups that landed.
fn deposits(tx: &Tx, id: &ChannelId, is_live: bool) -> Result<Vec<Entry>, DatabaseError> {
    let sql = match is_live {
        true => {
            "-- account_deposits
            SELECT submissions.updated_at, submissions.amount, submissions.signature FROM submissions
              JOIN submission_channels ON submission_channels.submission_id = submissions.submission_id
             WHERE submission_channels.channel_id = ?1 AND submissions.state = 'landed'
               AND submissions.kind IN ('open', 'top_up') AND submissions.amount > 0
             ORDER BY submissions.submission_id"
        }
        false => {
            "-- archived_deposits
            SELECT updated_at, amount, signature FROM archived_submissions
             WHERE channel_id = ?1 AND state = 'landed' AND kind IN ('open', 'top_up') AND amount > 0
             ORDER BY submission_id"
        }
    };
    tx.all(sql, params![id.as_bytes()], |row| {
        Ok(Entry {
            at: row.get("updated_at")?,
            kind: EntryKind::Deposit,
            amount: row.amount("amount")?,
            signature: row.optional_signature("signature")?,
        })
    })
}

impl Facts {
    fn from_row(row: &Row<'_>, is_live: bool) -> Result<Self, DatabaseError> {
        Ok(Self {
            account: Account {
                channel: row.channel_id("channel_id")?,
                agreement: channel::agreement(row)?,
                state: if is_live { Some(row.get("state")?) } else { None },
                watermarks: channel::watermarks(row)?,
                payer_withdrawn_at: row.get("payer_withdrawn_at")?,
                entries: Vec::new(),
            },
            refunded: row.optional_amount("refunded")?,
            close_signature: row.optional_signature("close_signature")?,
            created_at: row.get("created_at")?,
            last_activity_at: row.get("last_activity_at")?,
            closing_at: row.get("closing_at")?,
        })
    }
}
