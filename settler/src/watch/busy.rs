//! Channels that a transaction of unknown fate acts on.

use std::collections::HashMap;

use toll_ledger::{Ledger, SubmissionKind};
use toll_protocol::ChannelId;

use crate::SettlerError;

/// What transactions of unknown fate act on: nothing new is started on those.
#[derive(Default)]
pub(crate) struct Busy(HashMap<ChannelId, SubmissionKind>);

impl Busy {
    pub(crate) async fn of(ledger: &Ledger) -> Result<Self, SettlerError> {
        let mut busy = Self::default();
        for submission in ledger.unresolved().await? {
            busy.0.extend(submission.channels().into_iter().map(|channel| (channel, submission.kind)));
        }
        Ok(busy)
    }

    pub(crate) fn contains(&self, channel: &ChannelId) -> bool {
        self.0.contains_key(channel)
    }

    pub(crate) fn is_closing(&self, channel: &ChannelId) -> bool {
        use SubmissionKind::{Close, Distribute, Seal};
        self.0.get(channel).is_some_and(|kind| matches!(kind, Close | Seal | Distribute))
    }
}
