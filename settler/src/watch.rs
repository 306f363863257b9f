//! Chain → ledger: copies what the chain says about channels, before anything is decided.

mod busy;
mod candidates;
mod finality;
mod search;
mod sweep;
mod time;
mod view;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::{Chain, ChainClock, Hints};
use toll_ledger::{ChannelRecord, Ledger};
use toll_protocol::{ChannelAccount, ChannelId, ChannelStatus, Network};
use tracing::error;

use self::busy::Busy;
use self::candidates::Early;
use self::search::{Found, Search};
use self::sweep::Sweep;
use self::time::{CLOCK_SLACK, ChainTime};
pub(crate) use self::view::View;
use self::view::{MOST, is_known};
use crate::SettlerError;
use crate::claims::Claims;
use crate::launch::Shared;
use crate::pauses::Pauses;
use crate::plan::grace_deadline;
use crate::tips::Tips;

/// Calls to compare channels in turn with, at one look, while some have waited for too long.
const CALLS_WHEN_LATE: usize = 10;

/// Listed channels that are compared with the ledger at once: vouchers are accepted in between.
const LISTED_AT_ONCE: usize = 500;

/// Looks at channels and tells the ledger what the chain says.
pub(crate) struct Watch {
    ledger: Ledger,
    chain: Arc<dyn Chain>,
    tips: Arc<Tips>,
    claims: Arc<Claims>,
    pauses: Arc<Pauses>,
    search: Search,
    sweep: Sweep,
    early: Early,
    /// Channels compared in a round besides what is urgent.
    comparisons: usize,
    /// How long a round may go on comparing where the node does not search.
    longest_round: Duration,
    network: Network,
    payee: Pubkey,
    time: ChainTime,
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
pub(crate) struct Round {
    /// The channels that are there and free to be acted on.
    pub(crate) sightings: Vec<Sighting>,
    /// Why some channels could not be looked at; the others were.
    pub(crate) failure: Option<SettlerError>,
    /// When it began by the host's clock, in unix seconds.
    started_at: i64,
    /// Up to when what was seen goes, in unix seconds, once something was.
    seen_at: Option<i64>,
    /// The oldest slot of what was seen, if anything was.
    slot: Option<u64>,
}

impl Round {
    fn started(at: i64) -> Self {
        Self { sightings: Vec::new(), failure: None, started_at: at, seen_at: None, slot: None }
    }
}

impl Watch {
    pub(crate) fn new(shared: Shared) -> Self {
        let Shared { ledger, chain, tips, claims, pauses, config, keys, .. } = shared;
        Self {
            search: Search::new(config.program, config.query_timeout),
            sweep: Sweep::new(config.program, config.compare_within, config.query_timeout),
            early: Early::by(&config),
            comparisons: config.comparisons_per_poll,
            longest_round: config.poll_interval,
            network: config.network,
            payee: keys.payee.pubkey(),
            ledger,
            chain,
            tips,
            claims,
            pauses,
            time: ChainTime::default(),
        }
    }

    /// Hints that a payer may be forcing a close.
    pub(crate) fn hints(&self) -> Option<Hints> {
        self.chain.hints(&self.search.filter(self.payee))
    }

    /// Looks at channels and copies what they show into the ledger.
    ///
    /// Always at `channels` of those that are closing, since more could not be acted on; with `everything`, also for
    /// forced closes on all the others, at whatever there may be something to do about, and at the next few in turn.
    /// An answer that does not come leaves out the channels it was asked for, no others.
    pub(crate) async fn round(&self, everything: bool, channels: usize) -> Result<Round, SettlerError> {
        let busy = Busy::of(&self.ledger, &self.claims).await?;
        let mut round = Round::started(self.ledger.now());
        if !everything {
            let closing = candidates::closing(&self.ledger, &self.pauses, &busy, channels).await?;
            self.compare(closing, &busy, &mut round).await?;
            return Ok(round);
        }
        let due = candidates::due(&self.ledger, &self.pauses, &busy, &self.tips, self.early, channels).await;
        let due = match due {
            Ok(due) => due,
            // What is closing can be looked at without a tip.
            Err(error) if error.is_survivable() => {
                round.failure = Some(error);
                candidates::closing(&self.ledger, &self.pauses, &busy, channels).await?
            }
            Err(error) => return Err(error),
        };
        let comparisons = match self.sweep.is_late(&self.ledger, self.now()).await? {
            true => self.comparisons.max(MOST) * CALLS_WHEN_LATE,
            false => self.comparisons,
        };
        // Whoever is due leaves room for the others' turn, but never none.
        let turns = comparisons.saturating_sub(due.len()).max(1);
        let mut seen: HashSet<ChannelId> = due.iter().map(|record| record.id).collect();
        let next = candidates::next_in_turn(&self.ledger, self.now(), turns + due.len(), &mut seen).await?;
        let records = due.into_iter().chain(next.into_iter().take(turns)).collect();
        self.compare(records, &busy, &mut round).await?;
        if round.failure.is_none() {
            self.look_for_forced_closes(&busy, &mut round).await?;
        }
        Ok(round)
    }

