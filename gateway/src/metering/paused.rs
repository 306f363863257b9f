//! Streams that wait for a voucher, so that it is let in when it comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use toll_protocol::{Amount, ChannelId};

/// The channels whose streams are paused, and up to where each of them wants vouchers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paused(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    required: Mutex<HashMap<ChannelId, Vec<Amount>>>,
    raised: Notify,
}

impl Paused {
    /// The cumulative amount that streams of `channel` wait for, if any do.
    pub(crate) fn wanted(&self, channel: &ChannelId) -> Option<Amount> {
        self.0.required.lock().unwrap_or_else(PoisonError::into_inner).get(channel)?.iter().max().copied()
    }

    /// Says that a voucher was accepted that streams may be waiting for.
    pub(crate) fn raised(&self) {
        self.0.raised.notify_waiters();
    }

    /// Resolves at the next such word after it was made.
    pub(super) fn next(&self) -> Notified<'_> {
        self.0.raised.notified()
    }

    /// Notes that a stream waits for a voucher of `required`, as long as the value lives.
    pub(super) fn pause(&self, channel: ChannelId, required: Amount) -> Pause {
        let mut paused = self.0.required.lock().unwrap_or_else(PoisonError::into_inner);
        paused.entry(channel).or_default().push(required);
        Pause { paused: self.clone(), channel, required }
    }
}

/// A stream that waits.
#[derive(Debug)]
pub(super) struct Pause {
    paused: Paused,
    channel: ChannelId,
    required: Amount,
}

impl Drop for Pause {
    fn drop(&mut self) {
        let mut paused = self.paused.0.required.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = paused.get_mut(&self.channel) else { return };
        if let Some(at) = waiting.iter().position(|required| *required == self.required) {
            waiting.swap_remove(at);
        }
        if waiting.is_empty() {
            paused.remove(&self.channel);
        }
    }
}
