//! Payments: one transfer, once. What is taken is decided in [`crate::rules::payment`].
//!
//! A payment is reserved before anything is sent, under its challenge, its message and its signature, none of which pays
//! ever again. It lands when the chain shows it, and is served when the answer it bought is there for repeats.

mod answer;
mod outcome;

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::Amount;

use crate::column::{Columns, amount, undecodable, words};
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::rules::payment::{self as rules, PaymentAsked};
use crate::submission::{self, SubmissionId, SubmissionKind};
use crate::{Answer, Ledger, LedgerError, Unsponsored, answer as answers, day_of, spending, sponsor};

pub use self::outcome::PaymentLanded;
pub(crate) use self::outcome::{give_up, land, note_signed};

/// A payment about to be reserved, every value checked against its challenge.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPayment {
    /// The challenge it answers.
    pub challenge_id: String,
    /// Until when that may be answered, in unix seconds.
    pub challenge_expires_at: i64,
    /// The challenge's request, as the challenge has it.
    pub terms: String,
    /// Hash of the request that it buys.
    pub fingerprint: [u8; 32],
    /// Who is paid what the splits leave.
    pub recipient: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// How much in all, in base units.
    pub amount: Amount,
    /// What pays.
    pub means: PaymentMeans,
}

/// What pays.
#[derive(Clone, Debug, PartialEq)]
pub enum PaymentMeans {
    /// A transaction that its payer signed, to be sent by the settler.
    Transaction {
        /// Its bytes.
        bytes: Vec<u8>,
        /// SHA-256 of its message.
        message_digest: [u8; 32],
        /// Its own signature; none while the sponsor's is missing.
        signature: Option<Signature>,
        /// Whose tokens it moves.
        payer: Pubkey,
    },
    /// A transaction that its payer has sent.
    Signature(Signature),
}

/// How far a payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentState {
    /// On record; it may have been sent.
    Reserved,
    /// On chain. What it buys has not been delivered, as far as is known.
    Landed,
    /// Delivered.
    Served,
    /// It bought nothing and never will.
    Failed,
}

words!(PaymentState {
    Reserved => "reserved",
    Landed => "landed",
    Served => "served",
    Failed => "failed",
});

/// Why a payment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentFailure {
    /// It does not pay, would fail, or did on chain.
    Refused,
    /// Its blockhash ran out before it landed.
    Expired,
    /// The sponsor does not pay for it.
    Unsponsored,
    /// It has paid for something else.
    Used,
}

words!(PaymentFailure {
    Refused => "refused",
    Expired => "expired",
    Unsponsored => "unsponsored",
    Used => "used",
});

/// A payment and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The challenge it answers.
    pub challenge_id: String,
    /// How far it has come.
    pub state: PaymentState,
    /// SHA-256 of its transaction's message; none until a transaction that its payer sent has been found.
    pub message_digest: Option<[u8; 32]>,
    /// Its transaction's signature; none until the sponsor has signed.
    pub signature: Option<Signature>,
    /// The transaction on record; none where its payer has sent it.
    pub submission: Option<SubmissionId>,
    /// Whose tokens it moves, once that is known.
    pub payer: Option<Pubkey>,
    /// Who is paid what the splits leave.
    pub recipient: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// How much in all, in base units.
    pub amount: Amount,
    /// The challenge's request, as the challenge has it; empty when it is of no use any more.
    pub terms: String,
    /// Hash of the request that it buys.
    pub fingerprint: [u8; 32],
    /// Until when its challenge could be answered, in unix seconds.
    pub challenge_expires_at: i64,
    /// Why it failed, if it did.
    pub failure: Option<PaymentFailure>,
    /// The same in words.
    pub reason: Option<String>,
    /// The slot it landed in.
    pub landed_slot: Option<u64>,
    /// What it bought.
    pub answer: Answer,
    /// When it was reserved, in unix seconds.
    pub created_at: i64,
}

/// What became of a wish to pay.
#[derive(Clone, Debug, PartialEq)]
pub enum Reserved {
    /// It is on record, for the settler to send or to find.
    Recorded,
    /// The same payment for the same request is on record. Nothing changed.
    Existing(Box<Payment>),
    /// The challenge was answered by another payment, or for another request. Nothing changed.
    ChallengeUsed,
    /// The transaction has answered another challenge. Nothing changed.
    PaymentUsed,
    /// So many requests wait for the settler that this one would be too late. Nothing changed.
    Crowded,
    /// The sponsor does not pay for it. Nothing changed.
    Unsponsored(Unsponsored),
}

impl NewPayment {
    fn is(&self, known: &Payment) -> bool {
        let same = match &self.means {
            PaymentMeans::Transaction { message_digest, .. } => {
                known.submission.is_some() && known.message_digest.as_ref() == Some(message_digest)
            }
            PaymentMeans::Signature(signature) => {
                known.submission.is_none() && known.signature.as_ref() == Some(signature)
            }
        };
        same && known.fingerprint == self.fingerprint
    }
}

