//! Which opens and top-ups are put on record.

use super::sponsorship::{OpensInMinute, Share, lets_open};
use crate::{ChannelRecord, ChannelState, RecordedOpen, RecordedTopUp, Sponsor, SubmissionId};

/// What is known when an open is asked for.
#[derive(Clone, Debug)]
pub(crate) struct OpenAsked {
    /// What the challenge has bought before.
    pub(crate) challenge_used_by: Option<SubmissionId>,
    /// What the same transaction bytes have opened this channel by before.
    pub(crate) same: Option<SubmissionId>,
    /// The channel's row.
    pub(crate) known: Option<ChannelRecord>,
    /// Whether the channel's address is in the archive.
    pub(crate) is_archived: bool,
    /// How many submissions wait for the settler's signature.
    pub(crate) waiting: usize,
    /// How many may.
    pub(crate) most_waiting: usize,
    /// Whether the payer pays the channel's rent.
    pub(crate) pays_rent: bool,
    /// What the sponsor said last, and what the payer has of it; `None` when it pays for everything.
    pub(crate) sponsor: Option<(Sponsor, Share, OpensInMinute)>,
}

/// Whether the open is put on record at `now` (unix seconds). An error is the answer instead, and nothing changes.
pub(crate) fn open(asked: OpenAsked, now: i64) -> Result<(), RecordedOpen> {
    if let Some(used_by) = asked.challenge_used_by {
        return Err(match asked.known {
            Some(record) if asked.same == Some(used_by) => RecordedOpen::Existing(Box::new(record), used_by),
            _ => RecordedOpen::ChallengeUsed,
        });
    }
    // Addresses are never reused: old vouchers would verify.
    if asked.known.is_some() || asked.is_archived {
        return Err(RecordedOpen::ChannelExists);
    }
    if asked.waiting >= asked.most_waiting {
        return Err(RecordedOpen::Crowded);
    }
    match &asked.sponsor {
        Some((sponsor, share, opened)) => lets_open(sponsor, *share, *opened, asked.pays_rent, now),
        None => Ok(()),
    }
}

/// Whether a top-up of the channel is put on record. `same` is what the same transaction bytes made before. An error is
/// the answer instead, and nothing changes.
pub(crate) fn top_up(
    known: Option<&ChannelRecord>,
    same: Option<SubmissionId>,
) -> Result<&ChannelRecord, RecordedTopUp> {
    let known = known.ok_or(RecordedTopUp::Unknown)?;
    // A repeat is recognized whatever became of the first.
    if let Some(same) = same {
        return Err(RecordedTopUp::Existing(same));
    }
    if known.state != ChannelState::Open {
        return Err(RecordedTopUp::NotOpen(known.state));
    }
    Ok(known)
}

#[cfg(test)]
mod laws;
