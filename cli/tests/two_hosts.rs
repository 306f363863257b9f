//! Hosts that share a ledger on a server: both sell, one settles, and either may die.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::{Router, routing::get};
use solana_signer::Signer;
use support::Toll;
use support::gateway::Customer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use toll_chain::Cluster;
use toll_cli::config::Config;
use toll_cli::server::{Role, Server};
use toll_client::Request;
use toll_ledger::{ChannelState, CloseReason, Ledger, LedgerConfig, SubmissionKind, SystemClock, TestServer};
use toll_localnet::program::{ELF, PROGRAM_ID};
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::Amount;

/// What a request costs.
const PRICE: u64 = 1_000;

/// A chain, a database server, something to sell, and the configuration of every host.
struct World {
    toll: Toll,
    server: TestServer,
    config: String,
    fixture: Fixture,
    actors: Actors,
    served: Arc<AtomicUsize>,
    _localnet: Localnet,
}

impl World {
    async fn new() -> Option<Self> {
        let server = TestServer::start()?;
        let toll = Toll::new();
        let localnet =
            Localnet::start(LocalnetConfig { slot_ms: 100, ..LocalnetConfig::default() }).await.unwrap();
        localnet.deploy(&PROGRAM_ID, ELF).await.unwrap();
        let actors = Actors::in_folder(toll.home.path()).unwrap();
        let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await.unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&served);
        let service = get(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready("served")
        });
        let upstream = support::serve(Router::new().route("/thing", service)).await;
        let (payee, fee_payer) = (actors.payee.pubkey(), actors.fee_payer.pubkey());
        let (mint, rpc) = (fixture.mint, &localnet.rpc_url);
        let database = server.blank();
        toll.write("secret", "c2l4IGFuZCB0aGlydHkgYnl0ZXMgb2YgYSBzZWNyZXQ");
        let config = format!(
            "[ledger]\nurl = {}\nserver_patience_seconds = 3\n\
             [gateway]\nlisten = \"127.0.0.1:0\"\nupstream = \"http://{upstream}\"\nrealm = \"test\"\n\
             secret_file = \"secret\"\n\
             [session]\nnetwork = \"localnet\"\npayee = \"{payee}\"\nfee_payer = \"{fee_payer}\"\n\
             mint = \"{mint}\"\nallowed_mints = [\"{mint}\"]\ndecimals = 6\nminimum_deposit = \"0.001\"\n\
             [settler]\nrpc = \"{rpc}\"\nfee_payer = \"fee-payer.json\"\npayee = \"payee.json\"\n\
             poll_interval_ms = 300\n\
             [[routes]]\npath = \"/**\"\nprice = \"0.001\"\n",
            toml::Value::try_from(&database).unwrap()
        );
        toll.write("toll.toml", &config);
        Some(Self { toll, server, config, fixture, actors, served, _localnet: localnet })
    }

    /// A `toll serve` of its own process, once it is ready.
    fn host(&self) -> Host {
        let mut command = self.toll.command();
        command.args(["--json", "serve"]).stdout(std::process::Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
        let ready: String = lines.by_ref().map(Result::unwrap).take_while(|line| line != "}").collect();
        let ready: serde_json::Value = serde_json::from_str(&(ready + "}")).unwrap();
        let address = ready["address"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Host { process, address }
    }

    fn settings(&self) -> Config {
        Config::parse(&self.config, self.toll.home.path()).unwrap()
    }

    fn ledger(&self) -> Ledger {
        Ledger::with(LedgerConfig::clone(&self.settings().ledger), SystemClock).unwrap()
    }

    async fn customer(&self) -> Customer {
        let customer = Customer::with(|policy| policy.deposit = Some(Amount::new(100_000)));
        let minted = self.fixture.mint_to(&customer.key.pubkey(), Amount::new(500_000)).await;
        // What a busy machine sends twice is called processed already.
        let funds = self.fixture.tokens(&customer.key.pubkey()).await;
        assert_eq!(funds.unwrap().get(), 500_000, "{minted:?}");
        customer
    }

    /// Asks for the close of every channel and waits until all of them are paid out. Returns what was earned.
    async fn close_all(&self, ledger: &Ledger) -> u64 {
        for channel in ledger.channels(&[ChannelState::Open]).await.unwrap() {
            ledger.request_close(&channel.id, CloseReason::Requested, None).await.unwrap();
        }
        let live = [ChannelState::Opening, ChannelState::Open, ChannelState::Closing];
        while !ledger.channels(&live).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.fixture.tokens(&self.actors.payee.pubkey()).await.unwrap().get()
    }

    async fn is_reconciled(&self) {
        let said = self.toll.run_beside(&["ledger", "reconcile", "--json"]).await;
        assert_eq!(said.succeeds().json()["exact"], true, "{said:?}");
    }
}

/// A host, which dies with its test.
struct Host {
    process: std::process::Child,
    address: String,
}

impl Host {
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

/// Sends every connection to the next of `hosts`, or to another one where that is gone. Returns where it listens.
async fn balance(hosts: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        for turn in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            let hosts = hosts.clone();
            tokio::spawn(async move {
                for nth in 0..hosts.len() {
                    if let Ok(mut host) = TcpStream::connect(&hosts[(turn + nth) % hosts.len()]).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut host).await;
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_share_a_ledger_go_on_where_one_is_killed_and_nothing_is_charged_twice() {
    let Some(world) = World::new().await else { return };
    let (mut first, mut second) = (world.host(), world.host());
    let third = world.host();
    let hosts = vec![first.address.clone(), second.address.clone(), third.address.clone()];
    let url = format!("http://{}/thing", balance(hosts).await);
    let paid = Arc::new(AtomicU64::new(0));
    let mut payers = JoinSet::new();
    for _ in 0..3 {
        let (customer, url, paid) = (world.customer().await, url.clone(), Arc::clone(&paid));
        payers.spawn(async move {
            let (book, request) = (customer.book(), Request::get(url.parse().unwrap()));
            let (mut served, mut errors) = (0, 0);
            while served < 40 {
                match customer.payer.pay(&book, &request).await {
                    Ok(reply) if reply.status.is_success() => {
                        served += 1;
                        paid.fetch_add(1, Ordering::SeqCst);
                    }
                    // Killed under it, or not ready: the same request again, under the same voucher.
                    _ => {
                        errors += 1;
                        assert!(errors < 500, "it never comes through");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
            (customer, errors)
        });
    }
    while paid.load(Ordering::SeqCst) < 30 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It settles, and sells.
    first.kill();
    while paid.load(Ordering::SeqCst) < 70 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    second.kill();
    let ended = payers.join_all().await;

    let ledger = world.ledger();
    for (customer, _) in &ended {
        let payer = customer.key.pubkey();
        let channels = ledger.channels(ChannelState::ALL).await.unwrap();
        let of_payer: Vec<_> = channels.iter().filter(|it| it.agreement.terms.payer == payer).collect();
        let spent: u64 = of_payer.iter().map(|it| it.watermarks.spent.get()).sum();
        assert_eq!(spent, 40 * PRICE, "40 requests were answered");
    }
    let served = world.served.load(Ordering::SeqCst);
    let errors: usize = ended.iter().map(|(_, errors)| *errors).sum();
    println!("2 of 3 hosts killed; 120 answers, {served} served, {errors} attempts failed");
    assert!(served >= 120);

    // The third one is the last that can settle.
    assert_eq!(world.close_all(&ledger).await, 120 * PRICE);
    world.is_reconciled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lost_its_lease_goes_on_selling_and_settles_again_when_it_is_its_turn() {
    let Some(world) = World::new().await else { return };
    let server = Server::start(&world.settings(), Role::Both).await.unwrap();
    let standing_by = Server::start(&world.settings(), Role::Both).await.unwrap();
    let ledger = world.ledger();
    let pay = async |server: &Server| {
        let customer = world.customer().await;
        let url = format!("http://{}/thing", server.address.unwrap());
        let request = Request::get(url.parse().unwrap());
        let reply = customer.payer.pay(&customer.book(), &request).await.unwrap();
        assert!(reply.status.is_success(), "{}", reply.status);
        (customer, request)
    };
    // One that stands by opens channels, too: the other one lands them.
    let customers = [pay(&server).await, pay(&standing_by).await];
    let open = ledger.channels(&[ChannelState::Open]).await.unwrap();
    let customer = customers.iter().position(|(it, _)| it.key.pubkey() == open[0].agreement.terms.payer);

    // As if a third one had it, for a while.
    ledger.meddle(
        "UPDATE settler_lease SET expires_at = 9999999999, holder = (SELECT substring(payer FROM 1 FOR 16) FROM channels LIMIT 1)",
    );
    ledger.request_close(&open[1].id, CloseReason::Requested, None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sent = ledger.submissions_of(&open[1].id).await.unwrap();
    assert!(sent.iter().all(|sent| sent.kind == SubmissionKind::Open), "nobody settles without the lease");
    // The other channel is sold on as ever.
    let (customer, request) = &customers[customer.unwrap()];
    let reply = customer.payer.pay(&customer.book(), request).await.unwrap();
    assert!(reply.status.is_success(), "{}", reply.status);

    ledger.meddle("UPDATE settler_lease SET expires_at = 0");
    assert_eq!(world.close_all(&ledger).await, 3 * PRICE);
    server.stop().await.unwrap();
    standing_by.stop().await.unwrap();
    world.is_reconciled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grace_period_that_ends_before_anybody_takes_over_is_refused() {
    let Some(world) = World::new().await else { return };
    let short = world.config.replace("[session]\n", "[session]\ngrace_period_seconds = 39\n");
    world.toll.write("toll.toml", &short);
    let checked = world.toll.run_beside(&["serve", "--check"]).await;
    checked.fails_with(toll_cli::Exit::Config.code(), &["session.grace_period_seconds", "ledger.url"]);
    drop(world.server);
}
