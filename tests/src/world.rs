//! One server on one chain, and everybody it deals with.

use std::path::Path;
use std::time::Duration;

use solana_keypair::Keypair;
use solana_signer::Signer;
use tempfile::TempDir;
use toll_chain::Cluster;
use toll_cli::Result;
use toll_cli::config::Config;
use toll_cli::server::{Role, Server};
use toll_client::Book;
use toll_client::{Payer, Policy, Reply, Request};
use toll_localnet::{Actors, Fixture};
use toll_protocol::{
    Amount, Channel, ChannelAccount, ChannelId, Network, PROGRAM_ID, Splits, TOKEN_PROGRAM, TREASURY_OWNER,
};

use crate::{TestChain, upstream::Upstream};

/// What the payer owns before anything happens: 50 tokens.
pub const FUNDS: Amount = Amount::new(50_000_000);
/// What one request costs.
pub const PRICE: Amount = Amount::new(1_000);
/// What a channel is opened with: ten requests' worth.
pub const DEPOSIT: Amount = Amount::new(10_000);
/// Seconds from a forced close until anyone may seal.
pub const GRACE: u32 = 20;
/// How far back channels open: their rent comes back as soon as that.
pub const BACKDATE: u64 = 1_320;

/// What a server does with open channels when it stops.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AtShutdown {
    /// Closes them.
    Close,
    /// Leaves them as they are.
    LeaveOpen,
}

/// A chain, a server on it, an upstream behind that, and a payer.
pub struct World {
    /// The chain.
    pub chain: TestChain,
    /// The mint and its cluster.
    pub fixture: Fixture,
    /// The keys.
    pub actors: Actors,
    /// What is paid for.
    pub upstream: Upstream,
    /// The server's configuration.
    pub config: Config,
    server: Option<Server>,
    folder: TempDir,
}

