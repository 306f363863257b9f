//! What the settler may forget: everything here is rebuilt or missed only for speed after a restart.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use solana_hash::Hash;
use toll_ledger::SubmissionId;
use toll_protocol::ChannelId;

use crate::summary::{Report, Summary};
use toll_chain::ChainTip;

/// Blockhashes remembered with their last valid height: more than can be valid at once.
const BLOCKHASHES: usize = 512;

/// First pause after a failure; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Reports, and refusals, kept for a caller that never takes them.
const REPORTS: usize = 10_000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Failures in a row after which a channel is no longer waited for before stopping.
const HOPELESS: u32 = 4;

#[derive(Default)]
pub(crate) struct Memory(Mutex<Kept>);

#[derive(Default)]
pub(crate) struct Kept {
    /// The newest tip and when it was fetched.
    pub(crate) tip: Option<(ChainTip, Instant)>,
    blockhashes: VecDeque<(Hash, u64)>,
    sent_at: HashMap<SubmissionId, Instant>,
    confirmed_at: Option<Instant>,
    pauses: HashMap<ChannelId, Pause>,
    summary: Summary,
    held: BTreeMap<ChannelId, String>,
    refund_accounts: Vec<Instant>,
    low_on_sol: bool,
}

#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    failures: u32,
}

