//! From a plan, or a payer's request, to a transaction that the cluster has.

mod actions;
mod batch;
mod charges;
mod funds;
mod inspect;
mod outbox;
mod packing;
mod parcel;
mod payable;
mod payout;
mod requested;
mod transaction;

use std::sync::Arc;

use solana_pubkey::Pubkey;
use toll_chain::Chain;
use toll_ledger::{ChannelRecord, Ledger, Submission, SubmissionId};
use toll_protocol::Channel;

use self::actions::Actions;
use self::charges::Charges;
pub(crate) use self::charges::{charge_of, listed};
pub(crate) use self::outbox::Outbox;
pub(crate) use self::payout::{Beneficiary, Readiness, readiness};
use self::requested::Requests;
use crate::SettlerError;
use crate::claims::Claims;
use crate::config::{ListedMint, SettlerConfig, SettlerKeys};
use crate::in_flight::InFlight;
use crate::pauses::Pauses;
use crate::planner::Task;
use crate::purse::Purse;
use crate::step::StepHook;
use crate::summary::Journal;
use crate::tips::Tips;

/// Blocks that a blockhash can live at most: the bound for one whose age we don't know.
const BLOCKHASH_LIFE: u64 = 150;

/// Starts transactions: the one way from here to the cluster.
pub(crate) struct Launch {
    actions: Actions,
    requests: Requests,
    charges: Charges,
    outbox: Arc<Outbox>,
}

/// What a part of launching started, and what it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Launched {
    /// Transactions sent.
    pub(crate) sent: usize,
    /// Channels that failed, and requests, that will be tried soon.
    pub(crate) waiting: usize,
}

/// What launching shares with the rest of the settler.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) ledger: Ledger,
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) keys: Arc<SettlerKeys>,
    pub(crate) config: Arc<SettlerConfig>,
    pub(crate) tips: Arc<Tips>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) pauses: Arc<Pauses>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) hook: StepHook,
    pub(crate) purse: Arc<Purse>,
}

impl Launch {
    pub(crate) fn new(shared: Shared) -> Self {
        let outbox = Arc::new(Outbox::new(&shared));
        let requests = Requests::new(shared.clone(), Arc::clone(&outbox));
        let charges = Charges::new(shared.clone(), Arc::clone(&outbox));
        let actions = Actions::new(shared, Arc::clone(&outbox));
        Self { actions, requests, charges, outbox }
    }

    /// Carries out what was planned, in as many transactions as there is room for. One channel's trouble does not stop
    /// the others: it is paused and planned again.
    pub(crate) async fn tasks(&self, tasks: Vec<Task>) -> Result<Launched, SettlerError> {
        self.actions.carry_out(tasks).await
    }

    /// Channels to plan for each transaction that there is room for: as many as commonly share one.
    pub(crate) fn channels_at_once(&self) -> usize {
        self.actions.channels_at_once()
    }

    /// Takes what payers asked for as far as the cluster, oldest first.
    pub(crate) async fn requested(&self) -> Result<Launched, SettlerError> {
        let channels = self.requests.send().await?;
        let charges = self.charges.send().await?;
        Ok(Launched { sent: channels.sent + charges.sent, waiting: channels.waiting + charges.waiting })
    }

    /// Creates the canonical token account of `owner` at our expense.
    pub(crate) async fn create_account(
        &self,
        owner: &Pubkey,
        listed: &ListedMint,
    ) -> Result<SubmissionId, SettlerError> {
        self.actions.create_account(owner, listed).await
    }

    /// Sends what is on record and not resolved once more, if its time has come.
    pub(crate) async fn send_again(&self, submission: &Submission) {
        self.outbox.send_again(submission).await;
    }
}

/// Builds instructions for a recorded channel.
fn instructions_of(record: &ChannelRecord, config: &SettlerConfig) -> Channel {
    record.agreement.channel(config.treasury_owner)
}
