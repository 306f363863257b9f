//! Brings a plan what it asks for: what was seen on chain and what the ledger holds.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use solana_pubkey::Pubkey;
use toll_ledger::{ChannelRecord, ChannelState, Ledger};
use toll_protocol::{Amount, ChannelAccount, ChannelStatus};

use crate::SettlerError;
use crate::config::SettlerConfig;
use crate::pauses::Pauses;
use crate::plan::{Action, PartialSettle, Plan, Snapshot, plan};
use crate::watch::Sighting;

/// How often a rearm is tried. Another channel of its transaction may be why it failed.
const REARM_ATTEMPTS: u32 = 2;

/// Says what each channel in sight needs.
pub(crate) struct Planner {
    ledger: Ledger,
    pauses: Arc<Pauses>,
    payee: Pubkey,
    partial: PartialSettle,
    hold: Duration,
    /// Channels that the ledger is asked about at once.
    concurrency: usize,
}

/// One thing to do about one channel.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The channel as the ledger has it.
    pub(crate) record: ChannelRecord,
    /// The channel as the chain has it.
    pub(crate) account: ChannelAccount,
    /// What to do.
    pub(crate) action: Action,
}

/// What a round of sightings calls for.
#[derive(Default)]
pub(crate) struct Agenda {
    /// What to do now.
    pub(crate) tasks: Vec<Task>,
    /// Channels that failed lately and will be tried soon.
    pub(crate) waiting: usize,
}

impl Planner {
    pub(crate) fn new(ledger: Ledger, pauses: Arc<Pauses>, payee: Pubkey, config: &SettlerConfig) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let (threshold, worth) = config.worth_settling();
        let before_expiry = config.settle_before_expiry.map(seconds);
        let partial = PartialSettle { threshold, before_expiry, worth };
        Self { ledger, pauses, payee, partial, hold: config.poll_interval, concurrency: config.concurrency }
    }

    /// Plans for what is in sight and not paused, at most `room` tasks: forced closes first, then the most exposed.
    pub(crate) async fn agenda(
        &self,
        mut sightings: Vec<Sighting>,
        room: usize,
    ) -> Result<Agenda, SettlerError> {
        sightings.sort_by_key(|sighting| Reverse(urgency(sighting)));
        let mut agenda = Agenda::default();
        sightings.retain(|sighting| {
            let channel = &sighting.record.id;
            let is_paused = self.pauses.is_paused(channel);
            agenda.waiting += usize::from(is_paused && self.pauses.is_worth_waiting_for(channel));
            !is_paused
        });
        let is_closing = |sighting: &Sighting| sighting.record.state == ChannelState::Closing;
        let mut left = sightings.iter().filter(|sighting| is_closing(sighting)).count();
        let mut decisions = stream::iter(sightings)
            .map(|sighting| async move { (self.decide(&sighting).await, sighting) })
            .buffered(self.concurrency);
        while agenda.tasks.len() < room
            && let Some((action, sighting)) = decisions.next().await
        {
            left -= usize::from(is_closing(&sighting));
            if let Some(action) = action? {
                let Sighting { record, account, .. } = sighting;
                agenda.tasks.push(Task { record, account, action });
            }
        }
        drop(decisions);
        agenda.waiting += left;
        Ok(agenda)
    }

    /// What a channel needs, by the ledger as it is now that the chain's news are in it.
    async fn decide(&self, sighting: &Sighting) -> Result<Option<Action>, SettlerError> {
        let Sighting { record, account, clock } = sighting;
        // Most channels are open and have nothing to settle: no need to ask further.
        let unsettled = record.watermarks.accepted > account.settled;
        if account.status == ChannelStatus::Open
            && record.state == ChannelState::Open
            && record.pay_out_to.is_none()
            && !(unsettled && self.settles_early())
        {
            return Ok(None);
        }
        let Some(record) = self.ledger.channel(&record.id).await? else { return Ok(None) };
        if matches!(record.state, ChannelState::Opening | ChannelState::Failed | ChannelState::Gone) {
            // What is at that address is not what was agreed: splits and rent payer are no seeds of it.
            return Ok(None);
        }
        let voucher = self.ledger.best_voucher_to_settle(&record.id, clock.unix_timestamp).await?;
        let snapshot = Snapshot {
            account,
            close_requested: record.state == ChannelState::Closing,
            is_payee: record.agreement.terms.payee == self.payee,
            voucher: voucher.as_ref(),
            // One that cannot be rearmed is closed: the payer waits for its refund.
            renew_at: (record.renewing && self.pauses.failures(&record.id) < REARM_ATTEMPTS)
                .then_some(record.watermarks.accepted),
            pay_out_to: record.pay_out_to,
        };
        match plan(&snapshot, *clock, self.partial) {
            Plan::Nothing => Ok(None),
            Plan::Act(action) => Ok(Some(action)),
            Plan::Hold(hold) => {
                self.pauses.hold(record.id, hold.to_string(), self.hold);
                Ok(None)
            }
        }
    }

    fn settles_early(&self) -> bool {
        self.partial.threshold.is_some() || self.partial.before_expiry.is_some()
    }
}

/// A forced close has a deadline; after that, whatever is accepted and not settled is at risk.
fn urgency(sighting: &Sighting) -> (bool, Amount) {
    let Sighting { record, account, .. } = sighting;
    let exposure = record.watermarks.accepted.saturating_sub(account.settled);
    (account.status == ChannelStatus::Closing, exposure)
}
