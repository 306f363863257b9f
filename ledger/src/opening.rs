//! Opening channels and raising their deposits: what the gateway wants from the chain, on record. What is taken is decided
//! in [`crate::rules::opening`].

use toll_protocol::{Agreement, Amount, ChannelId};

use crate::column::{amount, integer};
use crate::engine::{DatabaseError, Tx, params};
use crate::rules::opening::{self as rules, OpenAsked};
use crate::submission::{self, Submission, SubmissionId, SubmissionKind};
use crate::{ChannelRecord, ChannelState, Ledger, LedgerError, Unsponsored, channel, renewal, sponsor};

/// Most recipients of a channel, besides the payee: each takes 67 bytes of the transaction that pays them all,
/// and lookup tables are not used. A channel with more could be sealed but never paid out.
pub const MAX_PAYABLE_RECIPIENTS: usize = 10;

/// A channel about to be opened, every value checked against challenge and transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChannel {
    /// What the parties agree on.
    pub agreement: Agreement,
    /// What the transaction escrows.
    pub deposit: Amount,
    /// Price of one unit, as challenged.
    pub price: Amount,
    /// What a unit is, when the challenge says so.
    pub unit_type: Option<String>,
    /// Seconds; the value in force for the channel's life.
    pub idle_timeout: u32,
    /// Digest of the proof that uses of the channel carry, where the server signs the vouchers.
    pub proof: Option<[u8; 32]>,
    /// Whether the payer wants what is left of its deposit to stay in escrow when the channel is idle.
    pub keep_deposit: bool,
}

/// What became of a request to open.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordedOpen {
    /// On record, for the settler to sign and send.
    Recorded(SubmissionId),
    /// The same credential was recorded before; here is what it made.
    Existing(Box<ChannelRecord>, SubmissionId),
    /// The challenge has bought another channel, or this one by another transaction.
    ChallengeUsed,
    /// The address is known from another challenge. Addresses are never reused.
    ChannelExists,
    /// So many requests wait for the settler that this one would be too late. Nothing changed.
    Crowded,
    /// The payer has as many channels as it may have. Nothing changed.
    TooManyChannels {
        /// How many are not closed.
        live: u64,
    },
    /// The sponsor does not pay for it, see [`Sponsor`](crate::Sponsor). Nothing changed.
    Unsponsored(Unsponsored),
}

/// What became of a request to top up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedTopUp {
    /// On record, for the settler to sign and send.
    Recorded(SubmissionId),
    /// The same transaction was recorded before.
    Existing(SubmissionId),
    /// Only an open channel takes a top-up.
    NotOpen(ChannelState),
    /// The ledger has no such channel.
    Unknown,
}

impl Ledger {
    /// Records a channel, the transaction that opens it as the payer signed it, and the use of its challenge,
    /// as one step. Nothing has been sent when this returns.
    ///
    /// A repeat of the same credential (same challenge, channel and transaction bytes) gets `Existing`, so a
    /// lost answer can be asked for again. `challenge_expires_at` (unix seconds) says how long the use must
    /// be remembered.
    pub async fn record_open(
        &self,
        channel: NewChannel,
        transaction: Vec<u8>,
        challenge_id: &str,
        challenge_expires_at: i64,
    ) -> Result<RecordedOpen, LedgerError> {
        let (id, bump) = channel.agreement.terms.address(&channel.agreement.program);
        let challenge = challenge_id.to_owned();
        let (now, most_waiting) = (self.now(), self.settings().max_requested as usize);
        self.write("record_open", move |tx| {
            let terms = &channel.agreement.terms;
            let pays_rent = channel.agreement.rent_payer == terms.payer;
            let asked = OpenAsked {
                challenge_used_by: challenge_use(tx, &challenge)?,
                same: submission::requested_by(tx, SubmissionKind::Open, &id, &transaction)?,
                known: channel::find(tx, &id)?,
                is_archived: archived(tx, &id)?,
                waiting: submission::requested_count(tx)?,
                most_waiting,
                pays_rent,
                sponsor: sponsor::as_seen_by(tx, &terms.payer, now)?,
            };
            if let Err(answer) = rules::open(asked, now) {
                return Ok(answer);
            }
            insert(tx, &id, bump, &channel, &challenge, now)?;
            if !pays_rent {
                sponsor::count_open(tx, now)?;
            }
            let submission =
                submission::request(tx, SubmissionKind::Open, Some(&id), &transaction, channel.deposit, now)?;
            if channel.keep_deposit {
                renewal::note_word(tx, &id, Some(submission))?;
            }
            tx.execute(
                "-- use_challenge
                INSERT INTO challenges (challenge_id, submission_id, expires_at) VALUES (?1, ?2, ?3)",
                params![challenge, submission.get(), challenge_expires_at],
            )?;
            Ok(RecordedOpen::Recorded(submission))
        })
        .await
    }

