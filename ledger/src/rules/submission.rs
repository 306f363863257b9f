//! How a transaction on record goes on.
//!
//! `Requested → Recorded → Landed | Failed | Expired`. What is `Recorded` may have been sent, so from there on only the
//! chain says what became of it, and it has the last word on what was given up as expired.

use solana_signature::Signature;

use crate::{SubmissionId, SubmissionState};

/// What is to be done about a requested transaction that is now fully signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// It is recorded, and may be sent.
    Record,
    /// This very signature is on record already. Nothing changes.
    Done,
    /// It has gone on, so it must not be sent. Nothing changes.
    GoneOn(SubmissionState),
    /// Another submission has this transaction: a payer can sign one message twice. Nothing changes.
    Same(SubmissionId),
}

/// Decides on a submission that is in `state`, and has `recorded` as its signature if it has one, when it is signed as
/// `signature`. `elsewhere` is the submission that has that signature.
pub(crate) fn sign(
    state: SubmissionState,
    recorded: Option<Signature>,
    signature: Signature,
    elsewhere: Option<SubmissionId>,
) -> Signing {
    match (state, elsewhere) {
        (SubmissionState::Recorded, _) if recorded == Some(signature) => Signing::Done,
        (SubmissionState::Requested, None) => Signing::Record,
        (SubmissionState::Requested, Some(other)) => Signing::Same(other),
        (state, _) => Signing::GoneOn(state),
    }
}

/// Whether what is in `state` can have landed. Costs and effects are counted once.
pub(crate) fn can_land(state: SubmissionState) -> bool {
    matches!(state, SubmissionState::Recorded | SubmissionState::Expired)
}

/// Whether what is in `state` can be given up.
pub(crate) fn can_be_given_up(state: SubmissionState) -> bool {
    matches!(state, SubmissionState::Requested | SubmissionState::Recorded)
}

#[cfg(test)]
mod laws;
