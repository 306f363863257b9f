//! Runs watching, planning, launching and resolving.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::Chain;
use toll_ledger::{ChannelState, CloseReason, Ledger, SettlerLock, SubmissionKind};
use tracing::{info, warn};

use crate::config::{SettlerConfig, SettlerKeys};
use crate::error::survive;
use crate::in_flight::InFlight;
use crate::launch::{Launch, Launched, Shared};
use crate::pauses::Pauses;
use crate::planner::Planner;
use crate::purse::Purse;
use crate::resolve::Resolve;
use crate::step::StepHook;
use crate::summary::{Journal, Summary};
use crate::tips::Tips;
use crate::watch::Watch;
use crate::{SettlerError, Step, startup};

/// How often another process's writes are looked for while nothing else is due.
const LEDGER_INTERVAL: Duration = Duration::from_millis(250);

/// Least time between two passes, so that a stream of accepted vouchers does not drive the loop.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// Lands what the gateway records, closes channels, and resolves every transaction it ever sent.
///
/// One per ledger. It may die at any point: the next one on the same ledger finishes the work, and what is
/// on chain happens once.
pub struct Settler {
    ledger: Ledger,
    keys: Arc<SettlerKeys>,
    config: Arc<SettlerConfig>,
    tips: Arc<Tips>,
    watch: Arc<Watch>,
    planner: Planner,
    launch: Arc<Launch>,
    purse: Arc<Purse>,
    resolve: Resolve,
    pauses: Arc<Pauses>,
    journal: Arc<Journal>,
    hook: StepHook,
    _lock: SettlerLock,
}

/// What one pass left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Transactions sent.
    pub sent: usize,
    /// Transactions of unknown fate, those just sent included.
    pub in_flight: usize,
    /// Requests left for the next pass, and channels that failed lately and are worth another attempt soon.
    pub waiting: usize,
}

impl Settler {
    /// Takes the ledger's settler lock and checks everything that must hold before the first transaction.
    ///
    /// Fails with a reason and a remedy: another settler on this ledger, a node of another cluster than the
    /// configuration or the ledger says, no program, a mint that is none, a treasury that cannot be paid.
    /// Creates missing treasury accounts where the configuration allows it, and publishes the first tip.
    pub async fn start(
        ledger: Ledger,
        chain: Arc<dyn Chain>,
        keys: SettlerKeys,
        config: SettlerConfig,
    ) -> Result<Self, SettlerError> {
        let lock = ledger.try_lock_settler()?.ok_or(SettlerError::AlreadyRunning)?;
        let cluster = startup::identify(chain.as_ref(), &config).await?;
        ledger.bind_cluster(&cluster).await?;
        let missing = startup::check_accounts(chain.as_ref(), &keys, &config).await?;
        let purse = Purse::open(ledger.clone(), Arc::clone(&chain), &keys, &config).await?;
        let (settler, shared) = Self::assemble(ledger, chain, keys, config, purse, lock);
        if !missing.is_empty() {
            startup::create_accounts(&shared, &settler.launch, &settler.resolve).await?;
        }
        settler.publish_tip().await?;
        info!(cluster = %cluster, fee_payer = %settler.fee_payer(), payee = %settler.payee(), "settler ready");
        Ok(settler)
    }

    fn assemble(
        ledger: Ledger,
        chain: Arc<dyn Chain>,
        keys: SettlerKeys,
        config: SettlerConfig,
        purse: Purse,
        lock: SettlerLock,
    ) -> (Self, Shared) {
        let shared = Shared {
            tips: Arc::new(Tips::new(ledger.clone(), Arc::clone(&chain))),
            in_flight: Arc::new(InFlight::default()),
            pauses: Arc::new(Pauses::default()),
            journal: Arc::new(Journal::default()),
            hook: StepHook::default(),
            purse: Arc::new(purse),
            keys: Arc::new(keys),
            config: Arc::new(config),
            ledger,
            chain,
        };
        let Shared { ledger, chain, keys, config, tips, pauses, journal, hook, purse, .. } = shared.clone();
        let watch = Watch::new(ledger.clone(), chain, Arc::clone(&tips), Arc::clone(&pauses), config.network);
        let watch = Arc::new(watch);
        let planner = Planner::new(ledger.clone(), Arc::clone(&pauses), keys.payee.pubkey(), &config);
        let launch = Arc::new(Launch::new(shared.clone()));
        let resolve = Resolve::new(shared.clone(), Arc::clone(&watch), Arc::clone(&launch));
        let settler = Self {
            ledger,
            keys,
            config,
            tips,
            watch,
            planner,
            launch,
            purse,
            resolve,
            pauses,
            journal,
            hook,
            _lock: lock,
        };
        (settler, shared)
    }

    /// Calls `hook` after every step of every submission, before the next step begins.
    pub fn on_step(self, hook: impl Fn(SubmissionKind, Step) + Send + Sync + 'static) -> Self {
        self.hook.set(hook);
        self
    }

