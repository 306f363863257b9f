//! The figures, and what they must be.

use std::fmt;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, CellAlignment, Table};
use serde::Serialize;

use super::Failure;
use super::plan::Plan;
use super::rounds::Figure;
use super::stage::{POSTGRES, Row, SQLITE, StageName};

/// Least that a paid route does of what a free one does.
const RATIO_TO_FREE: f64 = 0.5;

/// Least that durable acceptance does of what the bare signature check does.
const RATIO_TO_VERIFY: f64 = 0.7;

/// Least that we do of what the peer does.
const RATIO_TO_PEER: f64 = 25.0;

/// Least that a paid route does with its ledger on a server of what it does with a file.
const RATIO_TO_SQLITE: f64 = 0.6;

/// Most that payment adds to the 99th percentile at half the saturation rate, in microseconds.
const ADDED_MICROS: f64 = 2_000.0;

/// Most that a request costs with many channels over what it costs with few.
const MANY_CHANNELS_COST: f64 = 1.2;

/// Most memory of an idle channel, in bytes.
const IDLE_BYTES: f64 = 1_024.0;

/// Latencies at one rate.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Paced {
    /// Half of what saturates the paid route.
    pub requests_per_second: f64,
    /// The free route at that rate.
    pub free: Figure,
    /// The paid route at that rate.
    pub paid: Figure,
}

/// What idle channels take.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Idle {
    /// Channels that paid once.
    pub channels: u64,
    /// What the process grew by, for each.
    pub bytes_per_channel: f64,
}

/// The whole result. Rates are requests a second.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Threads of each part.
    pub cores: usize,
    /// Whether this was compiled with optimization.
    pub optimized: bool,
    /// Rounds behind each figure.
    pub rounds: usize,
    /// Connections that the figures through the proxy are of.
    pub connections: usize,
    /// Bare signature checks.
    pub verify_per_second: f64,
    /// Signature check, rules and durable acceptance.
    pub accept_per_second: f64,
    /// The last over the one before.
    pub ratio_to_verify: f64,
    /// Paid requests through the layer, in process.
    pub layer_per_second: f64,
    /// Requests through the proxy that cost nothing.
    pub free_per_second: f64,
    /// Paid requests through the proxy.
    pub paid_per_second: f64,
    /// Paid over free.
    pub ratio_to_free: f64,
    /// Median of paid requests at half the saturation rate, in microseconds.
    pub p50_micros: f64,
    /// 99th percentile of paid requests at half the saturation rate, in microseconds.
    pub p99_micros: f64,
    /// What payment adds to the 99th percentile at that rate, in microseconds.
    pub p99_added_micros: f64,
    /// What the peer's server does; `None` unless it was asked for.
    pub peer_per_second: Option<f64>,
    /// Paid requests over the peer's.
    pub ratio_to_peer: Option<f64>,
    /// Paid requests with the ledger on a server over those with a file; `None` unless they were measured.
    pub postgres_to_sqlite: Option<f64>,
    /// Memory of a channel that paid once.
    pub bytes_per_idle_channel: f64,
    /// What a paid request costs with the most channels over what it costs with the fewest; `None` with one number of
    /// channels.
    pub many_channels_cost: Option<f64>,
    /// The peer's figure with its spread.
    pub peer: Option<Figure>,
    /// The latencies behind the percentiles.
    pub paced: Paced,
    /// The channels behind the memory.
    pub idle: Idle,
    /// Every measurement.
    pub rows: Vec<Row>,
}

