//! What the sponsor's transactions cost: held before they are sent, spent once their fate is known.
//!
//! Lamports only. Which of them may be spent is the settler's to decide; this remembers it across restarts.

use solana_pubkey::Pubkey;
use solana_signature::Signature;

use crate::column::{Columns, integer, undecodable, words};
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::rules::spending as rules;
use crate::{Ledger, LedgerError};

/// Seconds of a day. Days are counted from the unix epoch, so they begin at midnight UTC.
pub const DAY: i64 = 86_400;

/// The day that `at` (unix seconds) belongs to.
pub const fn day_of(at: i64) -> i64 {
    at.div_euclid(DAY)
}

/// What lamports are spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpendingKind {
    /// Opening a channel, its close included.
    Open,
    /// Co-signing a top-up.
    TopUp,
    /// Settling without closing.
    Settle,
    /// Ending a channel: seal, payout and reclaim.
    Close,
    /// Creating a token account that a payer's refund needs.
    RefundAccount,
    /// The operator's own token accounts: treasury, payee, recipients.
    OwnAccount,
    /// Co-signing a charge, with the token accounts of its splits.
    Charge,
}

words!(SpendingKind {
    Open => "open",
    TopUp => "top_up",
    Settle => "settle",
    Close => "close",
    RefundAccount => "refund_account",
    OwnAccount => "own_account",
    Charge => "charge",
});

impl SpendingKind {
    /// Whether it may be left undone. Ending channels may not, nor may the operator's own accounts.
    pub const fn is_refusable(self) -> bool {
        !matches!(self, Self::Close | Self::OwnAccount)
    }
}

/// Lamports that a transaction of unknown fate may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The transaction.
    pub signature: Signature,
    /// What for. A transaction may do several things, and the same for several payers.
    pub kind: SpendingKind,
    /// Whose channel it is about, if it is about one payer's.
    pub payer: Option<Pubkey>,
    /// The day it was held on; see [`day_of`].
    pub day: i64,
    /// The most that may leave the fee payer, in lamports, rent that comes back included.
    pub lamports: u64,
    /// What it counts against budgets, in lamports.
    pub charge: u64,
}

/// What one part of a resolved transaction cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// What for.
    pub kind: SpendingKind,
    /// For whom, as it was held.
    pub payer: Option<Pubkey>,
    /// Lamports that never come back.
    pub spent: u64,
    /// Lamports that count against budgets.
    pub charged: u64,
}

impl Spent {
    /// Whether this is what became of `hold`.
    pub fn is_of(&self, hold: &Hold) -> bool {
        (self.kind, self.payer) == (hold.kind, hold.payer)
    }
}

/// A day's spending on one purpose and payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending {
    /// See [`day_of`].
    pub day: i64,
    /// What for.
    pub kind: SpendingKind,
    /// For whom; `None` also for what is older than payers are told apart.
    pub payer: Option<Pubkey>,
    /// How many times.
    pub transactions: u64,
    /// Lamports that never come back.
    pub spent: u64,
    /// Lamports that count against budgets.
    pub charged: u64,
}

