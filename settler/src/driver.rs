//! The settler's loop, and the one pass it is made of.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, Ledger, SettlerLock, SubmissionKind, Tip};
use tracing::{info, warn};

use crate::config::{SettlerConfig, SettlerKeys};
use crate::memory::Memory;
use crate::step::StepHook;
use crate::summary::Summary;
use crate::{SettlerError, Step, startup};
use toll_chain::{Chain, ChainTip};

/// How long a fetched tip counts as current.
const TIP_FRESH: Duration = Duration::from_millis(500);

/// How often another process's writes are looked for while nothing else is due.
const LEDGER_INTERVAL: Duration = Duration::from_millis(250);

/// How often the ledger forgets what is past its retention.
const PURGE_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Least time between two passes, so that a stream of accepted vouchers does not drive the loop.
const BREATH: Duration = Duration::from_millis(20);

/// Lands what the gateway records, closes channels, and resolves every transaction it ever sent.
///
/// One per ledger. It may die at any point: the next one on the same ledger finishes the work, and what is
/// on chain happens once.
pub struct Settler {
    pub(crate) ledger: Ledger,
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) keys: SettlerKeys,
    pub(crate) config: SettlerConfig,
    pub(crate) hook: StepHook,
    pub(crate) memory: Memory,
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
        startup::check_accounts(chain.as_ref(), &keys, &config).await?;
        let (hook, memory) = (StepHook::default(), Memory::default());
        let settler = Self { ledger, chain, keys, config, hook, memory, _lock: lock };
        settler.publish_tip().await?;
        info!(cluster = %cluster, fee_payer = %settler.fee_payer(), payee = %settler.payee(), "settler ready");
        Ok(settler)
    }

    /// Calls `hook` after every step of every submission, before the next step begins.
    pub fn on_step(mut self, hook: impl Fn(SubmissionKind, Step) + Send + Sync + 'static) -> Self {
        self.hook = StepHook::new(hook);
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
                self.survive("purge", self.purge().await)?;
                purge_at = now + PURGE_INTERVAL;
            }
            if now >= tip_at {
                self.survive("tip", self.publish_tip().await)?;
                tip_at = now + self.config.tip_interval;
            }
            let everything = now >= poll_at;
            if everything {
                poll_at = now + self.config.poll_interval;
            }
            let pass = self.survive("pass", self.pass(everything).await)?.unwrap_or_default();
            let idle = if pass.in_flight > 0 { self.config.confirm_interval } else { LEDGER_INTERVAL };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = async { tokio::time::sleep(BREATH).await; changes.changed(idle).await; } => {}
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

    /// One pass: resolve what is in flight, send what the gateway asks for, start what channels need.
    ///
    /// With `everything`, all live channels are compared with the chain and idle ones are closed; otherwise
    /// only what the ledger says is urgent is looked at.
    pub async fn pass(&self, everything: bool) -> Result<Pass, SettlerError> {
        let in_flight = self.resolve().await?;
        let requested = self.send_requested().await?;
        if everything {
            self.close_idle().await?;
            self.survive("balance", self.balance().await)?;
        }
        let worked = self.work(everything).await?;
        let sent = requested.sent + worked.sent;
        Ok(Pass { sent, in_flight: in_flight + sent, waiting: requested.waiting + worked.waiting })
    }

    /// Fetches the cluster's tip and publishes it in the ledger.
    pub async fn publish_tip(&self) -> Result<(), SettlerError> {
        let tip = self.chain.tip().await?;
        self.memory.lock().saw_tip(tip);
        let ChainTip { blockhash, slot, block_height, last_valid_block_height } = tip;
        let published_at = self.ledger.now();
        self.ledger
            .publish_tip(Tip { blockhash, slot, block_height, last_valid_block_height, published_at })
            .await?;
        Ok(())
    }

    /// What happened since the start or the last call.
    pub fn take_summary(&self) -> Summary {
        self.memory.lock().take_summary()
    }

    /// The key that pays fees and rent.
    pub fn fee_payer(&self) -> Pubkey {
        self.keys.fee_payer.pubkey()
    }

    /// The key whose channels we can seal.
    pub fn payee(&self) -> Pubkey {
        self.keys.payee.pubkey()
    }

    /// A tip that is current enough to decide by.
    pub(crate) async fn tip(&self) -> Result<ChainTip, SettlerError> {
        let kept = self.memory.lock().tip.filter(|(_, at)| at.elapsed() < TIP_FRESH);
        if let Some((tip, _)) = kept {
            return Ok(tip);
        }
        let tip = self.chain.tip().await?;
        self.memory.lock().saw_tip(tip);
        Ok(tip)
    }

    /// Logs an error that a later pass may not meet again, or that concerns one channel only. A ledger that
    /// fails altogether ends the settler.
    pub(crate) fn survive<T>(
        &self,
        what: &'static str,
        outcome: Result<T, SettlerError>,
    ) -> Result<Option<T>, SettlerError> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(SettlerError::Ledger(error)) if !error.is_survivable() => Err(error.into()),
            Err(error) => {
                warn!(%error, "{what}");
                Ok(None)
            }
        }
    }

    /// What the fee payer holds, in lamports. Warns whenever that has become too little to go on for long.
    pub(crate) async fn balance(&self) -> Result<u64, SettlerError> {
        let fee_payer = self.fee_payer();
        let found = self.chain.accounts(&[fee_payer]).await?.accounts;
        let lamports = found.first().and_then(Option::as_ref).map_or(0, |account| account.lamports);
        if self.memory.lock().saw_balance(lamports, self.config.low_balance) {
            warn!(%fee_payer, lamports, "the fee payer runs low on SOL; fund it or opens and closes will fail");
        }
        Ok(lamports)
    }

    async fn purge(&self) -> Result<(), SettlerError> {
        let purged = self.ledger.purge(self.ledger.now()).await?;
        if purged.total() > 0 {
            info!(?purged, "purged");
        }
        Ok(())
    }

    /// Closes channels that have been idle for their timeout.
    async fn close_idle(&self) -> Result<(), SettlerError> {
        let now = self.ledger.now();
        for channel in self.ledger.idle_channels(now).await? {
            self.ledger.request_idle_close(&channel, now).await?;
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
            let pass = self.survive("pass", self.pass(everything).await)?;
            let idle = pass == Some(Pass::default());
            if idle && everything {
                return Ok(());
            }
            // Look everywhere at the start and, to be sure, at the end.
            everything = idle || pass.is_none();
            if Instant::now() >= deadline {
                warn!(?pass, "out of time; the next run goes on from here");
                return Ok(());
            }
            tokio::time::sleep(self.config.confirm_interval.max(BREATH)).await;
        }
    }
}
