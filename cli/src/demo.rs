//! The whole product once: a payer without SOL, a thousand paid requests, and a count of the money.
//!
//! Nothing is short-circuited: the requests go over HTTP to a gateway with a ledger file, a settler lands
//! what they need through RPC, and the figures are read from the chain at the end, not from the ledger.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use tokio::sync::oneshot;
use toll_protocol::{Amount, ChannelId, ChannelStatus, Network, OPEN_SLOT_WINDOW, TOKEN_PROGRAM};
use toll_settler::Summary;

use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::kind::kind;
use crate::server::{Role, Server};
use toll_chain::Cluster;
use toll_client::Book;
use toll_client::{Payer, Policy, Request};
use toll_localnet::program::{ELF, PROGRAM_ID};
use toll_localnet::{Actors, DECIMALS, Fixture, Localnet, LocalnetConfig};

mod audit;
mod upstream;

pub use audit::Check;

/// What the payer starts with: 50 tokens, and no SOL.
pub const FUNDS: Amount = Amount::new(50_000_000);

/// What one request costs: 0.001 tokens.
pub const PRICE: Amount = Amount::new(1_000);

/// The most requests that the payer's funds cover, deposits being made in two equal parts.
pub const MAX_REQUESTS: u64 = 40_000;

/// How long the demo's slots last. A blockhash lives 150 of them: half a minute.
const SLOT_MS: u64 = 200;

/// What the demo did, as `--json` prints it. Amounts are base units.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Paid requests sent.
    pub requests: u64,
    /// Answered, with a right answer and a receipt.
    pub accepted: u64,
    /// Not answered so.
    pub rejected: u64,
    /// Escrowed in all, as the channel account says.
    pub deposit_total: u64,
    /// Settled, as the channel account says.
    pub settled: u64,
    /// By how much the payee's token account grew.
    pub payee_received: u64,
    /// By how much the payer's token account grew at the close.
    pub payer_refunded: u64,
    /// What is left in the escrow account.
    pub escrow_left: u64,
    /// Fees of all transactions below, as the chain says.
    pub fees_lamports: u64,
    /// Every transaction the channel took.
    pub transactions: Vec<Transaction>,
    /// From the first request to the last answer, opening and topping up included.
    pub elapsed_ms: u64,
    /// Accepted vouchers per second of that time.
    pub vouchers_per_second: f64,
}

/// One transaction on chain.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// `open`, `topUp`, `close`, `reclaim`.
    pub kind: String,
    /// Its signature.
    pub signature: String,
    /// What it used.
    pub compute_units: u64,
}

/// A demo that ran to its end: the report, and whether the figures are right.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The figures.
    pub report: Report,
    /// Every check that was made on them.
    pub checks: Vec<Check>,
    /// Where ledger, keys and state are, if they were kept.
    pub folder: Option<PathBuf>,
}

/// Told about the demo's progress.
pub trait Progress {
    /// A new part begins.
    fn stage(&self, what: &str);
    /// One more request is answered.
    fn request(&self);
}

/// Runs the demo with `requests` paid requests, in `folder` or a temporary one.
pub async fn run(requests: u64, folder: Option<&Path>, progress: &impl Progress) -> Result<Outcome> {
    let temporary = match folder {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|error| scratch(&error))?;
            None
        }
        None => Some(tempfile::tempdir().map_err(|error| scratch(&error))?),
    };
    let path = folder.or(temporary.as_ref().map(tempfile::TempDir::path)).unwrap_or(Path::new("."));

    progress.stage("starting a chain");
    let localnet = Localnet::start(LocalnetConfig { slot_ms: SLOT_MS, ..LocalnetConfig::default() }).await?;
    localnet.deploy(&PROGRAM_ID, ELF).await?;
    let actors = Actors::in_folder(path)?;
    let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await?;
    fixture.mint_to(&actors.payer.pubkey(), FUNDS).await?;

    progress.stage("starting gateway and settler");
    let (stop_upstream, stopped) = oneshot::channel::<()>();
    let upstream = upstream::serve(async { drop(stopped.await) }).await?;
    let config = config(requests, path, &localnet, &fixture.mint, &actors, &format!("http://{upstream}"));
    let server = Server::start(&config, Role::Both).await?;
    let address = server.address.expect("both halves run");

    let run = Run { fixture: &fixture, localnet: &localnet, actors: &actors, progress };
    let outcome = run.session(requests, path, &format!("http://{address}"), server).await;
    drop(stop_upstream);
    localnet.stop().await;
    let (report, checks) = outcome?;
    Ok(Outcome { report, checks, folder: folder.map(Path::to_path_buf) })
}

