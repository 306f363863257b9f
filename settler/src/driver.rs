//! Runs watching, planning, launching and resolving.

mod ahead;
mod company;
mod drain;
mod loops;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::Chain;
use toll_ledger::{ChannelState, CloseReason, LEASE, Ledger, RenewalRequested, SettlerLock, SubmissionKind};
use tracing::{debug, info};

use self::company::Company;
use self::drain::{Last, drain};
use self::loops::Loops;
use crate::claims::{Claim, Claims};
use crate::config::{SettlerConfig, SettlerKeys};
use crate::error::survive;
use crate::in_flight::{InFlight, Lane};
use crate::launch::{Launch, Launched, Shared};
use crate::metrics::{FloatWatch, Metrics};
use crate::pauses::Pauses;
use crate::planner::{Agenda, Planner, Task};
use crate::purse::Purse;
use crate::resolve::Resolve;
use crate::startup::Checked;
use crate::step::StepHook;
use crate::summary::{Journal, Summary};
use crate::tips::Tips;
use crate::watch::Watch;
use crate::{SettlerError, Step, startup};

/// Least time between two rounds of anything.
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
    in_flight: Arc<InFlight>,
    claims: Arc<Claims>,
    pauses: Arc<Pauses>,
    journal: Arc<Journal>,
    hook: StepHook,
    company: Company,
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

/// What a look showed to be done.
struct Outlook {
    tasks: Vec<Task>,
    /// Channels that failed lately and will be tried soon.
    waiting: usize,
    /// Why some channels could not be looked at.
    failure: Option<SettlerError>,
    made_at: Instant,
    claim: Claim,
}

/// How often a settler that stands by looks whether it is needed.
const STAND_BY: Duration = Duration::from_secs(5);

/// Seconds after which at the latest the work of a settler that died is taken over, where another one stands by.
pub const TAKEOVER: u64 = LEASE.unsigned_abs() + STAND_BY.as_secs();

/// Waits for its turn to settle on a ledger that is on a server. A file has one settler, and no use for another.
async fn stand_by(ledger: &Ledger) -> Result<SettlerLock, SettlerError> {
    let mut told = false;
    loop {
        if let Some(lock) = ledger.try_lock_settler().await? {
            return Ok(lock);
        }
        if !ledger.is_shared() {
            return Err(SettlerError::AlreadyRunning);
        }
        if !told {
            info!("another settler works on this ledger; standing by");
            told = true;
        }
        tokio::time::sleep(STAND_BY).await;
    }
}

