//! What goes on at the same time while the settler runs. No loop waits for another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use toll_chain::Hints;

use super::ahead::Ahead;
use super::{LEAST_PAUSE, Settler};
use crate::SettlerError;
use crate::error::survive;

/// How often another process's writes are looked for while nothing else is due.
const LEDGER_INTERVAL: Duration = Duration::from_millis(250);

/// A look follows at once when so large a part of what may be in flight has room.
const ROOM_WORTH_A_LOOK: usize = 4;

/// Least time between two looks that hints cause: whoever gives them by the thousand pays for nothing.
const HINT_INTERVAL: Duration = Duration::from_secs(1);

/// The loops of a running settler. Dropping them ends them where they stand.
pub(super) struct Loops {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), SettlerError>>,
}

/// Resolves once the loops are asked to stop.
#[derive(Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    async fn asked(&mut self) {
        // Whoever could ask is gone: that is an answer, too.
        let _ = self.0.wait_for(|asked| *asked).await;
    }

    fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// What `work` comes to, or `None` when the loop is asked to stop before that.
    async fn or_give_up<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.asked() => None,
            done = work => Some(done),
        }
    }

    /// Waits for `wake`. False when the loop is asked to stop.
    async fn or(&mut self, wake: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = self.asked() => false,
            () = wake => true,
        }
    }
}

impl Loops {
    pub(super) fn start(settler: &Arc<Settler>) -> Self {
        let (stop, asked) = watch::channel(false);
        let (mut tasks, stopped) = (JoinSet::new(), Stop(asked));
        tasks.spawn(tips(Arc::clone(settler), stopped.clone()));
        tasks.spawn(purges(Arc::clone(settler), stopped.clone()));
        tasks.spawn(purse(Arc::clone(settler), stopped.clone()));
        tasks.spawn(comparing(Arc::clone(settler), stopped.clone()));
        tasks.spawn(finality(Arc::clone(settler), stopped.clone()));
        tasks.spawn(resolving(Arc::clone(settler), stopped.clone()));
        tasks.spawn(costs(Arc::clone(settler), stopped.clone()));
        tasks.spawn(pushed(Arc::clone(settler), stopped.clone()));
        tasks.spawn(channels(Arc::clone(settler), stopped.clone()));
        tasks.spawn(requests(Arc::clone(settler), stopped));
        Self { stop, tasks }
    }

    /// Waits for a loop to end by itself, which only a failing ledger makes it do.
    pub(super) async fn failed(&mut self) -> Result<(), SettlerError> {
        match self.tasks.join_next().await {
            Some(ended) => outcome(ended),
            None => Ok(()),
        }
    }

    /// Lets every loop finish what it is at, at most until `deadline`.
    pub(super) async fn stop(mut self, deadline: Instant) -> Result<(), SettlerError> {
        self.stop.send_replace(true);
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                outcome(ended)?;
            }
            Ok(())
        };
        // What hangs is ended where it stands, as a crash would.
        tokio::time::timeout_at(deadline.into(), all).await.unwrap_or(Ok(()))
    }
}

/// What a task came to; one that was ended from outside came to nothing.
pub(super) fn outcome<T: Default>(
    ended: Result<Result<T, SettlerError>, JoinError>,
) -> Result<T, SettlerError> {
    match ended {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Ok(T::default()),
    }
}

/// The gateway's challenges need a fresh tip whatever the other loops are at.
async fn tips(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    loop {
        let published = tokio::select! {
            biased;
            () = stop.asked() => return Ok(()),
            published = settler.publish_tip() => published,
        };
        survive("tip", published)?;
        if !stop.or(tokio::time::sleep(settler.config.tip_interval)).await {
            return Ok(());
        }
    }
}

async fn purges(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    loop {
        survive("purge", settler.purge().await)?;
        if !stop.or(tokio::time::sleep(settler.config.purge_interval)).await {
            return Ok(());
        }
    }
}

/// Whoever is refused for want of SOL asks no more: that there is some again is nobody else's to notice.
async fn purse(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    while stop.or(tokio::time::sleep(settler.config.poll_interval)).await {
        survive("purse", settler.purse.refresh().await)?;
    }
    Ok(())
}

