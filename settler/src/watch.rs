//! Chain → ledger: copies what the chain says about channels, before anything is decided.

mod view;

use std::collections::HashMap;
use std::sync::Arc;

use toll_chain::{Chain, ChainClock};
use toll_ledger::{ChannelRecord, ChannelState, Ledger, SubmissionKind};
use toll_protocol::{ChannelAccount, ChannelId, ChannelStatus, Network, OPEN_SLOT_WINDOW};
use tracing::error;

pub(crate) use self::view::View;
use self::view::{MOST, is_known};
use crate::SettlerError;
use crate::pauses::Pauses;
use crate::plan::grace_deadline;
use crate::tips::Tips;

/// Seconds for which a channel that vanished unpaid is still looked for.
const VANISHED_WATCH: i64 = 24 * 60 * 60;

/// How far a public cluster's clock may run behind ours before its node counts as lagging, in seconds.
const CLOCK_SLACK: i64 = 60;

/// Looks at channels and tells the ledger what the chain says.
pub(crate) struct Watch {
    ledger: Ledger,
    chain: Arc<dyn Chain>,
    tips: Arc<Tips>,
    pauses: Arc<Pauses>,
    network: Network,
}

/// A channel that no transaction of unknown fate acts on, as the chain shows it.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    /// The channel as the ledger had it before the look.
    pub(crate) record: ChannelRecord,
    /// Its account.
    pub(crate) account: ChannelAccount,
    /// The chain's clock at that moment.
    pub(crate) clock: ChainClock,
}

/// What one round of looking showed.
#[derive(Default)]
pub(crate) struct Round {
    /// The channels that are there and free to be acted on.
    pub(crate) sightings: Vec<Sighting>,
    /// Why some channels could not be looked at; the others were.
    pub(crate) failure: Option<SettlerError>,
}

impl Watch {
    pub(crate) fn new(
        ledger: Ledger,
        chain: Arc<dyn Chain>,
        tips: Arc<Tips>,
        pauses: Arc<Pauses>,
        network: Network,
    ) -> Self {
        Self { ledger, chain, tips, pauses, network }
    }

    /// Looks at channels and copies what they show into the ledger.
    ///
    /// With `everything`, all live channels are compared; otherwise only those that are closing. An answer that
    /// does not come leaves out the channels it was asked for, no others.
    pub(crate) async fn round(&self, everything: bool) -> Result<Round, SettlerError> {
        let busy = self.busy().await?;
        let started_at = self.ledger.now();
        let mut round = Round::default();
        let records = match self.candidates(everything, &busy).await {
            Ok(records) => records,
            // What is closing can be looked at without a tip.
            Err(error) if error.is_survivable() => {
                round.failure = Some(error);
                self.candidates(false, &busy).await?
            }
            Err(error) => return Err(error),
        };
        let mut seen_at = started_at;
        for records in records.chunks(MOST) {
            match self.compare(records, &busy).await {
                Ok(view) => {
                    seen_at = seen_at.min(self.seen_at(&view, started_at));
                    round.sightings.extend(sightings(records, view, &busy));
                }
                Err(error) if error.is_survivable() => round.failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        if everything && round.failure.is_none() {
            self.ledger.mark_channels_observed(seen_at).await?;
        }
        Ok(round)
    }

    /// Looks at a few channels without telling the ledger.
    pub(crate) async fn look(&self, records: &[ChannelRecord]) -> Result<View, SettlerError> {
        View::of(self.chain.as_ref(), records).await
    }

    async fn compare(&self, records: &[ChannelRecord], busy: &Busy) -> Result<View, SettlerError> {
        let view = self.look(records).await?;
        self.observe(records, &view, busy).await?;
        Ok(view)
    }

    async fn candidates(&self, everything: bool, busy: &Busy) -> Result<Vec<ChannelRecord>, SettlerError> {
        use ChannelState::{Closed, Closing, Failed, Gone, Open, Opening};
        if !everything {
            let mut closing = self.ledger.channels(&[Closing]).await?;
            closing.retain(|record| !busy.contains(&record.id) && !self.pauses.is_paused(&record.id));
            return Ok(closing);
        }
        let slot = self.tips.current().await?.slot;
        let mut records = self.ledger.channels(&[Opening, Open, Closing, Closed, Failed]).await?;
        let since = self.ledger.now().saturating_sub(VANISHED_WATCH);
        records.extend(self.ledger.vanished_channels(since).await?);
        records.retain(|record| {
            let in_window = slot <= record.terms.open_slot.saturating_add(OPEN_SLOT_WINDOW);
            match record.state {
                Opening | Open | Closing => true,
                // Nothing to do but reclaim, and not before the window ends.
                Closed => !in_window,
                // An open that was given up may show up after all, but not once its slot is too old.
                Failed => in_window,
                // It vanished with our money in it: a node that hid it, or a fork, may take that back.
                Gone => true,
            }
        });
        Ok(records)
    }

    /// Up to when a view shows the channels: a node that lags or hangs shows the past, however fast it answers,
    /// and the gateway must not sell on it. A local chain's clock is its own affair.
    fn seen_at(&self, view: &View, looked_at: i64) -> i64 {
        match self.network {
            Network::Localnet => looked_at,
            Network::Mainnet | Network::Devnet => {
                looked_at.min(view.clock.unix_timestamp.saturating_add(CLOCK_SLACK))
            }
        }
    }

    /// Copies a view into the ledger. What has not changed costs no write.
    ///
    /// Channels that one of our own closes is in flight for are left to its resolution, which knows how they
    /// ended.
    async fn observe(&self, records: &[ChannelRecord], view: &View, busy: &Busy) -> Result<(), SettlerError> {
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
    async fn busy(&self) -> Result<Busy, SettlerError> {
        let mut busy = Busy::default();
        for submission in self.ledger.unresolved().await? {
            busy.0.extend(submission.channels().into_iter().map(|channel| (channel, submission.kind)));
        }
        Ok(busy)
    }
}

/// Channels that a transaction of unknown fate acts on: nothing new is started on those.
#[derive(Default)]
struct Busy(HashMap<ChannelId, SubmissionKind>);

impl Busy {
    fn contains(&self, channel: &ChannelId) -> bool {
        self.0.contains_key(channel)
    }

    fn is_closing(&self, channel: &ChannelId) -> bool {
        use SubmissionKind::{Close, Distribute, Seal};
        self.0.get(channel).is_some_and(|kind| matches!(kind, Close | Seal | Distribute))
    }
}

fn sightings(records: &[ChannelRecord], view: View, busy: &Busy) -> Vec<Sighting> {
    let clock = view.clock;
    let seen = records.iter().zip(view.accounts);
    seen.filter(|(record, _)| !busy.contains(&record.id))
        .filter_map(|(record, account)| Some(Sighting { record: record.clone(), account: account?, clock }))
        .collect()
}

/// Half of the grace period is gone and the channel is not sealed: somebody should look.
fn alarm(record: &ChannelRecord, account: &ChannelAccount, clock: ChainClock) {
    let half = i64::from(account.grace_period) / 2;
    if account.status == ChannelStatus::Closing && clock.unix_timestamp >= grace_deadline(account) - half {
        let left = grace_deadline(account) - clock.unix_timestamp;
        error!(channel = %record.id, seconds_left = left, "forced close is not sealed yet");
    }
}
