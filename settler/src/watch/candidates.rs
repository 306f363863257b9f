//! Which channels a round looks at. Each question is answered by an index of the ledger, and none of them asks for
//! every channel there is.

use std::cmp::Reverse;
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
        Self { threshold: config.worth_settling().0, before_expiry: config.settle_before_expiry.map(seconds) }
    }
}

/// Channels on which service has stopped, and that are neither paused nor in a transaction's hands: those with a
/// deadline first, then the most exposed: `count` of them, and no more than a round has time for.
pub(crate) async fn closing(
    ledger: &Ledger,
    pauses: &Pauses,
    busy: &Busy,
    count: usize,
) -> Result<Vec<ChannelRecord>, SettlerError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut closing = ledger.channels(&[ChannelState::Closing]).await?;
    // First, or what waits for something else would keep the others out.
    closing.retain(|record| !busy.contains(&record.id) && !pauses.is_paused(&record.id));
    Ok(most_pressing(closing, count.min(MOST_OF_A_KIND)))
}

/// Up to `count` of `closing`: forced closes by their deadlines, then the most exposed.
fn most_pressing(mut closing: Vec<ChannelRecord>, count: usize) -> Vec<ChannelRecord> {
    closing.sort_by_key(|record| {
        let deadline =
            record.closure_started_at.map(|at| at.saturating_add(record.agreement.grace_period.into()));
        let exposure = record.watermarks.accepted.saturating_sub(record.watermarks.settled);
        (deadline.is_none(), deadline, Reverse(exposure))
    });
    closing.truncate(count);
    closing
}

/// Channels that there may be something to do about, whoever's turn it is: of those that could wait, `count`.
pub(crate) async fn due(
    ledger: &Ledger,
    pauses: &Pauses,
    busy: &Busy,
    tips: &Tips,
    early: Early,
    count: usize,
) -> Result<Vec<ChannelRecord>, SettlerError> {
    let now = ledger.now();
    let slot = tips.current().await?.slot;
    // Those with a deadline are looked at whatever they wait for; of the others, as many as can be acted on.
    let mut due = ledger.channels(&[ChannelState::Closing]).await?;
    due.retain(|record| {
        record.closure_started_at.is_some() || !(busy.contains(&record.id) || pauses.is_paused(&record.id))
    });
    let forced = due.iter().filter(|record| record.closure_started_at.is_some()).count();
    due = most_pressing(due, (forced + count).min(MOST_OF_A_KIND));
    if let Some(before) = early.before_expiry {
        let until = now.saturating_add(before).saturating_add(CLOCK_MARGIN);
        due.extend(ledger.with_expiring_vouchers(now - CLOCK_MARGIN, until, VOUCHERS).await?);
    }
    if let Some(threshold) = early.threshold {
        due.extend(ledger.most_exposed(threshold, MOST_OF_A_KIND).await?);
    }
    due.extend(ledger.to_pay_out(MOST_OF_A_KIND).await?);
    // An open that was given up may show up after all, but not once its slot is too old.
    due.extend(ledger.failed_in_window(slot, MOST_OF_A_KIND).await?);
    // It vanished with our money in it: a node that hid it, or a fork, may take that back.
    due.extend(ledger.vanished_channels(now.saturating_sub(VANISHED_WATCH)).await?);
    due.extend(ledger.due_for_reclaim(slot, count.min(MOST_OF_A_KIND)).await?);
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

#[cfg(test)]
mod tests {
    use toll_ledger::{ChannelFixture, Charge, CloseReason, ManualClock};
    use toll_protocol::{ChannelAccount, ChannelStatus};

    use super::*;

    /// Channels that are closing and owe 10, 20, 30, …; the last two are forced, the very last one first.
    async fn all_closing(ledger: &Ledger, count: u64) -> Vec<ChannelId> {
        let mut ids = Vec::new();
        for salt in 1..=count {
            let fixture = ChannelFixture::new(salt, 1_000);
            let id = fixture.open(ledger).await.unwrap();
            ledger.accept(&fixture.voucher(10 * salt), Charge::of(10 * salt, salt)).await.unwrap();
            ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
            ids.push(id);
        }
        for (salt, started) in [(1, 2_000), (2, 1_000)] {
            let open = ChannelFixture::new(salt, 1_000).account();
            let status = ChannelStatus::Closing;
            let forced = ChannelAccount { status, closure_started_at: started, ..open };
            ledger.observe(&ids[salt as usize - 1], Some(&forced), 200).await.unwrap();
        }
        ids
    }

    #[tokio::test]
    async fn closing_channels_come_by_deadline_and_then_the_most_exposed_first() {
        let ledger = Ledger::temporary(ManualClock::new(1_500));
        let ids = all_closing(&ledger, 5).await;

        let found = closing(&ledger, &Pauses::default(), &Busy::default(), 9).await.unwrap();

        let order: Vec<_> = found.iter().map(|record| record.id).collect();
        assert_eq!(order, [ids[1], ids[0], ids[4], ids[3], ids[2]]);
        let cut: Vec<_> = most_pressing(found, 3).iter().map(|record| record.id).collect();
        assert_eq!(cut, [ids[1], ids[0], ids[4]], "the least exposed wait for the next round");
    }

    #[tokio::test]
    async fn a_paused_channel_takes_nobodys_place() {
        let ledger = Ledger::temporary(ManualClock::new(1_500));
        let ids = all_closing(&ledger, 3).await;
        let pauses = Pauses::default();
        pauses.hold(ids[1], "its payer's account is spoiled".to_owned(), Duration::from_secs(60));

        let found = closing(&ledger, &pauses, &Busy::default(), 9).await.unwrap();

        assert_eq!(found.iter().map(|record| record.id).collect::<Vec<_>>(), [ids[0], ids[2]]);
    }
}
