//! Entering what transactions cost.

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::ChannelId;

use super::EntryKind;
use super::enter::{Line, write};
use crate::column::{Columns, integer};
use crate::engine::{Tx, params};
use crate::{Ledger, LedgerError, Submission, SubmissionId, submission};

/// What a transaction has cost its fee payer, in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionCost {
    /// Who paid, if it was the sponsor; others' lamports are not in the log.
    pub fee_payer: Option<Pubkey>,
    /// Its fee, in lamports.
    pub fee: u64,
    /// Lamports that went into accounts beyond that; below zero when more came back.
    pub rent: i64,
}

/// What the log says that a transaction took from a fee payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lamports {
    /// The transaction.
    pub signature: Signature,
    /// Lamports; below zero when it gave more than it took.
    pub taken: i64,
}

impl Ledger {
    /// Enters what the submission's transaction has cost, less what is entered for it already: repeats add nothing, and
    /// one that a fork took back costs nothing.
    pub async fn enter_cost(&self, id: SubmissionId, cost: TransactionCost) -> Result<(), LedgerError> {
        let now = self.now();
        self.write("enter_cost", move |tx| {
            let found = submission::find(tx, id)?.ok_or(LedgerError::UnknownSubmission(id))?;
            let Some(signature) = found.signature else { return Ok(()) };
            if let Some(fee_payer) = cost.fee_payer {
                for (kind, amount) in [(EntryKind::Fee, integer(cost.fee)?), (EntryKind::Rent, cost.rent)] {
                    let amount = amount - entered(tx, &signature, kind)?;
                    if amount != 0 {
                        let channel = only_channel(tx, &found)?;
                        let (purpose, signature) = (Some(found.kind.as_str()), Some(signature));
                        let fee_payer = Some(fee_payer.to_bytes());
                        write(tx, &Line { at: now, kind, amount, channel, fee_payer, purpose, signature })?;
                    }
                }
            }
            tx.execute(
                "-- note_fee
                UPDATE submissions SET fee_lamports = ?2 WHERE submission_id = ?1 AND fee_lamports IS NULL",
                params![id.get(), integer(cost.fee)?],
            )?;
            Ok(())
        })
        .await
    }

    /// Resolved transactions of which nobody knows the cost, of those that were resolved at `since` (unix seconds) or
    /// later, up to `count`.
    pub async fn without_cost(&self, since: i64, count: usize) -> Result<Vec<Submission>, LedgerError> {
        self.read("without_cost", move |tx| {
            let found: Vec<SubmissionId> = tx.all(
                "-- submissions_without_cost
                SELECT submission_id FROM submissions
                 WHERE state IN ('landed', 'failed') AND signature IS NOT NULL AND fee_lamports IS NULL
                   AND transaction_bytes <> x'' AND updated_at >= ?1
                 ORDER BY submission_id LIMIT ?2",
                params![since, count],
                |row| row.get(0),
            )?;
            let found: Result<Vec<_>, _> = found.into_iter().map(|id| submission::find(tx, id)).collect();
            Ok(found?.into_iter().flatten().collect())
        })
        .await
    }

    /// Whether the ledger or its archive has a transaction of this signature.
    pub async fn has_transaction(&self, signature: &Signature) -> Result<bool, LedgerError> {
        let signature = *signature;
        self.read("has_transaction", move |tx| {
            Ok(tx.one(
                "-- has_transaction
                SELECT EXISTS (SELECT 1 FROM submissions WHERE signature = ?1)
                    OR EXISTS (SELECT 1 FROM archived_submissions WHERE signature = ?1)",
                params![signature.as_ref()],
                |row| row.get(0),
            )?)
        })
        .await
    }

    /// What the log says that each transaction took from `fee_payer`, by signature.
    pub async fn lamports_taken(&self, fee_payer: &Pubkey) -> Result<Vec<Lamports>, LedgerError> {
        let fee_payer = fee_payer.to_bytes();
        self.read("lamports_taken", move |tx| {
            Ok(tx.all(
                "-- lamports_taken
                SELECT signature, CAST(sum(amount) AS BIGINT) AS taken, min(entry) AS first FROM journal
                 WHERE fee_payer = ?1 AND signature IS NOT NULL GROUP BY signature ORDER BY first",
                params![fee_payer],
                |row| Ok(Lamports { signature: row.signature("signature")?, taken: row.get("taken")? }),
            )?)
        })
        .await
    }
}

fn entered(tx: &Tx, signature: &Signature, kind: EntryKind) -> Result<i64, LedgerError> {
    Ok(tx.one(
        "-- entered_cost
        SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM journal WHERE signature = ?1 AND kind = ?2",
        params![signature.as_ref(), kind],
        |row| row.get(0),
    )?)
}

/// The channel that a transaction is about, if it is about one.
fn only_channel(tx: &Tx, of: &Submission) -> Result<Option<ChannelId>, LedgerError> {
    let [effect] = of.effects.as_slice() else { return Ok(None) };
    tx.execute(
        "-- journal_channel_of_a_cost
        INSERT INTO journal_channels (channel_id, payer, payee, mint)
        SELECT channel_id, payer, payee, mint FROM channels WHERE channel_id = ?1
        ON CONFLICT (channel_id) DO NOTHING",
        params![effect.channel.as_bytes()],
    )?;
    Ok(Some(effect.channel))
}