    /// The open will never land: its transaction failed or expired. Returns the channel's state, which is
    /// `Failed` unless the account has been seen meanwhile.
    pub async fn open_failed(&self, id: &ChannelId, reason: &str) -> Result<ChannelState, LedgerError> {
        let (id, reason) = (*id, reason.to_owned());
        self.write("open_failed", move |tx| {
            // One comparison, made by the statement: an account that was seen meanwhile has opened.
            let failed = tx.execute(
                "-- open_failed
                UPDATE channels SET state = 'failed', failure = ?2 WHERE channel_id = ?1 AND state = 'opening'",
                params![id.as_bytes(), reason],
            )?;
            let record = channel::find(tx, &id)?.ok_or(LedgerError::UnknownChannel(id))?;
            if failed > 0 {
                sponsor::give_back(tx, &record)?;
            }
            Ok(record.state)
        })
        .await
    }

    /// The top-up of `channel` that was requested by these very bytes, if there was one: a request with them is a
    /// repeat. Unless it is still `Requested`, its transaction has been seen by others.
    pub async fn requested_top_up(
        &self,
        channel: &ChannelId,
        transaction: &[u8],
    ) -> Result<Option<Submission>, LedgerError> {
        let (channel, transaction) = (*channel, transaction.to_vec());
        self.read("requested_top_up", move |tx| {
            let found = submission::requested_by(tx, SubmissionKind::TopUp, &channel, &transaction)?;
            Ok(found.map(|id| submission::find(tx, id)).transpose()?.flatten())
        })
        .await
    }

    /// Records a transaction that raises an open channel's deposit by `additional`, as the payer signed it.
    ///
    /// The deposit rises when the chain shows it ([`Ledger::observe`]), never before. The same bytes again
    /// get `Existing`, whatever became of the first.
    pub async fn record_top_up(
        &self,
        id: &ChannelId,
        additional: Amount,
        transaction: Vec<u8>,
    ) -> Result<RecordedTopUp, LedgerError> {
        self.record_top_up_and_word(id, additional, transaction, None).await
    }

    /// The same, with the payer's word on whether its deposit is to `keep` in escrow when the channel is idle, from now
    /// on; without one it stays as it was.
    pub async fn record_top_up_and_word(
        &self,
        id: &ChannelId,
        additional: Amount,
        transaction: Vec<u8>,
        keep: Option<bool>,
    ) -> Result<RecordedTopUp, LedgerError> {
        let (id, now) = (*id, self.now());
        self.write("record_top_up", move |tx| {
            let record = channel::find(tx, &id)?;
            let same = submission::requested_by(tx, SubmissionKind::TopUp, &id, &transaction)?;
            let record = match rules::top_up(record.as_ref(), same) {
                Ok(record) => record,
                Err(answer) => return Ok(answer),
            };
            let raised = record.watermarks.deposit.get().saturating_add(additional.get());
            integer(raised)?;
            let submission =
                submission::request(tx, SubmissionKind::TopUp, Some(&id), &transaction, additional, now)?;
            if let Some(keep) = keep {
                renewal::note_word(tx, &id, keep.then_some(submission))?;
            }
            Ok(RecordedTopUp::Recorded(submission))
        })
        .await
    }
}

fn challenge_use(tx: &Tx, challenge: &str) -> Result<Option<SubmissionId>, DatabaseError> {
    tx.first(
        "-- challenge_use\nSELECT submission_id FROM challenges WHERE challenge_id = ?1",
        params![challenge],
        |row| row.get(0),
    )
}

/// Whether the address is that of a channel that was moved to the archive.
fn archived(tx: &Tx, id: &ChannelId) -> Result<bool, DatabaseError> {
    tx.first(
        "-- archived\nSELECT 1 FROM archived_channels WHERE channel_id = ?1",
        params![id.as_bytes()],
        |_| Ok(()),
    )
    .map(|found| found.is_some())
}

pub(crate) fn insert(
    tx: &Tx,
    id: &ChannelId,
    bump: u8,
    new: &NewChannel,
    challenge: &str,
    now: i64,
) -> Result<(), LedgerError> {
    tx.execute(
        "-- insert_channel
        INSERT INTO channels
               (channel_id, payer, payee, mint, authorized_signer, salt, open_slot, program, bump,
                token_program, rent_payer, grace_period, splits, price, unit_type, idle_timeout,
                opening_challenge_id, state, deposit, created_at, last_activity_at, compared_at, proof)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, 'opening', ?18,
                ?19, ?19, ?19, ?20)",
        params![
            id.as_bytes(),
            new.agreement.terms.payer.to_bytes(),
            new.agreement.terms.payee.to_bytes(),
            new.agreement.terms.mint.to_bytes(),
            new.agreement.terms.authorized_signer.to_bytes(),
            new.agreement.terms.salt.to_string(),
            integer(new.agreement.terms.open_slot)?,
            new.agreement.program.to_bytes(),
            bump,
            new.agreement.token_program.to_bytes(),
            new.agreement.rent_payer.to_bytes(),
            new.agreement.grace_period,
            new.agreement.splits.preimage(),
            amount(new.price)?,
            new.unit_type,
            new.idle_timeout,
            challenge,
            amount(new.deposit)?,
            now,
            new.proof,
        ],
    )?;
    Ok(())
}