impl Report {
    pub(super) fn of(
        plan: &Plan,
        rows: Vec<Row>,
        peer: Option<Figure>,
        paced: Paced,
        idle: Idle,
    ) -> Result<Self, Failure> {
        let connections = plan.headline_connections();
        let few = plan.channels.first().copied().unwrap_or_default();
        let find = |stage: StageName, channels: u64| {
            let through_proxy = matches!(stage, StageName::Free | StageName::Paid);
            let is_it = |row: &&Row| {
                row.stage == stage
                    && row.engine == SQLITE
                    && row.channels == channels
                    && (!through_proxy || row.connections == connections)
            };
            let row = rows.iter().find(is_it).ok_or_else(|| format!("{stage:?} was not measured"))?;
            Ok::<f64, Failure>(row.figure.per_second)
        };
        let verify_per_second = find(StageName::Verify, few)?;
        let accept_per_second = find(StageName::Accept, few)?;
        let (free, paid) = (find(StageName::Free, few)?, find(StageName::Paid, few)?);
        let on_server = rows.iter().find(|row| row.engine == POSTGRES).map(|row| row.figure.per_second);
        let many = plan.channels.last().copied().filter(|many| *many != few);
        let many_channels_cost = match many {
            Some(many) => Some(paid / find(StageName::Paid, many)?),
            None => None,
        };
        Ok(Self {
            cores: plan.cores,
            optimized: !cfg!(debug_assertions),
            rounds: plan.rounds,
            connections,
            verify_per_second,
            accept_per_second,
            ratio_to_verify: accept_per_second / verify_per_second,
            layer_per_second: find(StageName::Layer, few)?,
            free_per_second: free,
            paid_per_second: paid,
            ratio_to_free: paid / free,
            p50_micros: paced.paid.p50_micros,
            p99_micros: paced.paid.p99_micros,
            p99_added_micros: paced.paid.p99_micros - paced.free.p99_micros,
            peer_per_second: peer.map(|peer| peer.per_second),
            ratio_to_peer: peer.map(|peer| paid / peer.per_second),
            peer,
            postgres_to_sqlite: on_server.map(|on_server| on_server / paid),
            bytes_per_idle_channel: idle.bytes_per_channel,
            many_channels_cost,
            paced,
            idle,
            rows,
        })
    }

    /// The figures as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers serialize")
    }

    /// What is wrong with the figures.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if !self.optimized {
            complaints.push("built without optimization: these figures say nothing".to_owned());
        }
        let mut least = |what: &str, figure: f64, least: f64| {
            if figure < least {
                complaints.push(format!("{what} is {figure:.2}, and {least} is the least"));
            }
        };
        least("paid over free", self.ratio_to_free, RATIO_TO_FREE);
        least("durable acceptance over the bare signature check", self.ratio_to_verify, RATIO_TO_VERIFY);
        if let Some(ratio) = self.ratio_to_peer {
            least("paid over the peer's server", ratio, RATIO_TO_PEER);
        }
        if let Some(ratio) = self.postgres_to_sqlite {
            least("paid on PostgreSQL over SQLite", ratio, RATIO_TO_SQLITE);
        }
        let mut most = |what: &str, figure: f64, most: f64| {
            if figure > most {
                complaints.push(format!("{what} is {figure:.2}, and {most} is the most"));
            }
        };
        most(
            "what payment adds to the 99th percentile, in microseconds,",
            self.p99_added_micros,
            ADDED_MICROS,
        );
        if let Some(cost) = self.many_channels_cost {
            most("the cost of a request with many channels over few", cost, MANY_CHANNELS_COST);
        }
        most("memory of an idle channel, in bytes,", self.bytes_per_idle_channel, IDLE_BYTES);
        complaints
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        table.set_header([
            "stage", "ledger", "protocol", "at once", "channels", "a second", "spread", "p50 us", "p99 us",
        ]);
        for row in &self.rows {
            let figure = &row.figure;
            let figures = [
                row.connections.to_string(),
                row.channels.to_string(),
                format!("{:.0}", figure.per_second),
                format!("{:.0}%", figure.spread * 100.0),
                format!("{:.0}", figure.p50_micros),
                format!("{:.0}", figure.p99_micros),
            ];
            let names = [format!("{:?}", row.stage).to_lowercase(), row.engine.to_owned()];
            let names = names.into_iter().chain([row.protocol.unwrap_or("-").to_owned()]).map(Cell::new);
            let right = |figure| Cell::new(figure).set_alignment(CellAlignment::Right);
            table.add_row(names.chain(figures.into_iter().map(right)));
        }
        writeln!(f, "{table}")?;
        writeln!(f, "{} cores, {} rounds, medians", self.cores, self.rounds)?;
        writeln!(f, "paid over free: {:.2}", self.ratio_to_free)?;
        writeln!(f, "durable acceptance over the bare signature check: {:.2}", self.ratio_to_verify)?;
        if let Some(ratio) = self.ratio_to_peer {
            writeln!(f, "paid over the peer's server: {ratio:.1}")?;
        }
        if let Some(ratio) = self.postgres_to_sqlite {
            writeln!(f, "paid on PostgreSQL over SQLite: {ratio:.2}")?;
        }
        if let Some(cost) = self.many_channels_cost {
            writeln!(f, "cost of a request with many channels over few: {cost:.2}")?;
        }
        writeln!(
            f,
            "at {:.0} requests a second: p50 {:.0} us, p99 {:.0} us, of which payment adds {:.0}",
            self.paced.requests_per_second, self.p50_micros, self.p99_micros, self.p99_added_micros
        )?;
        write!(f, "memory of a channel that paid once: {:.0} bytes", self.bytes_per_idle_channel)
    }
}
