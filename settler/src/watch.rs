//! Chain → ledger: copies what the chain says about channels, before anything is decided.

use std::collections::HashMap;

use solana_account::Account;
use toll_ledger::{ChannelRecord, ChannelState, SubmissionKind};
use toll_protocol::{ChannelAccount, ChannelId, ChannelStatus};
use tracing::{error, warn};

use crate::plan::grace_deadline;
use crate::{Settler, SettlerError};
use toll_chain::{CLOCK, ChainClock, ChainError};

/// Channels as the chain shows them at one moment.
pub(crate) struct View {
    pub(crate) slot: u64,
    pub(crate) clock: ChainClock,
    /// One entry per record looked up; `None` when no channel account is there.
    pub(crate) accounts: Vec<Option<ChannelAccount>>,
}

/// Channels that a transaction of unknown fate acts on: nothing new is started on those.
#[derive(Default)]
pub(crate) struct Busy(HashMap<ChannelId, SubmissionKind>);

impl Busy {
    pub(crate) fn contains(&self, channel: &ChannelId) -> bool {
        self.0.contains_key(channel)
    }

    fn is_closing(&self, channel: &ChannelId) -> bool {
        use SubmissionKind::{Close, Distribute, Seal};
        self.0.get(channel).is_some_and(|kind| matches!(kind, Close | Seal | Distribute))
    }
}

impl Settler {
    /// Fetches the accounts of `records` and the chain's clock.
    pub(crate) async fn look(&self, records: &[ChannelRecord]) -> Result<View, SettlerError> {
        let mut addresses = vec![CLOCK];
        addresses.extend(records.iter().map(|record| record.id.pubkey()));
        let found = self.chain.accounts(&addresses).await?;
        let [clock, channels @ ..] = found.accounts.as_slice() else {
            return Err(
                ChainError::Malformed { what: "accounts", reason: "an empty answer".to_owned() }.into()
            );
        };
        let accounts =
            records.iter().zip(channels).map(|(record, account)| channel_account(record, account.as_ref()));
        Ok(View {
            slot: found.slot,
            clock: ChainClock::decode(clock.as_ref())?,
            accounts: accounts.collect(),
        })
    }

    /// Copies a view into the ledger. What has not changed costs no write.
    ///
    /// Channels that one of our own closes is in flight for are left to its confirmation, which knows how
    /// they ended.
    pub(crate) async fn observe(
        &self,
        records: &[ChannelRecord],
        view: &View,
        busy: &Busy,
    ) -> Result<(), SettlerError> {
        for (record, account) in records.iter().zip(&view.accounts) {
            if let Some(account) = account {
                alarm(record, account, view.clock);
            }
            if busy.is_closing(&record.id) || is_known(record, account.as_ref(), view.slot) {
                continue;
            }
            // What one account says may be nonsense; the other channels still want looking at.
            match self.ledger.observe(&record.id, account.as_ref(), view.slot).await {
                Ok(_) => {}
                Err(error) if error.is_survivable() => error!(channel = %record.id, %error, "not observed"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What transactions of unknown fate act on.
    pub(crate) async fn busy(&self) -> Result<Busy, SettlerError> {
        let mut busy = Busy::default();
        for submission in self.ledger.unresolved().await? {
            busy.0.extend(submission.channels.iter().map(|channel| (*channel, submission.kind)));
        }
        Ok(busy)
    }
}

/// The channel in `account`, if there is one that the channel program owns.
pub(crate) fn channel_account(record: &ChannelRecord, account: Option<&Account>) -> Option<ChannelAccount> {
    let account = account.filter(|account| account.owner == record.program)?;
    ChannelAccount::decode(&account.data)
        .inspect_err(|error| warn!(channel = %record.id, %error, "not a channel account"))
        .ok()
}

/// Whether the ledger has these facts already.
///
/// A channel that has not been seen yet and is not there is no news: its open may be on its way.
fn is_known(record: &ChannelRecord, account: Option<&ChannelAccount>, slot: u64) -> bool {
    let Some(account) = account else {
        return matches!(record.state, ChannelState::Opening | ChannelState::Failed | ChannelState::Gone);
    };
    let marks = &record.watermarks;
    slot < record.observed_slot
        || (record.chain_status == Some(account.status)
            && marks.deposit == account.deposit
            && marks.settled == account.settled
            && marks.payout_watermark == account.payout_watermark
            && record.payer_withdrawn_at.unwrap_or(0) == account.payer_withdrawn_at)
}

/// Half of the grace period is gone and the channel is not sealed: somebody should look.
fn alarm(record: &ChannelRecord, account: &ChannelAccount, clock: ChainClock) {
    let half = i64::from(account.grace_period) / 2;
    if account.status == ChannelStatus::Closing && clock.unix_timestamp >= grace_deadline(account) - half {
        let left = grace_deadline(account) - clock.unix_timestamp;
        error!(channel = %record.id, seconds_left = left, "forced close is not sealed yet");
    }
}
