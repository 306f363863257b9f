//! Streams that wait for a voucher, so that it is let in when it comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use toll_protocol::{Amount, ChannelId};

/// Most streams of one channel that wait at once: each keeps its upstream waiting, for the price of one event.
const MOST: usize = 8;

/// The channels whose streams are paused, and up to where each of them wants vouchers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paused(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    required: Mutex<HashMap<ChannelId, Vec<Wanted>>>,
    raised: Notify,
}

/// Cumulative amounts of vouchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The least with which a stream goes on.
    pub(super) least: Amount,
    /// What it asks for.
    pub(super) required: Amount,
}

impl Paused {
    /// The cumulative amount that streams of `channel` wait for, if any do.
    pub(crate) fn wanted(&self, channel: &ChannelId) -> Option<Amount> {
        self.0
            .required
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(channel)?
            .iter()
            .map(|wanted| wanted.required)
            .max()
    }

    /// Whether a stream of `channel` waits that goes on with a voucher for `cumulative`.
    pub(crate) fn lets_in(&self, channel: &ChannelId, cumulative: Amount) -> bool {
        let paused = self.0.required.lock().unwrap_or_else(PoisonError::into_inner);
        paused.get(channel).is_some_and(|waiting| waiting.iter().any(|wanted| wanted.least <= cumulative))
    }

    /// Says that a voucher was accepted that streams may be waiting for.
    pub(crate) fn raised(&self) {
        self.0.raised.notify_waiters();
    }

    /// Resolves at the next such word after it was made.
    pub(super) fn next(&self) -> Notified<'_> {
        self.0.raised.notified()
    }

    /// Notes that a stream waits for a voucher, as long as the value lives. `None`: too many streams of the channel wait.
    pub(super) fn pause(&self, channel: ChannelId, wanted: Wanted) -> Option<Pause> {
        let mut paused = self.0.required.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = paused.entry(channel).or_default();
        if waiting.len() == MOST {
            return None;
        }
        waiting.push(wanted);
        Some(Pause { paused: self.clone(), channel, wanted })
    }
}

/// A stream that waits.
#[derive(Debug)]
pub(super) struct Pause {
    paused: Paused,
    channel: ChannelId,
    wanted: Wanted,
}

impl Drop for Pause {
    fn drop(&mut self) {
        let mut paused = self.paused.0.required.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = paused.get_mut(&self.channel) else { return };
        if let Some(at) = waiting.iter().position(|wanted| *wanted == self.wanted) {
            waiting.swap_remove(at);
        }
        if waiting.is_empty() {
            paused.remove(&self.channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(least: u64, required: u64) -> Wanted {
        Wanted { least: Amount::new(least), required: Amount::new(required) }
    }

    #[test]
    fn a_channel_has_as_many_streams_waiting_as_it_may_and_no_more() {
        let (paused, one, other) = (Paused::default(), ChannelId::new([1; 32]), ChannelId::new([2; 32]));
        let mut waiting: Vec<_> =
            (0..MOST).map(|_| paused.pause(one, wanted(2, 11)).expect("room")).collect();
        assert!(paused.pause(one, wanted(2, 11)).is_none());
        assert!(paused.pause(other, wanted(2, 11)).is_some());
        waiting.pop();
        assert!(paused.pause(one, wanted(2, 11)).is_some());
    }

    #[test]
    fn a_voucher_is_let_in_that_lets_a_stream_go_on() {
        let (paused, channel) = (Paused::default(), ChannelId::new([1; 32]));
        assert!(!paused.lets_in(&channel, Amount::new(u64::MAX)));
        let near = paused.pause(channel, wanted(5, 11));
        let far = paused.pause(channel, wanted(20, 40));
        assert_eq!(paused.wanted(&channel), Some(Amount::new(40)));
        assert!(paused.lets_in(&channel, Amount::new(5)) && !paused.lets_in(&channel, Amount::new(4)));
        drop(near);
        assert!(!paused.lets_in(&channel, Amount::new(19)));
        drop(far);
        assert_eq!(paused.wanted(&channel), None);
    }
}