/// Balances of everybody, as the chain has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Balances {
    payer: Amount,
    payee: Amount,
    fee_payer_lamports: u64,
    payer_lamports: u64,
}

struct Run<'a, P> {
    fixture: &'a Fixture,
    localnet: &'a Localnet,
    actors: &'a Actors,
    progress: &'a P,
}

impl<P: Progress> Run<'_, P> {
    async fn session(
        &self,
        requests: u64,
        folder: &Path,
        url: &str,
        server: Server,
    ) -> Result<(Report, Vec<Check>)> {
        let before = self.balances().await?;
        let policy = Policy {
            max_amount: PRICE,
            max_deposit: FUNDS,
            ..Policy::new(Network::Localnet, vec![PROGRAM_ID])
        };
        let cluster = Cluster::new(&self.localnet.rpc_url);
        let payer = Payer::new(self.actors.payer.insecure_clone(), policy, Some(cluster))?;
        let book = Book::open(&folder.join("channels.json"), Duration::from_secs(5))?;

        self.progress.stage("paying");
        let (paid, elapsed) = self.pay(&payer, &book, url, requests).await?;
        let id =
            book.channels().last().map(|channel| channel.channel_id).ok_or_else(|| mismatch("no channel"))?;
        let deposit =
            self.channel(&id).await?.ok_or_else(|| mismatch("the channel is not on chain"))?.deposit;
        let before_close = self.balances().await?;

        self.progress.stage("closing");
        payer.close(&book, &id).await?;
        let closed =
            self.channel(&id).await?.ok_or_else(|| mismatch("the channel was reclaimed too early"))?;
        let after_close = self.balances().await?;
        let escrow = self.fixture.cluster.tokens(&id.pubkey(), &self.fixture.mint, &TOKEN_PROGRAM).await?;

        self.progress.stage("reclaiming the rent");
        self.localnet.advance_to_slot(closed.open_slot + OPEN_SLOT_WINDOW + 1).await?;
        let reclaimed = self.wait_until_gone(&id).await?;
        let summary = server.stop().await?;
        let (transactions, fees_lamports) = self.transactions(&summary).await?;
        let after = self.balances().await?;

        let settled_by_status = closed.status == ChannelStatus::Distributed;
        let report = Report {
            requests,
            accepted: paid,
            rejected: requests - paid,
            deposit_total: deposit.get(),
            settled: closed.settled.get(),
            payee_received: after.payee.saturating_sub(before.payee).get(),
            payer_refunded: after_close.payer.saturating_sub(before_close.payer).get(),
            escrow_left: escrow.unwrap_or(Amount::ZERO).get(),
            fees_lamports,
            transactions,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            vouchers_per_second: (paid as f64 / elapsed.as_secs_f64() * 10.0).round() / 10.0,
        };
        let facts = audit::Facts { before, after, reclaimed, distributed: settled_by_status };
        let checks = audit::checks(&report, &facts);
        Ok((report, checks))
    }

    /// Sends the requests one after the other, and counts those that were answered and rightly so.
    async fn pay(&self, payer: &Payer, book: &Book, url: &str, requests: u64) -> Result<(u64, Duration)> {
        let started = Instant::now();
        let mut paid = 0;
        for number in 0..requests {
            let task = upstream::task(number);
            let url = format!("{url}/factors/{task}");
            let request =
                Request::get(url.parse().map_err(|error| mismatch(format_args!("{url}: {error}")))?);
            let reply = payer.pay(book, &request).await?;
            let charged = reply.payment.as_ref().is_some_and(|payment| payment.charged == PRICE);
            if reply.status.is_success() && charged && upstream::is_right(task, &reply.body) {
                paid += 1;
            }
            self.progress.request();
        }
        Ok((paid, started.elapsed()))
    }

    async fn channel(&self, id: &ChannelId) -> Result<Option<toll_protocol::ChannelAccount>> {
        Ok(self.fixture.cluster.channel(id, &PROGRAM_ID).await?)
    }

    async fn balances(&self) -> Result<Balances> {
        let (payer, payee) = (self.actors.payer.pubkey(), self.actors.payee.pubkey());
        Ok(Balances {
            payer: self.fixture.tokens(&payer).await?,
            payee: self.fixture.tokens(&payee).await?,
            fee_payer_lamports: self.fixture.cluster.lamports(&self.actors.fee_payer.pubkey()).await?,
            payer_lamports: self.fixture.cluster.lamports(&payer).await?,
        })
    }

    async fn wait_until_gone(&self, id: &ChannelId) -> Result<bool> {
        for _ in 0..300 {
            if self.fixture.cluster.account(&id.pubkey()).await?.is_none() {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(false)
    }

    /// What the settler sent, with fees and compute units as the chain has them.
    async fn transactions(&self, summary: &Summary) -> Result<(Vec<Transaction>, u64)> {
        let mut transactions = Vec::new();
        let mut fees = 0;
        for report in &summary.reports {
            let landed = self.fixture.cluster.outcome(&report.signature).await?;
            fees += landed.fee_lamports;
            transactions.push(Transaction {
                kind: kind(report.kind).to_owned(),
                signature: report.signature.to_string(),
                compute_units: landed.compute_units,
            });
        }
        Ok((transactions, fees))
    }
}

/// The deposit the server suggests: three fifths of what the run costs, so that it has to be raised once.
fn suggested_deposit(requests: u64) -> Amount {
    Amount::new((PRICE.get() * requests * 3 / 5).max(PRICE.get()))
}

fn config(
    requests: u64,
    folder: &Path,
    localnet: &Localnet,
    mint: &Pubkey,
    actors: &Actors,
    upstream: &str,
) -> Config {
    let tokens = |amount| crate::money::tokens(amount, DECIMALS);
    let text = format!(
        "[ledger]\npath = \"ledger.db\"\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\nupstream = \"{upstream}\"\nrealm = \"demo.toll\"\n\
         [gateway.limits]\nvouchers_per_second = 1000000\n\
         [session]\nnetwork = \"localnet\"\nprogram = \"{PROGRAM_ID}\"\npayee = \"{payee}\"\n\
         fee_payer = \"{fee_payer}\"\nmint = \"{mint}\"\nallowed_mints = [\"{mint}\"]\ndecimals = {DECIMALS}\n\
         minimum_deposit = \"{minimum}\"\nsuggested_deposit = \"{suggested}\"\n\
         [settler]\nrpc = \"{rpc}\"\nfee_payer = \"fee-payer.json\"\npayee = \"payee.json\"\n\
         close_on_shutdown = true\ntip_interval_ms = 1000\npoll_interval_ms = 500\n\
         [[routes]]\nmethod = \"GET\"\npath = \"/factors/*\"\nprice = \"{price}\"\n",
        payee = actors.payee.pubkey(),
        fee_payer = actors.fee_payer.pubkey(),
        minimum = tokens(PRICE),
        suggested = tokens(suggested_deposit(requests)),
        rpc = localnet.rpc_url,
        price = tokens(PRICE),
    );
    Config::parse(&text, folder).expect("the demo's own configuration is valid")
}

fn scratch(error: &std::io::Error) -> CliError {
    CliError::new(
        Exit::Internal,
        format_args!("cannot make a folder: {error}"),
        "check TMPDIR and free space",
    )
}

fn mismatch(what: impl std::fmt::Display) -> CliError {
    CliError::new(Exit::Mismatch, what, "run it again with -v and report what it prints")
}
