//! Channels that a transaction of unknown fate acts on, or one that is being made.

use std::collections::HashMap;

use toll_ledger::{Ledger, SubmissionKind};
use toll_protocol::ChannelId;

use crate::SettlerError;
use crate::claims::Claims;

/// Channels on which nothing new is started, and whether what is under way ends their service.
#[derive(Default)]
pub(crate) struct Busy(HashMap<ChannelId, bool>);

impl Busy {
    pub(crate) async fn of(ledger: &Ledger, claims: &Claims) -> Result<Self, SettlerError> {
        use SubmissionKind::{Close, Distribute, Seal};
        // Claims first: what is no claim any more is on record by then.
        let mut busy = Self(claims.all());
        for submission in ledger.unresolved().await? {
            let ends_service = matches!(submission.kind, Close | Seal | Distribute);
            busy.0.extend(submission.channels().into_iter().map(|channel| (channel, ends_service)));
        }
        Ok(busy)
    }

    pub(crate) fn contains(&self, channel: &ChannelId) -> bool {
        self.0.contains_key(channel)
    }

    pub(crate) fn is_closing(&self, channel: &ChannelId) -> bool {
        self.0.get(channel).copied().unwrap_or(false)
    }
}