impl World {
    /// Prepares `chain` and starts a server that does `at_shutdown` with its channels.
    pub async fn start(chain: TestChain, at_shutdown: AtShutdown) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let actors = Actors::in_folder(folder.path()).expect("keys are made");
        let fixture =
            Fixture::prepare(Cluster::new(chain.rpc_url()), &actors).await.expect("the chain is ready");
        fixture.mint_to(&actors.payer.pubkey(), FUNDS).await.expect("the payer has funds");
        let upstream = Upstream::start().await;
        let text = config(&chain, &actors, &upstream, at_shutdown);
        let config = Config::parse(&text, folder.path()).expect("the configuration is valid");
        let mut world = Self { chain, fixture, actors, upstream, config, server: None, folder };
        world.start_server(Role::Both).await;
        world
    }

    /// Starts a server on the world's ledger.
    pub async fn start_server(&mut self, role: Role) {
        let server = Server::start(&self.config, role).await.expect("the server starts");
        if let Some(address) = server.address {
            // The next one is found where this one was.
            self.config.gateway.listen = address;
        }
        self.server = Some(server);
    }

    /// Stops the server; see [`AtShutdown`].
    pub async fn stop_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await.expect("the server stops cleanly");
        }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs")
    }

    /// The folder of keys, ledger and state.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client with the payer's key, limited to this world's price and [`BACKDATE`].
    pub fn payer(&self) -> Payer {
        self.payer_with(self.actors.payer.insecure_clone())
    }

    /// A client like [`Self::payer`] with another key.
    pub fn payer_with(&self, key: Keypair) -> Payer {
        let policy = Policy {
            max_amount: PRICE,
            max_deposit: FUNDS,
            deposit: Some(DEPOSIT),
            backdate_slots: BACKDATE,
            ..Policy::new(Network::Localnet, vec![PROGRAM_ID])
        };
        Payer::new(key, policy, Some(self.cluster())).expect("an HTTP client")
    }

    /// The payer's memory.
    pub fn book(&self) -> Book {
        Book::open(&self.folder().join("channels.json"), Duration::from_secs(5))
            .expect("the state file opens")
    }

    /// A client of the chain.
    pub fn cluster(&self) -> Cluster {
        Cluster::new(self.chain.rpc_url())
    }

    /// A request to the paid route.
    pub fn request(&self) -> Request {
        let address = self.server().address.expect("the gateway runs");
        Request::get(format!("http://{address}/count").parse().expect("a URL"))
    }

    /// Pays for `count` requests, one after the other.
    pub async fn pay(&self, payer: &Payer, book: &Book, count: u64) -> Vec<Reply> {
        let mut replies = Vec::new();
        for _ in 0..count {
            let reply = payer.pay(book, &self.request()).await.expect("the request is served");
            assert!(reply.status.is_success(), "{}", reply.status);
            assert_eq!(reply.payment.as_ref().map(|payment| payment.charged), Some(PRICE));
            replies.push(reply);
        }
        replies
    }

    /// The channel on chain, if its account is there.
    pub async fn channel(&self, id: &ChannelId) -> Option<ChannelAccount> {
        self.cluster().channel(id, &PROGRAM_ID).await.expect("the chain answers")
    }

    /// What the chain needs to know to act on a channel.
    pub fn instructions(&self, id: ChannelId) -> Channel {
        Channel {
            program: PROGRAM_ID,
            id,
            payer: self.actors.payer.pubkey(),
            payee: self.actors.payee.pubkey(),
            mint: self.fixture.mint,
            token_program: TOKEN_PROGRAM,
            rent_payer: self.actors.fee_payer.pubkey(),
            splits: Splits::default(),
            treasury_owner: TREASURY_OWNER,
        }
    }

    /// Sends an instruction, signed by the payer if it must be, its fee paid by somebody with SOL.
    pub async fn act_as_payer(&self, instruction: solana_instruction::Instruction) -> Result<()> {
        let sponsor: &Keypair = &self.fixture.mint_authority;
        let payer = &self.actors.payer;
        let signs =
            instruction.accounts.iter().any(|account| account.is_signer && account.pubkey == payer.pubkey());
        let signers: &[&Keypair] = if signs { &[payer] } else { &[] };
        Ok(self.cluster().send(&[instruction], sponsor, signers).await.map(drop)?)
    }

    /// Tokens of payer and payee.
    pub async fn balances(&self) -> (u64, u64) {
        let payer = self.fixture.tokens(&self.actors.payer.pubkey()).await.expect("the chain answers");
        let payee = self.fixture.tokens(&self.actors.payee.pubkey()).await.expect("the chain answers");
        (payer.get(), payee.get())
    }

    /// Lamports of the one who pays fees and rent.
    pub async fn sponsor_lamports(&self) -> u64 {
        self.cluster().lamports(&self.actors.fee_payer.pubkey()).await.expect("the chain answers")
    }

    /// Polls until the channel's account satisfies `wanted`.
    pub async fn wait_for_channel(
        &self,
        id: &ChannelId,
        what: &str,
        wanted: impl Fn(Option<&ChannelAccount>) -> bool,
    ) {
        for _ in 0..600 {
            if wanted(self.channel(id).await.as_ref()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the channel did not become {what} within a minute");
    }
}

fn config(chain: &TestChain, actors: &Actors, upstream: &Upstream, at_shutdown: AtShutdown) -> String {
    format!(
        r#"
[ledger]
path = "ledger.db"

[gateway]
listen = "127.0.0.1:0"
upstream = "{upstream}"
realm = "test.toll"

[session]
network = "localnet"
program = "{PROGRAM_ID}"
payee = "{payee}"
fee_payer = "{fee_payer}"
mint = "{mint}"
allowed_mints = ["{mint}"]
decimals = 6
minimum_deposit = "0.001"
grace_period_seconds = {GRACE}

[settler]
rpc = "{rpc}"
fee_payer = "fee-payer.json"
payee = "payee.json"
close_on_shutdown = {close_on_shutdown}
tip_interval_ms = 300
poll_interval_ms = 300
settle_before_expiry_seconds = 60

[[routes]]
path = "/**"
price = "0.001"
"#,
        upstream = upstream.url(),
        payee = actors.payee.pubkey(),
        fee_payer = actors.fee_payer.pubkey(),
        mint = actors.mint.pubkey(),
        rpc = chain.rpc_url(),
        close_on_shutdown = at_shutdown == AtShutdown::Close,
    )
}