    /// Works until `shutdown` resolves; then, if configured, closes every open channel first.
    ///
    /// An unreachable cluster is waited for. Returns early only when the ledger fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Summary, SettlerError> {
        tokio::pin!(shutdown);
        let mut changes = self.ledger.changes();
        let mut tip_at = Instant::now();
        let (mut poll_at, mut purge_at) = (tip_at, tip_at);
        loop {
            let now = Instant::now();
            if now >= purge_at {
                survive("purge", self.purge().await)?;
                purge_at = now + self.config.purge_interval;
            }
            if now >= tip_at {
                survive("tip", self.publish_tip().await)?;
                tip_at = now + self.config.tip_interval;
            }
            let everything = now >= poll_at;
            if everything {
                poll_at = now + self.config.poll_interval;
            }
            let pass = survive("pass", self.pass(everything).await)?.unwrap_or_default();
            let idle = if pass.in_flight > 0 { self.config.confirm_interval } else { LEDGER_INTERVAL };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = async { tokio::time::sleep(LEAST_PAUSE).await; changes.changed(idle).await; } => {}
            }
        }
        info!(close = self.config.close_on_shutdown, "stopping");
        self.drain(self.config.close_on_shutdown.then_some(CloseReason::Shutdown)).await?;
        Ok(self.take_summary())
    }

    /// Does everything that can be done now, waits for its transactions, and returns.
    pub async fn once(&self) -> Result<Summary, SettlerError> {
        self.publish_tip().await?;
        self.drain(None).await?;
        self.purge().await?;
        Ok(self.take_summary())
    }

    /// Asks for every open channel to be closed. The closes themselves are done by the passes that follow.
    pub async fn close_all(&self, reason: CloseReason) -> Result<(), SettlerError> {
        for record in self.ledger.channels(&[ChannelState::Open]).await? {
            self.ledger.request_close(&record.id, reason, None).await?;
        }
        Ok(())
    }

    /// One pass: resolve what is in flight, start what channels need, send what the gateway asks for.
    ///
    /// With `everything`, all live channels are compared with the chain and idle ones are closed; otherwise
    /// only what the ledger says is urgent is looked at. An error in one part is returned after the others have
    /// had their turn.
    pub async fn pass(&self, everything: bool) -> Result<Pass, SettlerError> {
        let resolved = self.resolve.round().await;
        let worked = self.work(everything).await;
        let requested = self.launch.requested().await;
        if everything {
            survive("purse", self.purse.refresh().await)?;
        }
        let (in_flight, worked, requested) = (resolved?, worked?, requested?);
        let sent = requested.sent + worked.sent;
        Ok(Pass { sent, in_flight: in_flight + sent, waiting: requested.waiting + worked.waiting })
    }

    /// Fetches the cluster's tip and publishes it in the ledger.
    pub async fn publish_tip(&self) -> Result<(), SettlerError> {
        self.tips.publish().await
    }

    /// What happened since the start or the last call.
    pub fn take_summary(&self) -> Summary {
        Summary { held: self.pauses.take_held(), ..self.journal.take() }
    }

    /// The key that pays fees and rent.
    pub fn fee_payer(&self) -> Pubkey {
        self.keys.fee_payer.pubkey()
    }

    /// The key whose channels we can seal.
    pub fn payee(&self) -> Pubkey {
        self.keys.payee.pubkey()
    }

    /// Looks at channels, plans for what is in sight, and starts that.
    async fn work(&self, everything: bool) -> Result<Launched, SettlerError> {
        if everything {
            self.close_idle().await?;
        }
        let round = self.watch.round(everything).await?;
        let agenda = self.planner.agenda(round.sightings).await?;
        let launched = self.launch.tasks(agenda.tasks).await?;
        match round.failure {
            Some(error) => Err(error),
            None => Ok(Launched { waiting: launched.waiting + agenda.waiting, ..launched }),
        }
    }

    /// Closes channels that have been idle for their timeout.
    async fn close_idle(&self) -> Result<(), SettlerError> {
        let now = self.ledger.now();
        for channel in self.ledger.idle_channels(now).await? {
            self.ledger.request_idle_close(&channel, now).await?;
        }
        Ok(())
    }

    async fn purge(&self) -> Result<(), SettlerError> {
        let purged = self.ledger.purge(self.ledger.now()).await?;
        if purged.total() > 0 {
            info!(?purged, "purged");
        }
        Ok(())
    }

    /// Passes until nothing is in flight and nothing was sent, or the drain timeout is over.
    ///
    /// With a reason, channels are closed as they come into sight, those whose opens land meanwhile included.
    async fn drain(&self, close: Option<CloseReason>) -> Result<(), SettlerError> {
        let deadline = Instant::now() + self.config.drain_timeout;
        let mut everything = true;
        loop {
            if let Some(reason) = close {
                self.close_all(reason).await?;
            }
            let pass = survive("pass", self.pass(everything).await)?;
            let opened = close.is_some() && !self.ledger.channels(&[ChannelState::Open]).await?.is_empty();
            let idle = pass == Some(Pass::default()) && !opened;
            if idle && everything {
                return Ok(());
            }
            // Look everywhere at the start and, to be sure, at the end.
            everything = idle || pass.is_none();
            if Instant::now() >= deadline {
                warn!(?pass, "out of time; the next run goes on from here");
                return Ok(());
            }
            tokio::time::sleep(self.config.confirm_interval.max(LEAST_PAUSE)).await;
        }
    }
}
