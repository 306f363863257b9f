//! Channels that are left alone for a while. Forgotten at a restart, which costs one more attempt each.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use toll_protocol::ChannelId;
use tracing::warn;

/// First pause after a failure; it doubles with every further one.
const FIRST: Duration = Duration::from_millis(500);

/// Longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// Holds in a row after which each lasts twice as long as the one before: what a payer has spoiled for good must
/// not cost a question per poll.
const HOLDS_AT_ONCE: u32 = 4;

/// Longest hold: what is put in order is noticed within this.
const LONGEST_HOLD: Duration = Duration::from_secs(10 * 60);

/// Failures in a row after which stopping no longer waits for a channel's next attempt.
const FAILURES_WAITED_FOR: u32 = 4;

/// Which channels wait, until when, and why.
#[derive(Default)]
pub(crate) struct Pauses(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    pauses: HashMap<ChannelId, Pause>,
    held: BTreeMap<ChannelId, String>,
}

#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    failures: u32,
    holds: u32,
}

impl Pauses {
    /// How often in a row work on a channel has failed.
    pub(crate) fn failures(&self, channel: &ChannelId) -> u32 {
        self.lock().failures(channel)
    }

    pub(crate) fn is_paused(&self, channel: &ChannelId) -> bool {
        self.lock().pauses.get(channel).is_some_and(|pause| Instant::now() < pause.until)
    }

    /// Whether a channel failed lately and another attempt is likely to help.
    pub(crate) fn is_worth_waiting_for(&self, channel: &ChannelId) -> bool {
        (1..FAILURES_WAITED_FOR).contains(&self.failures(channel))
    }

    /// Leaves a channel alone after a failure, longer with every further one, at most `longest`.
    pub(crate) fn failed(&self, channel: ChannelId, longest: Duration) {
        let mut kept = self.lock();
        let failures = kept.failures(&channel);
        let pause = FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST).min(longest);
        kept.pauses
            .insert(channel, Pause { until: Instant::now() + pause, failures: failures + 1, holds: 0 });
    }

    /// Leaves a channel alone because nothing may be done about it now: for `pause` at first, and longer each time
    /// that has not changed, at most ten minutes or `pause`.
    pub(crate) fn hold(&self, channel: ChannelId, reason: String, pause: Duration) {
        warn!(%channel, reason, "held");
        let mut kept = self.lock();
        let holds = kept.pauses.get(&channel).map_or(0, |pause| pause.holds) + 1;
        let longer = pause.saturating_mul(1 << holds.saturating_sub(HOLDS_AT_ONCE).min(20));
        let until = Instant::now() + longer.min(LONGEST_HOLD).max(pause);
        kept.pauses.insert(channel, Pause { until, failures: 0, holds });
        kept.held.insert(channel, reason);
    }

    /// Ends a channel's pause: something worked.
    pub(crate) fn end(&self, channel: &ChannelId) {
        let mut kept = self.lock();
        kept.pauses.remove(channel);
        kept.held.remove(channel);
    }

    /// The channels held since the last call, with the reason.
    pub(crate) fn take_held(&self) -> Vec<(ChannelId, String)> {
        std::mem::take(&mut self.lock().held).into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn failures(&self, channel: &ChannelId) -> u32 {
        self.pauses.get(channel).map_or(0, |pause| pause.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> ChannelId {
        ChannelId::new([1; 32])
    }

    fn length(pauses: &Pauses) -> Duration {
        pauses.lock().pauses[&channel()].until.saturating_duration_since(Instant::now())
    }

    #[test]
    fn pauses_grow_with_every_failure_up_to_the_limit() {
        let pauses = Pauses::default();
        let mut last = Duration::ZERO;
        for _ in 0..6 {
            pauses.failed(channel(), Duration::MAX);
            assert!(length(&pauses) > last);
            last = length(&pauses);
        }
        for _ in 0..40 {
            pauses.failed(channel(), Duration::MAX);
        }
        assert!(length(&pauses) <= LONGEST);
        pauses.failed(channel(), Duration::from_secs(2));
        assert!(length(&pauses) <= Duration::from_secs(2));
    }

    #[test]
    fn success_ends_pause_and_hold() {
        let pauses = Pauses::default();
        pauses.failed(channel(), Duration::MAX);
        pauses.hold(channel(), "reason".to_owned(), Duration::from_secs(9));
        assert!(pauses.is_paused(&channel()));
        pauses.end(&channel());
        assert!(!pauses.is_paused(&channel()));
        assert_eq!(pauses.take_held(), []);
    }

    #[test]
    fn held_channel_is_looked_at_less_and_less_often() {
        let pauses = Pauses::default();
        let poll = Duration::from_secs(5);
        let hold = || {
            pauses.hold(channel(), "reason".to_owned(), poll);
            length(&pauses)
        };
        for _ in 0..HOLDS_AT_ONCE {
            assert!(hold() <= poll);
        }
        let (twice, more) = (hold(), hold());
        assert!(twice > poll && more > twice, "{twice:?} {more:?}");
        // Every five seconds were 17,280 attempts a day.
        let mut day = Duration::from_secs(24 * 60 * 60);
        let mut attempts = 0;
        while let Some(rest) = day.checked_sub(hold() + Duration::from_secs(1)) {
            (day, attempts) = (rest, attempts + 1);
        }
        assert!(attempts < 160, "{attempts}");
        pauses.end(&channel());
        assert!(hold() <= poll);
    }

    #[test]
    fn held_channel_is_not_waited_for_and_a_failing_one_only_for_a_while() {
        let pauses = Pauses::default();
        pauses.hold(channel(), "reason".to_owned(), Duration::ZERO);
        assert!(!pauses.is_worth_waiting_for(&channel()));
        for failure in 1..=FAILURES_WAITED_FOR {
            pauses.failed(channel(), Duration::MAX);
            assert_eq!(pauses.is_worth_waiting_for(&channel()), failure < FAILURES_WAITED_FOR);
        }
    }
}
