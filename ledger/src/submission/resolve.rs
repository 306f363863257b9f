//! Telling what became of recorded transactions.

use super::{Effect, SubmissionId, SubmissionKind, SubmissionState, find};
use crate::column::integer;
use crate::engine::params;
use crate::journal::{self, By};
use crate::rules::submission as rules;
use crate::{Ledger, LedgerError, payment};

/// What telling a submission's fate did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The submission has that fate now.
    Resolved,
    /// It had this state already, which stays.
    Already(SubmissionState),
}

impl Ledger {
    /// The submission is on chain and did what it was for. A landed top-up counts as activity on its
    /// channel; a landed close leaves its signature there.
    ///
    /// Call this last, after [`Ledger::open_landed`], [`Ledger::observe`] or [`Ledger::close_landed`]: should
    /// the process die in between, the submission is still unresolved and everything is done again.
    ///
    /// What moved on its channels is entered in the journal under its signature.
    ///
    /// The chain has the last word: this also holds for one that was given up as expired. Costs may be
    /// unknown.
    pub async fn landed(
        &self,
        id: SubmissionId,
        slot: u64,
        fee_lamports: Option<u64>,
        compute_units: Option<u64>,
    ) -> Result<Resolution, LedgerError> {
        let now = self.now();
        self.write("submission_landed", move |tx| {
            let found = find(tx, id)?.ok_or(LedgerError::UnknownSubmission(id))?;
            if !rules::can_land(found.state) {
                return Ok(Resolution::Already(found.state));
            }
            tx.execute(
                "-- submission_landed
                UPDATE submissions
                   SET state = 'landed', landed_slot = ?2, fee_lamports = ?3, compute_units = ?4, updated_at = ?5
                 WHERE submission_id = ?1",
                params![
                id.0,
                integer(slot)?,
                fee_lamports.map(integer).transpose()?,
                compute_units.map(integer).transpose()?,
                now,
            ],
            )?;
            tx.execute(
                "-- submission_landed_on_channel
                UPDATE channels
                   SET last_activity_at = CASE WHEN ?2 = 'top_up' THEN max(last_activity_at, ?3)
                                               ELSE last_activity_at END,
                       close_signature = CASE WHEN ?2 = 'close' THEN ?4 ELSE close_signature END
                 WHERE channel_id IN (SELECT channel_id FROM submission_channels WHERE submission_id = ?1)
                   AND ?2 IN ('top_up', 'close')",
                params![id.0, found.kind, now, found.signature.as_ref().map(AsRef::<[u8]>::as_ref)],
            )?;
            if found.kind == SubmissionKind::Charge {
                payment::land(tx, id, slot, now)?;
            }
            let deposits = matches!(found.kind, SubmissionKind::Open | SubmissionKind::TopUp);
            for Effect { channel, pays_out, .. } in found.effects {
                let by = found.signature.map(|signature| By { signature, deposits, pays_out });
                journal::enter(tx, &channel, now, by)?;
            }
            Ok(Resolution::Resolved)
        })
        .await
    }

    /// The submission was refused before it was sent, or is on chain with an error.
    pub async fn failed(&self, id: SubmissionId, error: &str) -> Result<Resolution, LedgerError> {
        self.give_up(id, SubmissionState::Failed, Some(error.to_owned())).await
    }

    /// The submission can no longer land: its last valid block height has passed, and the chain has not seen
    /// it.
    pub async fn expired(&self, id: SubmissionId) -> Result<Resolution, LedgerError> {
        self.give_up(id, SubmissionState::Expired, None).await
    }

    async fn give_up(
        &self,
        id: SubmissionId,
        state: SubmissionState,
        error: Option<String>,
    ) -> Result<Resolution, LedgerError> {
        let now = self.now();
        self.write("give_up_submission", move |tx| {
            let found = find(tx, id)?.ok_or(LedgerError::UnknownSubmission(id))?;
            if !rules::can_be_given_up(found.state) {
                return Ok(Resolution::Already(found.state));
            }
            tx.execute(
                "-- give_up_submission
                UPDATE submissions SET state = ?2, error = ?3, updated_at = ?4 WHERE submission_id = ?1",
                params![id.0, state, error, now],
            )?;
            if found.kind == SubmissionKind::Charge {
                payment::give_up(tx, id, error.as_deref(), now)?;
            }
            Ok(Resolution::Resolved)
        })
        .await
    }
}
