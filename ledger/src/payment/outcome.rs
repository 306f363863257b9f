//! What the chain says of payments.

use solana_pubkey::Pubkey;
use solana_signature::Signature;

use super::{Payment, PaymentFailure, PaymentState, find};
use crate::column::integer;
use crate::engine::{Tx, params};
use crate::rules::payment as rules;
use crate::submission::SubmissionId;
use crate::{Ledger, LedgerError};

/// A transfer that its payer has sent, as the chain shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentLanded {
    /// SHA-256 of the transaction's message.
    pub message_digest: [u8; 32],
    /// Whose tokens it moved.
    pub payer: Pubkey,
    /// The slot it landed in.
    pub slot: u64,
}

impl Ledger {
    /// The transaction that the payer sent is on chain and pays. Returns the state of the payment from then on: `Failed`
    /// when its message has paid for something else.
    pub async fn push_landed(
        &self,
        challenge_id: &str,
        landed: PaymentLanded,
    ) -> Result<Option<PaymentState>, LedgerError> {
        let (challenge, now) = (challenge_id.to_owned(), self.now());
        self.write("push_landed", move |tx| {
            let Some(known) = find(tx, &challenge)? else { return Ok(None) };
            if known.submission.is_some() || !rules::can_land(known.state, known.failure) {
                return Ok(Some(known.state));
            }
            let used: bool = tx.one(
                "-- push_is_used
                SELECT EXISTS (SELECT 1 FROM payments WHERE message_digest = ?1 AND challenge_id <> ?2)",
                params![landed.message_digest, challenge],
                |row| row.get(0),
            )?;
            if used {
                let reason = "the transaction has paid for something else";
                fail(tx, &challenge, PaymentFailure::Used, reason, now)?;
                return Ok(Some(PaymentState::Failed));
            }
            tx.execute(
                "-- push_landed
                UPDATE payments
                   SET state = 'landed', failure = NULL, reason = NULL, message_digest = ?2, payer = ?3,
                       landed_slot = ?4, updated_at = ?5
                 WHERE challenge_id = ?1",
                params![
                    challenge,
                    landed.message_digest,
                    landed.payer.to_bytes(),
                    integer(landed.slot)?,
                    now
                ],
            )?;
            Ok(Some(PaymentState::Landed))
        })
        .await
    }

    /// The payment buys nothing, for `reason`. One that has landed stays as it is. Returns its state.
    pub async fn payment_failed(
        &self,
        challenge_id: &str,
        failure: PaymentFailure,
        reason: &str,
    ) -> Result<Option<PaymentState>, LedgerError> {
        let (challenge, reason, now) = (challenge_id.to_owned(), reason.to_owned(), self.now());
        self.write("payment_failed", move |tx| {
            fail(tx, &challenge, failure, &reason, now)?;
            Ok(find(tx, &challenge)?.map(|payment: Payment| payment.state))
        })
        .await
    }
}

fn fail(
    tx: &Tx,
    challenge: &str,
    failure: PaymentFailure,
    reason: &str,
    now: i64,
) -> Result<(), LedgerError> {
    tx.execute(
        "-- payment_failed
        UPDATE payments SET state = 'failed', failure = ?2, reason = ?3, updated_at = ?4
         WHERE challenge_id = ?1 AND state = 'reserved'",
        params![challenge, failure, reason, now],
    )?;
    Ok(())
}

/// The sponsor has signed the payment's transaction.
pub(crate) fn note_signed(tx: &Tx, id: SubmissionId, signature: &Signature) -> Result<(), LedgerError> {
    tx.execute(
        "-- payment_signed\nUPDATE payments SET signature = ?2 WHERE submission_id = ?1",
        params![id.get(), signature.as_ref()],
    )?;
    Ok(())
}

/// The payment's transaction, on record here, has landed.
pub(crate) fn land(tx: &Tx, id: SubmissionId, slot: u64, now: i64) -> Result<(), LedgerError> {
    tx.execute(
        "-- payment_landed
        UPDATE payments SET state = 'landed', failure = NULL, reason = NULL, landed_slot = ?2, updated_at = ?3
         WHERE submission_id = ?1 AND (state = 'reserved' OR (state = 'failed' AND failure = 'expired'))",
        params![id.get(), integer(slot)?, now],
    )?;
    Ok(())
}

/// The payment's transaction, on record here, was given up; `reason` is what the chain or the settler said.
pub(crate) fn give_up(tx: &Tx, id: SubmissionId, reason: Option<&str>, now: i64) -> Result<(), LedgerError> {
    let (failure, reason) = match reason {
        Some(reason) => (PaymentFailure::Refused, reason),
        None => (PaymentFailure::Expired, "its blockhash expired before it landed"),
    };
    tx.execute(
        "-- payment_given_up
        UPDATE payments SET state = 'failed', failure = ?2, reason = ?3, updated_at = ?4
         WHERE submission_id = ?1 AND state = 'reserved'",
        params![id.get(), failure, reason, now],
    )?;
    Ok(())
}
