//! The load generator: lanes of requests, every lane one after the other, all lanes at once.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Failure;
use super::connection::Connection;
use super::rounds::{Round, histogram, note};

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// As soon as the one before is answered.
    Saturating,
    /// So many a second in all, whatever the answers do. Latency counts from when a request was due, so that a server
    /// that stalls is charged for all who wait.
    PerSecond(f64),
}

/// Sends every lane of `requests` on a connection of its own, from a runtime of its own thread.
pub(super) fn over_http(
    address: SocketAddr,
    requests: Vec<Vec<Vec<u8>>>,
    pace: Pace,
) -> Result<Round, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let lanes = requests.len();
        let mut connections = Vec::new();
        for lane in requests {
            connections.push((Connection::open(address).await?, lane));
        }
        let begin = Arc::new(Barrier::new(lanes + 1));
        let mut tasks = JoinSet::new();
        for (nth, (mut connection, lane)) in connections.into_iter().enumerate() {
            let begin = Arc::clone(&begin);
            tasks.spawn(async move {
                begin.wait().await;
                let began = Instant::now();
                let mut latency = histogram();
                for (index, request) in lane.iter().enumerate() {
                    let due = began + pace.offset(nth, index, lanes);
                    let since = match pace {
                        Pace::Saturating => Instant::now(),
                        Pace::PerSecond(_) => {
                            tokio::time::sleep_until(due.into()).await;
                            due
                        }
                    };
                    connection.exchange(request).await?;
                    note(&mut latency, since.elapsed());
                }
                Ok((lane.len() as u64, latency))
            });
        }
        begin.wait().await;
        gather(tasks).await
    })
}

/// Runs `each` on every item of every lane, as a task a lane.
pub(super) async fn in_process<T, F, R>(lanes: Vec<Vec<T>>, each: F) -> Result<Round, Failure>
where
    T: Send + Sync + 'static,
    F: Fn(T) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<(), Failure>> + Send,
{
    let begin = Arc::new(Barrier::new(lanes.len() + 1));
    let mut tasks = JoinSet::new();
    for lane in lanes {
        let (begin, each) = (Arc::clone(&begin), each.clone());
        tasks.spawn(async move {
            begin.wait().await;
            let (requests, mut latency) = (lane.len() as u64, histogram());
            for item in lane {
                let began = Instant::now();
                each(item).await?;
                note(&mut latency, began.elapsed());
            }
            Ok((requests, latency))
        });
    }
    begin.wait().await;
    gather(tasks).await
}

type Lane = Result<(u64, hdrhistogram::Histogram<u64>), Failure>;

async fn gather(mut tasks: JoinSet<Lane>) -> Result<Round, Failure> {
    let began = Instant::now();
    let (mut requests, mut latency) = (0, histogram());
    while let Some(lane) = tasks.join_next().await {
        let (count, of_lane) = lane??;
        requests += count;
        latency.add(&of_lane)?;
    }
    Ok(Round { requests, took: began.elapsed(), latency })
}

impl Pace {
    /// When the request number `index` of lane `nth` of `lanes` is due, from the beginning.
    fn offset(self, nth: usize, index: usize, lanes: usize) -> Duration {
        match self {
            Self::Saturating => Duration::ZERO,
            Self::PerSecond(rate) => {
                let position = (index * lanes + nth) as u64;
                Duration::from_secs_f64(super::rounds::float(position) / rate)
            }
        }
    }
}