impl Ledger {
    /// Writes down what a signed transaction may take. Call this before the transaction is recorded or sent.
    ///
    /// The same signature, kind and payer again changes nothing.
    pub async fn hold(&self, holds: &[Hold]) -> Result<(), LedgerError> {
        let holds = holds.to_vec();
        self.write("hold", move |tx| {
            for hold in &holds {
                tx.execute(
                    "-- hold
                    INSERT INTO holds (signature, kind, payer, day, lamports, charge)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                    ON CONFLICT (signature, kind, payer) DO NOTHING",
                    params![
                        hold.signature.as_ref(),
                        hold.kind,
                        payer_bytes(hold.payer.as_ref()),
                        hold.day,
                        integer(hold.lamports)?,
                        integer(hold.charge)?,
                    ],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Turns what `signature` holds into what it cost: `spent` has a part for each kind that cost something.
    /// What it held beyond that is free again. A transaction that never landed cost nothing.
    ///
    /// Counts on the day of the hold. A signature that holds nothing changes nothing, so repeats are safe:
    /// call this before the submission is marked as resolved.
    pub async fn resolve_hold(&self, signature: &Signature, spent: &[Spent]) -> Result<(), LedgerError> {
        let (signature, spent) = (*signature, spent.to_vec());
        self.write("resolve_hold", move |tx| {
            for cost in rules::costs(&holds_of(tx, &signature)?, &spent) {
                add(tx, &cost)?;
            }
            tx.execute(
                "-- release_hold\nDELETE FROM holds WHERE signature = ?1",
                params![signature.as_ref()],
            )?;
            Ok(())
        })
        .await
    }

    /// Everything that transactions of unknown fate may take.
    pub async fn holds(&self) -> Result<Vec<Hold>, LedgerError> {
        self.read("holds", |tx| {
            let holds = tx.all(
                "-- holds\nSELECT * FROM holds ORDER BY day, signature, kind, payer",
                &[],
                hold_from_row,
            )?;
            Ok(holds)
        })
        .await
    }

    /// Drops what is held for transactions that were never recorded, so never sent. For a start, before
    /// anything is held anew. Returns how many there were.
    pub async fn release_unrecorded_holds(&self) -> Result<usize, LedgerError> {
        self.write("release_unrecorded_holds", |tx| {
            Ok(tx.execute(
                "-- release_unrecorded_holds
                DELETE FROM holds
                 WHERE NOT EXISTS (SELECT 1 FROM submissions
                                    WHERE submissions.signature = holds.signature)",
                &[],
            )?)
        })
        .await
    }

    /// What was spent on `day` (see [`day_of`]) and later.
    pub async fn spending_since(&self, day: i64) -> Result<Vec<Spending>, LedgerError> {
        self.read("spending_since", move |tx| {
            let spending = tx.all(
                "-- spending_since\nSELECT * FROM spending WHERE day >= ?1 ORDER BY day, kind, payer",
                params![day],
                spending_from_row,
            )?;
            Ok(spending)
        })
        .await
    }

    /// What all spending that could have been refused ever has charged to budgets, in lamports.
    pub async fn charged_in_all(&self) -> Result<u64, LedgerError> {
        self.read("charged_in_all", |tx| {
            let charged = tx.all(
                "-- charged_in_all
                SELECT kind, CAST(sum(charged) AS BIGINT) AS charged FROM spending GROUP BY kind",
                &[],
                |row| Ok((row.get("kind")?, row.unsigned("charged")?)),
            )?;
            Ok(rules::refusable(&charged))
        })
        .await
    }

    /// Tells payers no longer apart in what was spent before `day`, so that the table stays small. No sum
    /// changes. Returns how many rows went.
    pub async fn fold_spending(&self, day: i64) -> Result<usize, LedgerError> {
        self.write("fold_spending", move |tx| {
            tx.execute(
                "-- fold_spending
                INSERT INTO spending (day, kind, payer, transactions, spent, charged)
                SELECT day, kind, x'', sum(transactions), sum(spent), sum(charged)
                  FROM spending WHERE day < ?1 AND payer <> x'' GROUP BY day, kind
                ON CONFLICT (day, kind, payer) DO UPDATE SET
                    transactions = spending.transactions + excluded.transactions,
                    spent = spending.spent + excluded.spent, charged = spending.charged + excluded.charged",
                params![day],
            )?;
            Ok(tx.execute(
                "-- folded_spending\nDELETE FROM spending WHERE day < ?1 AND payer <> x''",
                params![day],
            )?)
        })
        .await
    }
}

/// What `day` has charged to budgets for `payer`, what is held included, in lamports.
pub(crate) fn charged_to(connection: &Tx, payer: &Pubkey, day: i64) -> Result<u64, DatabaseError> {
    let charged: i64 = connection.one(
        "-- charged_to_payer
        SELECT (SELECT CAST(coalesce(sum(charged), 0) AS BIGINT) FROM spending
                 WHERE day = ?1 AND payer = ?2
                   AND kind IN ('open', 'top_up', 'settle', 'close', 'refund_account', 'own_account', 'charge'))
             + (SELECT CAST(coalesce(sum(charge), 0) AS BIGINT) FROM holds WHERE day = ?1 AND payer = ?2)",
        params![day, payer.as_ref()],
        |row| row.get(0),
    )?;
    Ok(charged.unsigned_abs())
}

fn payer_bytes(payer: Option<&Pubkey>) -> &[u8] {
    payer.map_or(&[], |payer| payer.as_ref())
}

fn payer_of(row: &Row<'_>) -> Result<Option<Pubkey>, DatabaseError> {
    let bytes: Vec<u8> = row.get("payer")?;
    if bytes.is_empty() {
        return Ok(None);
    }
    Pubkey::try_from(bytes).map(Some).map_err(|_| undecodable("payer"))
}

fn hold_from_row(row: &Row<'_>) -> Result<Hold, DatabaseError> {
    Ok(Hold {
        signature: row.signature("signature")?,
        kind: row.get("kind")?,
        payer: payer_of(row)?,
        day: row.get("day")?,
        lamports: row.unsigned("lamports")?,
        charge: row.unsigned("charge")?,
    })
}

fn spending_from_row(row: &Row<'_>) -> Result<Spending, DatabaseError> {
    Ok(Spending {
        day: row.get("day")?,
        kind: row.get("kind")?,
        payer: payer_of(row)?,
        transactions: row.unsigned("transactions")?,
        spent: row.unsigned("spent")?,
        charged: row.unsigned("charged")?,
    })
}

fn holds_of(tx: &Tx, signature: &Signature) -> Result<Vec<Hold>, DatabaseError> {
    tx.all(
        "-- holds_of\nSELECT * FROM holds WHERE signature = ?1",
        params![signature.as_ref()],
        hold_from_row,
    )
}

fn add(tx: &Tx, cost: &Spending) -> Result<(), LedgerError> {
    tx.execute(
        "-- spend
        INSERT INTO spending (day, kind, payer, transactions, spent, charged) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (day, kind, payer) DO UPDATE SET
            transactions = spending.transactions + excluded.transactions,
            spent = spending.spent + excluded.spent, charged = spending.charged + excluded.charged",
        params![
            cost.day,
            cost.kind,
            payer_bytes(cost.payer.as_ref()),
            integer(cost.transactions)?,
            integer(cost.spent)?,
            integer(cost.charged)?,
        ],
    )?;
    Ok(())
}
