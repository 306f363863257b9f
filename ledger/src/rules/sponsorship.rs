//! What the sponsor pays for.

use crate::{RecordedOpen, Sponsor, Unsponsored};

/// How many opens the sponsor has paid for in the minute it paid for one last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpensInMinute {
    /// Minutes since the unix epoch.
    pub(crate) minute: i64,
    pub(crate) opens: u64,
}

impl OpensInMinute {
    /// How many it has paid for in the minute of `now` (unix seconds).
    pub(crate) fn at(self, now: i64) -> u64 {
        if self.minute == minute_of(now) { self.opens } else { 0 }
    }

    /// With another one at `now` (unix seconds).
    pub(crate) fn counted(self, now: i64) -> Self {
        Self { minute: minute_of(now), opens: self.at(now).saturating_add(1) }
    }

    /// Without one that was counted at `counted_at` (unix seconds), if that is this minute: it cost the sponsor nothing
    /// after all, and whoever sends many of those must not use up the minute for all others.
    pub(crate) fn given_back(self, counted_at: i64) -> Self {
        Self { opens: self.opens.saturating_sub(u64::from(self.minute == minute_of(counted_at))), ..self }
    }
}

fn minute_of(now: i64) -> i64 {
    now.div_euclid(60)
}

/// What one payer has of the sponsor already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Channels that are not closed.
    pub(crate) live: u64,
    /// What today has charged to budgets for it, what is held included, in lamports.
    pub(crate) charged: u64,
}

/// Whether the sponsor pays for any open at `now` (unix seconds). An error says why not.
pub(crate) fn pays_for_opens(sponsor: &Sponsor, opened: OpensInMinute, now: i64) -> Result<(), Unsponsored> {
    if !sponsor.opens {
        return Err(Unsponsored::OutOfFunds);
    }
    match sponsor.opens_per_minute {
        Some(limit) if opened.at(now) >= limit => Err(Unsponsored::TooManyOpens),
        _ => Ok(()),
    }
}

/// Whether the sponsor's conditions let a payer who has `share` open another channel at `now` (unix seconds). One whose
/// payer pays its rent (`pays_rent`) costs the sponsor no more than its close, but that as well.
pub(crate) fn lets_open(
    sponsor: &Sponsor,
    share: Share,
    opened: OpensInMinute,
    pays_rent: bool,
    now: i64,
) -> Result<(), RecordedOpen> {
    if share.live >= sponsor.channels_per_payer {
        return Err(RecordedOpen::TooManyChannels { live: share.live });
    }
    if pays_rent {
        return Ok(());
    }
    pays_for_opens(sponsor, opened, now).map_err(RecordedOpen::Unsponsored)?;
    if sponsor.payer_budget.saturating_sub(share.charged) < sponsor.open_charge {
        return Err(RecordedOpen::Unsponsored(Unsponsored::PayerBudget));
    }
    Ok(())
}

#[cfg(test)]
mod laws;
