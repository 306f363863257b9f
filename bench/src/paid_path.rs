//! What payment costs a request: from the bare signature check to a paid answer through the proxy.
//!
//! Everything runs on this machine and in this process, the load generator included: gateway, upstream and load have
//! threads of their own and meet on loopback sockets. Vouchers are signed ahead, requests are rendered ahead, every
//! stage is warmed up, and each figure is the median of several rounds.
//!
//! Over HTTP/2 nothing is measured: the listener speaks HTTP/1.1 only, to the proxy in front that ends TLS.

mod accept;
mod channels;
mod connection;
mod idle;
mod layer;
mod load;
mod peer;
mod plan;
mod postgres;
mod report;
mod rounds;
mod shop;
mod stage;
mod upstream;
mod verify;

use tokio::runtime::Runtime;

use self::channels::Channels;
pub use self::plan::Plan;
pub use self::report::{Idle, Paced, Report};
pub use self::rounds::Figure;
use self::shop::Shop;
pub use self::stage::{Row, StageName};
use self::stage::{SQLITE, Stage};

/// Anything that keeps the benchmark from its figures.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a request costs, in base units.
const PRICE: u64 = 16;

/// Runs every stage of `plan`, the smallest number of channels first.
pub fn paid_path(plan: &Plan) -> Result<Report, Failure> {
    plan.check()?;
    let mut rows = Vec::new();
    let mut paced = None;
    let mut idle = None;
    for (nth, count) in plan.channels.iter().enumerate() {
        let is_first = nth == 0;
        tell(format_args!("seeding {count} channels"));
        let runtime = runtime(plan.cores)?;
        let ledger = runtime.block_on(Channels::ledger())?;
        let mut channels = runtime.block_on(Channels::seed(&ledger, *count, plan.cores))?;
        let shop = Shop::open(runtime, ledger)?;
        let mut stage = Stage { plan, shop: &shop, channels: &mut channels, rows: &mut rows, engine: SQLITE };
        if is_first {
            stage.verify()?;
            stage.accept()?;
            stage.layer()?;
        }
        let connections: &[usize] = if is_first { &plan.connections } else { &[plan.headline_connections()] };
        for connections in connections {
            if is_first {
                stage.free(*connections)?;
            }
            stage.paid(*connections)?;
        }
        if is_first {
            paced = Some(stage.paced(plan.headline_connections())?);
        }
        if nth + 1 == plan.channels.len() {
            idle = Some(stage.idle()?);
        }
    }
    if plan.postgres {
        postgres::paid(plan, &mut rows)?;
    }
    let peer = match &plan.python {
        Some(python) => Some(peer::python(plan, python)?),
        None => None,
    };
    Report::of(plan, rows, peer, paced.ok_or("no channels")?, idle.ok_or("no channels")?)
}

/// A runtime with so many workers.
fn runtime(workers: usize) -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?)
}

/// Says on stderr what goes on: a whole run takes minutes.
fn tell(what: impl std::fmt::Display) {
    tracing::info!("{what}");
}
