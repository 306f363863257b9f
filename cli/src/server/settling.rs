//! The settler's half of a server: at work, or, where several hosts share a ledger on a server, waiting for its turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use toll_ledger::{Ledger, LedgerError};
use toll_settler::{Settler, SettlerError, Summary};
use tracing::{info, warn};

use super::{assemble, settler_error};
use crate::admin::Eyes;
use crate::config::Config;
use crate::error::{CliError, Exit, Result};

/// How soon a settler whose turn it is begins again when its cluster or its database was out of reach.
const AGAIN: Duration = Duration::from_secs(5);

/// A settler, or the wait for one. The gateway beside it serves all the same.
pub(super) struct Settling {
    config: Config,
    ledger: Ledger,
    eyes: Arc<Eyes>,
    /// The settler that is to begin with, if it is this host's turn.
    settler: Option<Settler>,
}

impl Settling {
    /// Starts the settler, so that whatever is wrong with it stops the whole start. Where another host settles, this
    /// one stands by.
    pub(super) async fn begin(config: &Config, ledger: Ledger, eyes: Arc<Eyes>) -> Result<Self> {
        let parts = assemble(config, ledger.clone()).await?;
        let settler = match parts.start_at_once().await {
            Ok(settler) => Some(settler),
            Err(SettlerError::AlreadyRunning) if ledger.is_shared() => {
                info!("another host settles on this ledger; standing by");
                None
            }
            Err(error) => return Err(settler_error(&error)),
        };
        Ok(Self { config: config.clone(), ledger, eyes, settler })
    }

    /// Settles until `stop` resolves, whenever it is this host's turn.
    pub(super) async fn run(self, stop: impl Future<Output = ()>) -> Result<Summary> {
        let (asked, _) = watch::channel(false);
        let work = self.work(&asked);
        tokio::pin!(work, stop);
        tokio::select! {
            ended = &mut work => return ended,
            () = &mut stop => drop(asked.send_replace(true)),
        }
        work.await
    }

    async fn work(mut self, asked: &watch::Sender<bool>) -> Result<Summary> {
        loop {
            let settler = match self.settler.take() {
                Some(settler) => settler,
                None => tokio::select! {
                    biased;
                    () = until(asked.subscribe()) => return Ok(Summary::default()),
                    settler = self.take_over() => settler?,
                },
            };
            self.eyes.on_settler(&settler);
            match settler.run(until(asked.subscribe())).await {
                // Nothing was recorded without the lease, so nothing was sent.
                Err(SettlerError::Ledger(LedgerError::LeaseLost)) => {
                    warn!("another host has taken over; standing by");
                }
                ended => return ended.map_err(|error| settler_error(&error)),
            }
        }
    }

    /// Waits until it is this host's turn.
    async fn take_over(&self) -> Result<Settler> {
        loop {
            let started = match assemble(&self.config, self.ledger.clone()).await {
                Ok(parts) => parts.start().await.map_err(|error| settler_error(&error)),
                Err(error) => Err(error),
            };
            match started {
                Err(error @ CliError { exit: Exit::Network | Exit::Ledger, .. }) => {
                    warn!(%error, "cannot settle yet");
                    tokio::time::sleep(AGAIN).await;
                }
                started => return started,
            }
        }
    }
}

async fn until(mut asked: watch::Receiver<bool>) {
    // Whoever could ask is gone: that is an answer, too.
    let _ = asked.wait_for(|asked| *asked).await;
}