    /// Finds the forced closes that nobody knows of yet, and notes up to when there are no others.
    async fn look_for_forced_closes(&self, busy: &Busy, round: &mut Round) -> Result<(), SettlerError> {
        let Some(min_slot) = round.slot else {
            // No channel is live, so none can be closed.
            return Ok(self.ledger.mark_channels_observed(self.now()).await?);
        };
        let seen_at = round.seen_at.unwrap_or_else(|| self.now());
        match self.search.forced_closes(&self.ledger, self.chain.as_ref(), min_slot).await? {
            Found::News { slot, channels } => {
                round.slot = None;
                self.compare(channels, busy, round).await?;
                // An answer from before the search shows them as they were before it.
                let shown = round.slot.is_none_or(|shown| shown >= slot);
                if round.failure.is_none() && shown {
                    self.ledger.mark_channels_observed(seen_at).await?;
                }
            }
            Found::NoAnswer => {
                self.compare_all(busy, round).await?;
                let oldest = self.ledger.oldest_comparison().await?;
                self.ledger.mark_channels_observed(oldest.unwrap_or(seen_at).min(seen_at)).await?;
            }
        }
        Ok(())
    }

    /// Compares every live channel in turn, for as long as a round may take; the next one goes on from there.
    async fn compare_all(&self, busy: &Busy, round: &mut Round) -> Result<(), SettlerError> {
        let began = Instant::now();
        let mut seen = HashSet::new();
        while began.elapsed() < self.longest_round && round.failure.is_none() {
            let next = candidates::next_in_turn(&self.ledger, self.now(), MOST, &mut seen).await?;
            if next.is_empty() {
                break;
            }
            self.compare(next, busy, round).await?;
        }
        Ok(())
    }

    /// Compares all channels with a list of them, once some have not been compared for half of the time that they may
    /// go without. Returns how many were not as the ledger had them.
    pub(crate) async fn sweep(&self) -> Result<usize, SettlerError> {
        let now = self.now();
        if !self.sweep.is_due(&self.ledger, now).await? {
            return Ok(0);
        }
        // The list has no clock of its own.
        let before = self.look(&[]).await?;
        let seen_at = self.seen_at(&before, now);
        let lists = self.sweep.list(&self.ledger, self.chain.as_ref(), before.slot).await?;
        let mut news = 0;
        for list in lists.unwrap_or_default() {
            for listed in list.channels.chunks(LISTED_AT_ONCE) {
                let (same, other) = sweep::sort(&self.ledger, listed, list.slot).await?;
                self.ledger.mark_compared(same, seen_at).await?;
                news += other.len();
                if !other.is_empty() {
                    let mut round = Round::started(now);
                    let busy = Busy::of(&self.ledger, &self.claims).await?;
                    self.compare(other, &busy, &mut round).await?;
                    round.failure.map_or(Ok(()), Err)?;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(news)
    }

    /// Compares what opened, ended or rose lately with finalized blocks. Returns how many channels a fork took back to
    /// an earlier state: the next pass has work on them.
    pub(crate) async fn finality(&self) -> Result<usize, SettlerError> {
        finality::compare(&self.ledger, self.chain.as_ref()).await
    }

    /// Looks at a few channels without telling the ledger.
    pub(crate) async fn look(&self, records: &[ChannelRecord]) -> Result<View, SettlerError> {
        let view = View::of(self.chain.as_ref(), records).await?;
        self.time.saw(view.clock.unix_timestamp);
        Ok(view)
    }

    /// Compares channels with the chain, as many at a time as a node answers for at once.
    async fn compare(
        &self,
        records: Vec<ChannelRecord>,
        busy: &Busy,
        round: &mut Round,
    ) -> Result<(), SettlerError> {
        for records in records.chunks(MOST) {
            let view = match self.look(records).await {
                Ok(view) => view,
                Err(error) if error.is_survivable() => {
                    round.failure = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.observe(records, &view, busy).await?;
            let seen_at = self.seen_at(&view, round.started_at);
            let compared = records.iter().map(|record| record.id).collect();
            self.ledger.mark_compared(compared, seen_at).await?;
            round.seen_at = Some(round.seen_at.map_or(seen_at, |before| before.min(seen_at)));
            round.slot = Some(round.slot.map_or(view.slot, |slot| slot.min(view.slot)));
            round.sightings.extend(sightings(records, view, busy));
        }
        Ok(())
    }

    /// The time by which channels are looked at, in unix seconds.
    fn now(&self) -> i64 {
        match self.network {
            Network::Localnet => self.ledger.now(),
            Network::Mainnet | Network::Devnet => self.time.now(self.ledger.now()),
        }
    }

    /// Up to when a view shows the channels: a node that lags or hangs shows the past, however fast it answers,
    /// and the gateway must not sell on it. A local chain's clock is its own affair.
    fn seen_at(&self, view: &View, looked_at: i64) -> i64 {
        match self.network {
            Network::Localnet => looked_at,
            Network::Mainnet | Network::Devnet => {
                let chain = view.clock.unix_timestamp;
                looked_at.clamp(chain.saturating_sub(CLOCK_SLACK), chain.saturating_add(CLOCK_SLACK))
            }
        }
    }

    /// Copies a view into the ledger. What has not changed costs no write.
    ///
    /// Channels that one of our own closes is in flight for are left to its resolution, which knows how they
    /// ended.
    async fn observe(&self, records: &[ChannelRecord], view: &View, busy: &Busy) -> Result<(), SettlerError> {
        let news = records.iter().zip(&view.accounts).filter(|(record, account)| {
            if let Some(account) = account {
                alarm(record, account, view.clock);
            }
            !(busy.is_closing(&record.id) || is_known(record, account.as_ref(), view.slot))
        });
        // Together, since what is written at the same time is synced once.
        let observed = news.map(|(record, account)| async move {
            match self.ledger.observe(&record.id, account.as_ref(), view.slot).await {
                Ok(_) => Ok(()),
                // What one account says may be nonsense; the other channels still want looking at.
                Err(error) if error.is_survivable() => {
                    error!(channel = %record.id, %error, "not observed");
                    Ok(())
                }
                Err(error) => Err(error.into()),
            }
        });
        try_join_all(observed).await.map(drop)
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
