//! Coming to an end: what is started last, and how long its fate is waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use futures::try_join;
use toll_ledger::{ChannelState, CloseReason};
use tracing::warn;

use super::{LEAST_PAUSE, Settler};
use crate::SettlerError;
use crate::error::survive;
use crate::launch::Launched;

/// Longest part of the time at the end in which nothing is started, so that what was started is resolved.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What is still started before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Nothing: what is on its way is resolved, and that is all.
    Nothing,
    /// Everything that is due.
    Everything,
    /// The close of every open channel, the most exposed first.
    Closes(CloseReason),
}

/// Starts what there is to start and resolves it at the same time, until `deadline`. What is not done by then
/// goes on at the next start.
pub(super) async fn drain(settler: &Settler, last: Last, deadline: Instant) -> Result<(), SettlerError> {
    let launch_until = deadline - (settler.config.drain_timeout / 3).min(LONGEST_WAIT);
    let launched = AtomicBool::new(false);
    let launching = async {
        match last {
            Last::Nothing => {}
            Last::Everything => launch_everything(settler, launch_until).await?,
            Last::Closes(reason) => launch_closes(settler, reason, launch_until).await?,
        }
        launched.store(true, Ordering::Relaxed);
        Ok::<_, SettlerError>(())
    };
    let resolving = async {
        loop {
            let nothing_follows = launched.load(Ordering::Relaxed);
            let in_flight = survive("resolve", settler.resolve.round().await)?;
            if nothing_follows && in_flight == Some(0) {
                return Ok(());
            }
            pause(settler).await;
        }
    };
    let both = async {
        try_join!(launching, resolving)?;
        survive("costs", settler.resolve.costs().await).map(drop)
    };
    match tokio::time::timeout_at(deadline.into(), both).await {
        Ok(outcome) => outcome,
        Err(_) => {
            warn!("out of time; the next run goes on from here");
            Ok(())
        }
    }
}

/// Looks everywhere at the start and, to be sure, at the end.
async fn launch_everything(settler: &Settler, until: Instant) -> Result<(), SettlerError> {
    let mut everything = true;
    while Instant::now() < until {
        let worked = survive("channels", settler.work(everything).await)?;
        let requested = survive("requests", settler.launch.requested().await)?;
        let taken_back = match everything {
            true => survive("finality", settler.watch.finality().await)?,
            false => Some(0),
        };
        let nothing = Some(Launched::default());
        let started_nothing = worked == nothing && requested == nothing && taken_back == Some(0);
        let idle = started_nothing && settler.in_flight.is_empty();
        if idle && everything {
            return Ok(());
        }
        everything = idle || worked.is_none();
        pause(settler).await;
    }
    Ok(())
}

/// Channels are asked to close only as there is room for their transactions: those that are not reached stay open
/// and sell on after the next start.
async fn launch_closes(settler: &Settler, reason: CloseReason, until: Instant) -> Result<(), SettlerError> {
    while Instant::now() < until {
        let left = request_closes(settler, reason).await?;
        let worked = survive("channels", settler.work(false).await)?;
        if left == 0 && worked == Some(Launched::default()) && settler.in_flight.is_empty() {
            return Ok(());
        }
        pause(settler).await;
    }
    Ok(())
}

/// Asks as many open channels to close as there is room for. Returns how many were open.
async fn request_closes(settler: &Settler, reason: CloseReason) -> Result<usize, SettlerError> {
    let mut closing = settler.ledger.channels(&[ChannelState::Closing]).await?;
    closing.retain(|record| !settler.pauses.is_paused(&record.id));
    let mut open = settler.ledger.channels(&[ChannelState::Open]).await?;
    open.sort_by_key(|record| {
        std::cmp::Reverse(record.watermarks.accepted.saturating_sub(record.watermarks.settled))
    });
    let left = open.len();
    let room = settler.most_channels().saturating_sub(closing.len());
    let requested: Vec<_> = stream::iter(open.into_iter().take(room))
        .map(|record| async move { settler.ledger.request_close(&record.id, reason, None).await })
        .buffer_unordered(settler.config.concurrency)
        .collect()
        .await;
    for outcome in requested {
        survive("close", outcome.map_err(SettlerError::from))?;
    }
    Ok(left)
}

async fn pause(settler: &Settler) {
    tokio::time::sleep(settler.config.confirm_interval.max(LEAST_PAUSE)).await;
}