impl Ledger {
    /// Reserves a payment as one step: its challenge, its message and its signature pay for nothing else from then on.
    /// Nothing has been sent when this returns. `sponsored` says whether our sponsor is to pay its fee.
    pub async fn reserve_payment(
        &self,
        payment: NewPayment,
        sponsored: bool,
    ) -> Result<Reserved, LedgerError> {
        let (now, most_waiting) = (self.now(), self.settings().max_requested as usize);
        self.write("reserve_payment", move |tx| {
            let (digest, signature, payer) = match &payment.means {
                PaymentMeans::Transaction { message_digest, signature, payer, .. } => {
                    (Some(*message_digest), *signature, Some(*payer))
                }
                PaymentMeans::Signature(signature) => (None, Some(*signature), None),
            };
            let known = find(tx, &payment.challenge_id)?;
            let sponsor = match (sponsored, payer) {
                (true, Some(payer)) => sponsor::find(tx)?
                    .map(|sponsor| Ok::<_, DatabaseError>((sponsor, spending::charged_to(tx, &payer, day_of(now))?)))
                    .transpose()?,
                _ => None,
            };
            let asked = PaymentAsked {
                is_same: known.as_ref().is_some_and(|known| payment.is(known)),
                known,
                is_used: is_used(tx, digest.as_ref(), signature.as_ref())?,
                // Anybody can say to have sent something, for free: that keeps nobody's transaction from being sent.
                waiting: match &payment.means {
                    PaymentMeans::Transaction { .. } => submission::requested_count(tx)?,
                    PaymentMeans::Signature(_) => pushed_count(tx)?,
                },
                most_waiting,
                sponsor,
            };
            if let Err(answer) = rules::reserve(asked) {
                return Ok(answer);
            }
            let submission = match &payment.means {
                PaymentMeans::Transaction { bytes, .. } => {
                    let kind = SubmissionKind::Charge;
                    Some(submission::request(tx, kind, None, bytes, payment.amount, now)?)
                }
                PaymentMeans::Signature(_) => None,
            };
            tx.execute(
                "-- reserve_payment
                INSERT INTO payments (challenge_id, message_digest, signature, submission_id, state, payer, recipient,
                                      mint, amount, terms, fingerprint, challenge_expires_at, created_at, updated_at)
                VALUES (?1, ?2, ?3, ?4, 'reserved', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)",
                params![
                    payment.challenge_id,
                    digest,
                    signature.as_ref().map(AsRef::<[u8]>::as_ref),
                    submission.map(SubmissionId::get),
                    payer.map(|payer| payer.to_bytes()),
                    payment.recipient.to_bytes(),
                    payment.mint.to_bytes(),
                    amount(payment.amount)?,
                    payment.terms,
                    payment.fingerprint,
                    payment.challenge_expires_at,
                    now,
                ],
            )?;
            Ok(Reserved::Recorded)
        })
        .await
    }

    /// The payment that answered a challenge.
    pub async fn payment(&self, challenge_id: &str) -> Result<Option<Payment>, LedgerError> {
        let challenge = challenge_id.to_owned();
        self.read("payment", move |tx| Ok(find(tx, &challenge)?)).await
    }

    /// The payment whose transaction is on record as `submission`.
    pub async fn payment_of(&self, submission: SubmissionId) -> Result<Option<Payment>, LedgerError> {
        self.read("payment_of", move |tx| {
            Ok(tx.first(
                "-- payment_of\nSELECT * FROM payments WHERE submission_id = ?1",
                params![submission.get()],
                from_row,
            )?)
        })
        .await
    }

    /// Payments that their payers say they have sent, oldest first, which have not been looked for with success.
    pub async fn pushed_payments(&self, count: usize) -> Result<Vec<Payment>, LedgerError> {
        self.read("pushed_payments", move |tx| {
            Ok(tx.all(
                "-- pushed_payments
                SELECT * FROM payments WHERE state = 'reserved' AND submission_id IS NULL
                 ORDER BY created_at LIMIT ?1",
                params![count],
                from_row,
            )?)
        })
        .await
    }
}

fn find(tx: &Tx, challenge_id: &str) -> Result<Option<Payment>, DatabaseError> {
    tx.first("-- payment\nSELECT * FROM payments WHERE challenge_id = ?1", params![challenge_id], from_row)
}

/// Whether a transaction with this message, or of this signature, has been shown before or is one of the settler's own.
fn is_used(tx: &Tx, digest: Option<&[u8; 32]>, signature: Option<&Signature>) -> Result<bool, DatabaseError> {
    tx.one(
        "-- payment_is_used
        SELECT EXISTS (SELECT 1 FROM payments WHERE message_digest = ?1)
            OR EXISTS (SELECT 1 FROM payments WHERE signature = ?2)
            OR EXISTS (SELECT 1 FROM submissions WHERE signature = ?2)",
        params![digest.copied(), signature.map(AsRef::<[u8]>::as_ref)],
        |row| row.get(0),
    )
}

fn pushed_count(tx: &Tx) -> Result<usize, DatabaseError> {
    tx.one(
        "-- pushed_count
        SELECT count(*) FROM payments WHERE state = 'reserved' AND submission_id IS NULL",
        &[],
        |row| row.get(0),
    )
}

fn from_row(row: &Row<'_>) -> Result<Payment, DatabaseError> {
    let answer = match row.get::<_, String>("answer")?.as_str() {
        "kept" => Answer::Kept(answers::response(row)?),
        "not_kept" => Answer::NotKept,
        "unserved" => Answer::Unserved,
        _ => return Err(undecodable("answer")),
    };
    Ok(Payment {
        challenge_id: row.get("challenge_id")?,
        state: row.get("state")?,
        message_digest: row.get("message_digest")?,
        signature: row.optional_signature("signature")?,
        submission: row.get("submission_id")?,
        payer: row.get::<_, Option<[u8; 32]>>("payer")?.map(Pubkey::from),
        recipient: row.pubkey("recipient")?,
        mint: row.pubkey("mint")?,
        amount: row.amount("amount")?,
        terms: row.get("terms")?,
        fingerprint: row.get("fingerprint")?,
        challenge_expires_at: row.get("challenge_expires_at")?,
        failure: row.get("failure")?,
        reason: row.get("reason")?,
        landed_slot: row.optional_unsigned("landed_slot")?,
        answer,
        created_at: row.get("created_at")?,
    })
}