impl Settler {
    /// Takes the ledger's settler lock, for which it waits where the ledger is on a server, and checks everything that
    /// must hold before the first transaction.
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
        let lock = stand_by(&ledger).await?;
        Self::start_with(lock, ledger, chain, keys, config).await
    }

    /// The same without waiting: another settler on the ledger is [`SettlerError::AlreadyRunning`].
    pub async fn start_at_once(
        ledger: Ledger,
        chain: Arc<dyn Chain>,
        keys: SettlerKeys,
        config: SettlerConfig,
    ) -> Result<Self, SettlerError> {
        let lock = ledger.try_lock_settler().await?.ok_or(SettlerError::AlreadyRunning)?;
        Self::start_with(lock, ledger, chain, keys, config).await
    }

    async fn start_with(
        lock: SettlerLock,
        ledger: Ledger,
        chain: Arc<dyn Chain>,
        keys: SettlerKeys,
        mut config: SettlerConfig,
    ) -> Result<Self, SettlerError> {
        let cluster = startup::identify(chain.as_ref(), &config).await?;
        ledger.bind_cluster(&cluster).await?;
        let Checked { missing, version } = startup::check_accounts(chain.as_ref(), &keys, &config).await?;
        config.transaction_version = version;
        let purse = Purse::open(ledger.clone(), Arc::clone(&chain), &keys, &config).await?;
        let (settler, shared) = Self::assemble(ledger, chain, keys, config, purse, lock);
        settler.in_flight.resume(&settler.ledger.unresolved().await?);
        if !missing.is_empty() {
            startup::create_accounts(&shared, &settler.launch, &settler.resolve).await?;
        }
        settler.publish_tip().await?;
        let (fee_payer, payee) = (settler.fee_payer(), settler.payee());
        info!(%cluster, %fee_payer, %payee, transactions = ?version, "settler ready");
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
            in_flight: Arc::new(InFlight::new(config.in_flight)),
            claims: Arc::new(Claims::default()),
            pauses: Arc::new(Pauses::default()),
            journal: Arc::new(Journal::default()),
            hook: StepHook::default(),
            purse: Arc::new(purse),
            keys: Arc::new(keys),
            config: Arc::new(config),
            ledger,
            chain,
        };
        let Shared { ledger, keys, config, tips, in_flight, claims, pauses, journal, hook, purse, .. } =
            shared.clone();
        let watch = Arc::new(Watch::new(shared.clone()));
        let planner = Planner::new(ledger.clone(), Arc::clone(&pauses), keys.payee.pubkey(), &config);
        let launch = Arc::new(Launch::new(shared.clone()));
        let resolve = Resolve::new(shared.clone(), Arc::clone(&watch), Arc::clone(&launch));
        let company = Company::new(launch.channels_at_once(), config.renew_wait);
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
            in_flight,
            claims,
            pauses,
            journal,
            hook,
            company,
            _lock: lock,
        };
        (settler, shared)
    }

    /// What this settler counts.
    pub fn metrics(&self) -> &Metrics {
        self.journal.metrics()
    }

    /// A view of the purse that stays when the settler runs.
    pub fn float(&self) -> FloatWatch {
        FloatWatch(Arc::clone(&self.purse))
    }

    /// Calls `hook` after every step of every submission, before the next step begins.
    pub fn on_step(self, hook: impl Fn(SubmissionKind, Step) + Send + Sync + 'static) -> Self {
        self.hook.set(hook);
        self
    }

    /// Works until `shutdown` resolves. Then nothing new is started, unless every open channel is to be closed first
    /// ([`SettlerConfig::close_on_shutdown`]), and what is on its way is resolved, all within
    /// [`SettlerConfig::drain_timeout`].
    ///
    /// An unreachable cluster is waited for. Returns early only when the ledger fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Summary, SettlerError> {
        let settler = Arc::new(self);
        let mut loops = Loops::start(&settler);
        tokio::select! {
            biased;
            () = shutdown => {}
            failed = loops.failed() => failed?,
        }
        let deadline = Instant::now() + settler.config.drain_timeout;
        info!(close = settler.config.close_on_shutdown, "stopping");
        loops.stop(Instant::now() + settler.config.drain_timeout / 3).await?;
        let last = if settler.config.close_on_shutdown {
            Last::Closes(CloseReason::Shutdown)
        } else {
            Last::Nothing
        };
        drain(&settler, last, deadline).await?;
        Ok(settler.take_summary())
    }

    /// Does everything that can be done now, waits for its transactions, and returns.
    pub async fn once(&self) -> Result<Summary, SettlerError> {
        self.publish_tip().await?;
        self.company.stop_waiting();
        drain(self, Last::Everything, Instant::now() + self.config.drain_timeout).await?;
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
    /// With `everything`, forced closes are looked for and idle channels are closed; otherwise only what the ledger
    /// says is urgent is looked at. An error in one part is returned after the others have
    /// had their turn.
    pub async fn pass(&self, everything: bool) -> Result<Pass, SettlerError> {
        let resolved = self.resolve.round().await;
        let worked = self.work(everything).await;
        let requested = self.launch.requested().await;
        let mut taken_back = 0;
        if everything {
            taken_back = survive("finality", self.watch.finality().await)?.unwrap_or(0);
            survive("comparison", self.watch.sweep().await)?;
            survive("purse", self.purse.refresh().await)?;
        }
        survive("costs", self.resolve.costs().await)?;
        survive("pushed payments", self.resolve.pushed().await)?;
        let (in_flight, worked, requested) = (resolved?, worked?, requested?);
        let sent = requested.sent + worked.sent;
        Ok(Pass {
            sent,
            in_flight: in_flight + sent,
            waiting: requested.waiting + worked.waiting + taken_back,
        })
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
        let outlook = self.look(everything).await?;
        self.launch(outlook).await
    }

    /// Looks at channels, and plans for what is in sight.
    async fn look(&self, everything: bool) -> Result<Outlook, SettlerError> {
        if everything {
            self.close_idle().await?;
        }
        let channels = self.channels_wanted();
        let made_at = Instant::now();
        let round = self.watch.round(everything, channels).await?;
        let (seen, looked) = (round.sightings.len(), made_at.elapsed());
        let agenda = self.planner.agenda(round.sightings, channels).await?;
        let tasks = agenda.tasks.len();
        debug!(everything, channels, seen, tasks, ?looked, planned = ?made_at.elapsed(), "looked");
        let claim = self.claims.take(&agenda.tasks);
        let Agenda { tasks, waiting } = agenda;
        Ok(Outlook { tasks, waiting, failure: round.failure, made_at, claim })
    }

    /// How many channels could be acted on now, besides those that are about to be.
    fn channels_wanted(&self) -> usize {
        let room = self.in_flight.room(Lane::Own) * self.launch.channels_at_once();
        room.saturating_sub(self.claims.count())
    }

    /// How many channels may have transactions of unknown fate.
    fn most_channels(&self) -> usize {
        self.in_flight.most() * self.launch.channels_at_once()
    }

    /// Starts what was planned.
    async fn launch(&self, outlook: Outlook) -> Result<Launched, SettlerError> {
        let began = Instant::now();
        let Outlook { tasks, waiting, failure, claim, .. } = outlook;
        let launched = self.launch.tasks(tasks).await?;
        drop(claim);
        debug!(sent = launched.sent, left = launched.waiting, took = ?began.elapsed(), "launched");
        match failure {
            Some(error) => Err(error),
            None => Ok(Launched { waiting: launched.waiting + waiting, ..launched }),
        }
    }

    /// Ends the session of channels that have been idle for their timeout: those whose payer is expected back stay open,
    /// the others are closed.
    async fn close_idle(&self) -> Result<(), SettlerError> {
        let now = self.ledger.now();
        let idle = self.ledger.idle_channels(now).await?;
        let Some(renewal) = self.config.renewal() else {
            for channel in idle {
                self.ledger.request_idle_close(&channel, now).await?;
            }
            return Ok(());
        };
        if self.company.is_awaited(idle.len(), now) {
            return Ok(());
        }
        for channel in idle {
            match self.ledger.request_renewal(&channel, renewal, now).await? {
                RenewalRequested::Recorded | RenewalRequested::Kept => {}
                RenewalRequested::Not | RenewalRequested::Unknown => {
                    self.ledger.request_idle_close(&channel, now).await?;
                }
            }
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
}
