//! The paid route with its ledger on a PostgreSQL server of this benchmark's own, on the same disk.

use toll_ledger::{Ledger, LedgerConfig, SystemClock, TestServer};

use super::channels::Channels;
use super::plan::Plan;
use super::shop::Shop;
use super::stage::{POSTGRES, Row, Stage};
use super::{Failure, runtime, tell};

/// Measures the paid route with the fewest channels of `plan` and its headline connections.
pub(super) fn paid(plan: &Plan, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let count = plan.channels.first().copied().unwrap_or(1);
    tell("starting PostgreSQL");
    let server = TestServer::start_synced().ok_or("--postgres needs PostgreSQL installed")?;
    let runtime = runtime(plan.cores)?;
    let ledger = runtime.block_on(async { Ledger::with(LedgerConfig::at(server.blank()), SystemClock) })?;
    let mut channels = runtime.block_on(Channels::seed(&ledger, count, plan.cores))?;
    let shop = Shop::open(runtime, ledger)?;
    let mut stage = Stage { plan, shop: &shop, channels: &mut channels, rows, engine: POSTGRES };
    stage.paid(plan.headline_connections())
}
