//! Which channels a round looks at. Each question is answered by an index of the ledger, and none of them asks for
//! every channel there is.

use std::collections::HashSet;
use std::time::Duration;

use toll_ledger::{ChannelRecord, ChannelState, Ledger};
use toll_protocol::{Amount, ChannelId};

use super::busy::Busy;
use crate::SettlerError;
use crate::config::SettlerConfig;
use crate::pauses::Pauses;
use crate::tips::Tips;

/// Seconds for which a channel that vanished unpaid is still looked for.
const VANISHED_WATCH: i64 = 24 * 60 * 60;

/// Most channels that one question adds to a round.
const MOST_OF_A_KIND: usize = 500;

/// Vouchers looked at for one that expires soon.
const VOUCHERS: usize = 2_000;

/// How far the chain's clock may be from ours, in seconds: a voucher that expires is found early rather than late.
const CLOCK_MARGIN: i64 = 60;

/// When a channel is looked at so that it may be settled without closing.
#[derive(Clone, Copy)]
pub(crate) struct Early {
    threshold: Option<Amount>,
    before_expiry: Option<i64>,
}

impl Early {
    pub(crate) fn by(config: &SettlerConfig) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self { threshold: config.settle_threshold, before_expiry: config.settle_before_expiry.map(seconds) }
    }
}

/// Channels on which service has stopped, and that are neither paused nor in a transaction's hands.
pub(crate) async fn closing(
    ledger: &Ledger,
    pauses: &Pauses,
    busy: &Busy,
) -> Result<Vec<ChannelRecord>, SettlerError> {
    let mut closing = ledger.channels(&[ChannelState::Closing]).await?;
    closing.retain(|record| !busy.contains(&record.id) && !pauses.is_paused(&record.id));
    Ok(closing)
}

/// Channels that there may be something to do about, whoever's turn it is.
pub(crate) async fn due(
    ledger: &Ledger,
    tips: &Tips,
    early: Early,
) -> Result<Vec<ChannelRecord>, SettlerError> {
    let now = ledger.now();
    let slot = tips.current().await?.slot;
    let mut due = ledger.channels(&[ChannelState::Closing]).await?;
    if let Some(before) = early.before_expiry {
        let until = now.saturating_add(before).saturating_add(CLOCK_MARGIN);
        due.extend(ledger.with_expiring_vouchers(now - CLOCK_MARGIN, until, VOUCHERS).await?);
    }
    if let Some(threshold) = early.threshold {
        due.extend(ledger.most_exposed(threshold, MOST_OF_A_KIND).await?);
    }
    // An open that was given up may show up after all, but not once its slot is too old.
    due.extend(ledger.failed_in_window(slot, MOST_OF_A_KIND).await?);
    // It vanished with our money in it: a node that hid it, or a fork, may take that back.
    due.extend(ledger.vanished_channels(now.saturating_sub(VANISHED_WATCH)).await?);
    due.extend(ledger.due_for_reclaim(slot, MOST_OF_A_KIND).await?);
    let mut seen = HashSet::new();
    due.retain(|record| seen.insert(record.id));
    Ok(due)
}

/// Up to `count` live channels whose turn it is to be compared, none of them in `seen`.
pub(crate) async fn next_in_turn(
    ledger: &Ledger,
    before: i64,
    count: usize,
    seen: &mut HashSet<ChannelId>,
) -> Result<Vec<ChannelRecord>, SettlerError> {
    let mut next = ledger.oldest_compared(before, count).await?;
    next.retain(|record| seen.insert(record.id));
    Ok(next)
}
