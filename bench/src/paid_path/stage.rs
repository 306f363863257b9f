//! The stages, from the bare signature check outwards.

use serde::Serialize;

use super::channels::{Channels, in_parallel};
use super::connection::render;
use super::load::{Pace, in_process, over_http};
use super::plan::Plan;
use super::report::{Idle, Paced};
use super::rounds::{Figure, Round, float, measure};
use super::shop::{FREE, PAID, Shop};
use super::{Failure, accept, idle, layer, tell, verify};

/// Lanes of what runs in process: enough to fill a group commit.
const LANES: usize = 256;

/// A ledger in a file.
pub(super) const SQLITE: &str = "sqlite";

/// A ledger on a server.
pub(super) const POSTGRES: &str = "postgres";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StageName {
    /// `verify_strict` alone.
    Verify,
    /// The signature check, the rules and a durable acceptance.
    Accept,
    /// A paid request through the payment layer, in process.
    Layer,
    /// A request that costs nothing, through the proxy.
    Free,
    /// A paid request through the proxy.
    Paid,
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was measured.
    pub stage: StageName,
    /// Where the ledger is kept.
    pub engine: &'static str,
    /// What the load generator speaks; `None` in process.
    pub protocol: Option<&'static str>,
    /// Connections, or concurrent callers in process.
    pub connections: usize,
    /// Channels in the ledger.
    pub channels: u64,
    /// The figures.
    #[serde(flatten)]
    pub figure: Figure,
}

/// What a stage works with.
pub(super) struct Stage<'a> {
    pub(super) plan: &'a Plan,
    pub(super) shop: &'a Shop,
    pub(super) channels: &'a mut Channels,
    pub(super) rows: &'a mut Vec<Row>,
    /// Where the ledger is kept.
    pub(super) engine: &'static str,
}

impl Stage<'_> {
    pub(super) fn verify(&mut self) -> Result<(), Failure> {
        let threads = self.plan.cores;
        let signed = self.channels.sign(threads, self.plan.requests.div_ceil(threads), threads);
        let figure = measure(self.plan.rounds, || verify::round(&signed))?;
        // They are signed in order, so they are accepted too: nothing is left out of any channel.
        let ledger = self.shop.ledger.clone();
        self.shop.handle().block_on(in_process(signed, move |signed| {
            let ledger = ledger.clone();
            async move { accept::accept(&ledger, &signed).await }
        }))?;
        self.row(StageName::Verify, None, threads, figure);
        Ok(())
    }

    pub(super) fn accept(&mut self) -> Result<(), Failure> {
        let (lanes, each) = self.lanes();
        let (rounds, threads, shop) = (self.plan.rounds, self.plan.cores, self.shop);
        let channels = &mut *self.channels;
        let figure = measure(rounds, || {
            let (signed, ledger) = (channels.sign(lanes, each, threads), shop.ledger.clone());
            shop.handle().block_on(in_process(signed, move |signed| {
                let ledger = ledger.clone();
                async move { accept::accept(&ledger, &signed).await }
            }))
        })?;
        self.row(StageName::Accept, None, lanes, figure);
        Ok(())
    }

    pub(super) fn layer(&mut self) -> Result<(), Failure> {
        let (lanes, each) = self.lanes();
        let (rounds, shop) = (self.plan.rounds, self.shop);
        let figure = measure(rounds, || {
            let headers = self.authorizations(lanes, each)?;
            layer::round(shop, headers)
        })?;
        self.row(StageName::Layer, None, lanes, figure);
        Ok(())
    }

    pub(super) fn free(&mut self, connections: usize) -> Result<(), Failure> {
        let each = self.plan.requests_over(connections).div_ceil(connections);
        let figure = measure(self.plan.rounds, || self.free_round(connections, each, Pace::Saturating))?;
        self.row(StageName::Free, Some("http/1.1"), connections, figure);
        Ok(())
    }

    pub(super) fn paid(&mut self, connections: usize) -> Result<(), Failure> {
        let each = self.plan.requests_over(connections).div_ceil(connections);
        let figure = measure(self.plan.rounds, || self.paid_round(connections, each, Pace::Saturating))?;
        self.row(StageName::Paid, Some("http/1.1"), connections, figure);
        Ok(())
    }

    /// Latencies at half the rate that saturates the paid route, free and paid.
    pub(super) fn paced(&mut self, connections: usize) -> Result<Paced, Failure> {
        let saturated = self
            .rows
            .iter()
            .find(|row| row.stage == StageName::Paid && row.connections == connections)
            .ok_or("the paid route was not measured")?;
        let rate = saturated.figure.per_second / 2.0;
        let each = self.plan.requests_over(connections).div_ceil(connections);
        tell(format_args!("{rate:.0} requests a second, free and paid"));
        let pace = Pace::PerSecond(rate);
        let free = measure(self.plan.rounds, || self.free_round(connections, each, pace))?;
        let paid = measure(self.plan.rounds, || self.paid_round(connections, each, pace))?;
        Ok(Paced { requests_per_second: rate, free, paid })
    }

    /// Pays once on many channels, and looks at what that leaves in memory.
    pub(super) fn idle(&mut self) -> Result<Idle, Failure> {
        let touched = self.channels.count().min(usize::try_from(self.plan.idle_channels)?);
        let grown = idle::growth(self.shop, self.channels, touched, self.plan.cores)?;
        Ok(Idle { channels: touched as u64, bytes_per_channel: float(grown) / float(touched as u64) })
    }

    fn free_round(&mut self, connections: usize, each: usize, pace: Pace) -> Result<Round, Failure> {
        let request = render(self.shop.address, FREE, None);
        over_http(self.shop.address, vec![vec![request; each]; connections], pace)
    }

    fn paid_round(&mut self, connections: usize, each: usize, pace: Pace) -> Result<Round, Failure> {
        let address = self.shop.address;
        let headers = self.authorizations(connections, each)?;
        let render = |header: String| render(address, PAID, Some(&header));
        let requests = headers.into_iter().map(|lane| lane.into_iter().map(render).collect()).collect();
        over_http(address, requests, pace)
    }

    fn authorizations(&mut self, lanes: usize, each: usize) -> Result<Vec<Vec<String>>, Failure> {
        let (threads, shop) = (self.plan.cores, self.shop);
        let signed = self.channels.sign(lanes, each, threads);
        let headers = in_parallel(&signed, threads, |lane| {
            lane.iter().map(|signed| shop.authorization(signed)).collect::<Result<Vec<_>, _>>()
        });
        headers.into_iter().collect()
    }

    /// Lanes in process, and the requests of each.
    fn lanes(&self) -> (usize, usize) {
        let lanes = LANES.min(self.channels.count());
        (lanes, self.plan.requests.div_ceil(lanes))
    }

    fn row(&mut self, stage: StageName, protocol: Option<&'static str>, connections: usize, figure: Figure) {
        let channels = self.channels.count() as u64;
        let engine = self.engine;
        tell(format_args!(
            "{stage:?}, {engine}, {channels} channels, {connections} at once: {:.0} a second, p99 {:.0} us",
            figure.per_second, figure.p99_micros
        ));
        self.rows.push(Row { stage, engine, protocol, connections, channels, figure });
    }
}