impl Memory {
    /// The kept values. Never hold this across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Kept> {
        // Whatever a panicking holder left is still only a cache.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    pub(crate) fn saw_tip(&mut self, tip: ChainTip) {
        self.tip = Some((tip, Instant::now()));
        if self.blockhashes.back().is_none_or(|(newest, _)| *newest != tip.blockhash) {
            self.blockhashes.push_back((tip.blockhash, tip.last_valid_block_height));
        }
        while self.blockhashes.len() > BLOCKHASHES {
            self.blockhashes.pop_front();
        }
    }

    /// The last height at which a transaction with `blockhash` can land, if we ever published it.
    pub(crate) fn last_valid_block_height(&self, blockhash: &Hash) -> Option<u64> {
        self.blockhashes.iter().rev().find(|(known, _)| known == blockhash).map(|(_, height)| *height)
    }

    /// Whether a transaction should be sent (again), and if so notes that it is.
    pub(crate) fn should_send(&mut self, id: SubmissionId, every: Duration) -> bool {
        let due = self.sent_at.get(&id).is_none_or(|sent| sent.elapsed() >= every);
        if due {
            self.sent_at.insert(id, Instant::now());
        }
        due
    }

    /// Whether it is time to ask for the fate of what is in flight, and if so notes that it was done.
    ///
    /// Every accepted voucher wakes the loop; the node should not notice.
    pub(crate) fn should_confirm(&mut self, every: Duration) -> bool {
        let due = self.confirmed_at.is_none_or(|at| at.elapsed() >= every);
        if due {
            self.confirmed_at = Some(Instant::now());
        }
        due
    }

    pub(crate) fn forget(&mut self, id: SubmissionId) {
        self.sent_at.remove(&id);
    }

    /// How often in a row work on a channel has failed.
    pub(crate) fn failures(&self, channel: &ChannelId) -> u32 {
        self.pauses.get(channel).map_or(0, |pause| pause.failures)
    }

    pub(crate) fn is_paused(&self, channel: &ChannelId) -> bool {
        self.pauses.get(channel).is_some_and(|pause| Instant::now() < pause.until)
    }

    /// Leaves a channel alone for a while, longer with every failure, at most `longest`.
    pub(crate) fn pause(&mut self, channel: ChannelId, longest: Duration) {
        let failures = self.failures(&channel);
        let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE).min(longest);
        self.pauses.insert(channel, Pause { until: Instant::now() + pause, failures: failures + 1 });
    }

    /// Leaves a channel alone for `pause` without counting it as a failure.
    pub(crate) fn hold(&mut self, channel: ChannelId, reason: String, pause: Duration) {
        self.pauses.insert(channel, Pause { until: Instant::now() + pause, failures: 0 });
        self.held.insert(channel, reason);
    }

    /// Whether a channel failed lately and another attempt is likely to help.
    pub(crate) fn is_worth_waiting_for(&self, channel: &ChannelId) -> bool {
        (1..HOPELESS).contains(&self.failures(channel))
    }

    pub(crate) fn resume(&mut self, channel: &ChannelId) {
        self.pauses.remove(channel);
        self.held.remove(channel);
    }

    /// Whether a payer's token account may be created at our expense, `per_day` being what is spent on that;
    /// if so, notes that it is.
    pub(crate) fn may_create_refund_account(&mut self, per_day: usize) -> bool {
        self.refund_accounts.retain(|at| at.elapsed() < DAY);
        let may = self.refund_accounts.len() < per_day;
        if may {
            self.refund_accounts.push(Instant::now());
        }
        may
    }

    /// Notes what the fee payer holds. True when it has just become less than `low`.
    pub(crate) fn saw_balance(&mut self, lamports: u64, low: u64) -> bool {
        let was_low = std::mem::replace(&mut self.low_on_sol, lamports < low);
        self.low_on_sol && !was_low
    }

    pub(crate) fn report(&mut self, report: Report) {
        let reports = &mut self.summary.reports;
        if reports.len() >= REPORTS {
            reports.drain(..REPORTS / 2);
        }
        reports.push(report);
    }

    pub(crate) fn refused(&mut self, channel: ChannelId, reason: String) {
        let refused = &mut self.summary.refused;
        if refused.len() >= REPORTS {
            refused.drain(..REPORTS / 2);
        }
        refused.push((channel, reason));
    }

    pub(crate) fn expired(&mut self) {
        self.summary.expired += 1;
    }

    pub(crate) fn take_summary(&mut self) -> Summary {
        let held = std::mem::take(&mut self.held).into_iter().collect();
        Summary { held, ..std::mem::take(&mut self.summary) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> ChannelId {
        ChannelId::new([1; 32])
    }

    fn pause_length(kept: &Kept) -> Duration {
        kept.pauses[&channel()].until.saturating_duration_since(Instant::now())
    }

    #[test]
    fn pauses_grow_with_every_failure_up_to_the_limit() {
        let mut kept = Kept::default();
        let mut last = Duration::ZERO;
        for _ in 0..6 {
            kept.pause(channel(), Duration::MAX);
            assert!(pause_length(&kept) > last);
            last = pause_length(&kept);
        }
        for _ in 0..40 {
            kept.pause(channel(), Duration::MAX);
        }
        assert!(pause_length(&kept) <= LONGEST_PAUSE);
        kept.pause(channel(), Duration::from_secs(2));
        assert!(pause_length(&kept) <= Duration::from_secs(2));
    }

    #[test]
    fn success_ends_pause_and_hold() {
        let mut kept = Kept::default();
        kept.pause(channel(), Duration::MAX);
        kept.hold(channel(), "reason".to_owned(), Duration::from_secs(9));
        assert!(kept.is_paused(&channel()));
        kept.resume(&channel());
        assert!(!kept.is_paused(&channel()));
        assert_eq!(kept.take_summary(), Summary::default());
    }

    #[test]
    fn held_channel_is_not_waited_for_and_a_failing_one_only_for_a_while() {
        let mut kept = Kept::default();
        kept.hold(channel(), "reason".to_owned(), Duration::ZERO);
        assert!(!kept.is_worth_waiting_for(&channel()));
        for failure in 1..=HOPELESS {
            kept.pause(channel(), Duration::MAX);
            assert_eq!(kept.is_worth_waiting_for(&channel()), failure < HOPELESS);
        }
    }

    #[test]
    fn blockhashes_are_remembered_longer_than_they_live() {
        let mut kept = Kept::default();
        let hash = |number: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            Hash::new_from_array(bytes)
        };
        for number in 0..BLOCKHASHES as u64 + 10 {
            let tip = ChainTip {
                blockhash: hash(number),
                slot: 0,
                block_height: 0,
                last_valid_block_height: number,
            };
            kept.saw_tip(tip);
            kept.saw_tip(tip);
        }
        assert_eq!(kept.last_valid_block_height(&hash(300)), Some(300));
        assert_eq!(kept.last_valid_block_height(&hash(5)), None);
    }

    #[test]
    fn refusals_that_nobody_asks_for_do_not_pile_up() {
        let mut kept = Kept::default();
        (0..3 * REPORTS).for_each(|_| kept.refused(channel(), "no funds".to_owned()));
        assert!(kept.take_summary().refused.len() <= REPORTS);
    }

    #[test]
    fn refund_accounts_are_counted_by_the_day() {
        let mut kept = Kept::default();
        assert!(!kept.may_create_refund_account(0));
        assert!(kept.may_create_refund_account(2) && kept.may_create_refund_account(2));
        assert!(!kept.may_create_refund_account(2));
        assert!(kept.may_create_refund_account(3));
    }

    #[test]
    fn fates_are_asked_for_at_intervals() {
        let mut kept = Kept::default();
        assert!(kept.should_confirm(Duration::from_secs(9)));
        assert!(!kept.should_confirm(Duration::from_secs(9)));
        assert!(kept.should_confirm(Duration::ZERO));
    }
}