/// Comparing with a list of all channels takes its time, and forced closes are looked for meanwhile.
async fn comparing(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    while stop.or(tokio::time::sleep(settler.config.poll_interval)).await {
        let swept = stop.or_give_up(settler.watch.sweep()).await;
        survive("comparison", swept.unwrap_or(Ok(0)))?;
    }
    Ok(())
}

/// What a fork took back is closed anew by the next look, whose time it does not take.
async fn finality(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    while stop.or(tokio::time::sleep(settler.config.poll_interval)).await {
        let compared = stop.or_give_up(settler.watch.finality()).await;
        survive("finality", compared.unwrap_or(Ok(0)))?;
    }
    Ok(())
}

async fn resolving(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    while !stop.is_asked() {
        let in_flight = survive("resolve", settler.resolve.round().await)?.unwrap_or(0);
        let pause = if in_flight > 0 { settler.config.confirm_interval } else { LEAST_PAUSE };
        stop.or(tokio::time::sleep(pause.max(LEAST_PAUSE))).await;
    }
    Ok(())
}

/// What something cost is for the books: whoever cannot tell keeps nobody waiting.
async fn costs(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    while stop.or(tokio::time::sleep(settler.config.confirm_interval.max(LEAST_PAUSE))).await {
        let entered = stop.or_give_up(settler.resolve.costs()).await;
        survive("costs", entered.unwrap_or(Ok(())))?;
    }
    Ok(())
}

/// A payer that has sent its payment itself waits for an answer.
async fn pushed(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    while stop.or(tokio::time::sleep(settler.config.confirm_interval.max(LEAST_PAUSE))).await {
        let looked = stop.or_give_up(settler.resolve.pushed()).await;
        survive("pushed payments", looked.unwrap_or(Ok(())))?;
    }
    Ok(())
}

/// Closes, and what leads to them.
async fn channels(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    let (mut changes, mut more_room) = (settler.ledger.changes(), settler.in_flight.more_room());
    let mut hints = settler.watch.hints();
    let (mut poll_at, mut looked_at) = (Instant::now(), Instant::now());
    let (mut hinted, mut hint_at) = (false, poll_at);
    let mut ahead = Ahead::default();
    while !stop.is_asked() {
        let now = Instant::now();
        let everything = now >= poll_at || (hinted && now >= hint_at);
        if everything {
            hinted = false;
            poll_at = now + settler.config.poll_interval;
            hint_at = now + HINT_INTERVAL;
        }
        // Every transaction that lands makes room for one more, and a look for each of them would be one too many.
        let room = settler.channels_wanted();
        let enough = room >= settler.most_channels().div_ceil(ROOM_WORTH_A_LOOK);
        if everything || enough || (room > 0 && looked_at.elapsed() >= LEDGER_INTERVAL) {
            looked_at = now;
            ahead.turn(&settler, everything).await?;
        }
        let due = poll_at.saturating_duration_since(Instant::now()).min(LEDGER_INTERVAL);
        let woken = async {
            tokio::select! {
                () = next_hint(&mut hints), if !hinted => hinted = true,
                () = wake(&mut changes, &mut more_room, due) => {}
            }
        };
        stop.or(woken).await;
    }
    ahead.finish().await
}

/// Waits for a hint; for ever where nobody gives any.
async fn next_hint(hints: &mut Option<Hints>) {
    match hints {
        Some(hints) => hints.next().await,
        None => std::future::pending().await,
    }
}

/// Opens and top-ups.
async fn requests(settler: Arc<Settler>, mut stop: Stop) -> Result<(), SettlerError> {
    let (mut changes, mut more_room) = (settler.ledger.changes(), settler.in_flight.more_room());
    while !stop.is_asked() {
        survive("requests", settler.launch.requested().await)?;
        stop.or(wake(&mut changes, &mut more_room, LEDGER_INTERVAL)).await;
    }
    Ok(())
}

/// Waits for a commit or for more room, at most for `interval`, and never for less than a moment: a stream of
/// accepted vouchers must not drive the loop.
async fn wake(changes: &mut toll_ledger::Changes, more_room: &mut watch::Receiver<u64>, interval: Duration) {
    tokio::time::sleep(LEAST_PAUSE).await;
    tokio::select! {
        _ = changes.changed(interval) => {}
        _ = more_room.changed() => {}
    }
}
