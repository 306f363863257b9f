//! A server killed with SIGKILL at random, again and again, while it opens, sells and closes.
//!
//! `TOLL_TEST_KILLS` says how often, 20 times unless given. A recorded run is
//! `TOLL_TEST_KILLS=1000 cargo test -p toll-cli --test kills -- --nocapture`; it prints what it counted.

mod support;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::Path;
use axum::{Router, routing::get};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use support::Toll;
use support::gateway::Customer;
use toll_chain::Cluster;
use toll_client::{ChannelStage, PayError, Reply, Request, SavedChannel};
use toll_ledger::{ChannelState, Ledger, SystemClock};
use toll_localnet::program::{ELF, PROGRAM_ID};
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::{Amount, ChannelId, TOKEN_PROGRAM};

const KILLS: &str = "TOLL_TEST_KILLS";

/// Customers who pay at once.
const CUSTOMERS: usize = 8;

/// Requests after which a customer closes its channel, and opens another with the next.
const REQUESTS: u64 = 150;

/// Base units.
const PRICE: u64 = 1_000;

/// How long a customer keeps on asking for one answer.
const PATIENCE: Duration = Duration::from_secs(600);

/// Everything but the server.
struct Shop {
    toll: Toll,
    _localnet: Localnet,
    fixture: Fixture,
    payee: Pubkey,
    url: String,
    is_over: AtomicBool,
    answered: AtomicU64,
    asked_again: AtomicU64,
    /// Customers who have got something.
    served: AtomicU64,
}

/// What a customer has got.
#[derive(Default)]
struct Bought {
    payer: Pubkey,
    answers: u64,
    channels: HashSet<ChannelId>,
    receipts: HashSet<(ChannelId, u64)>,
}

impl Shop {
    async fn new() -> Self {
        let toll = Toll::new();
        let config = LocalnetConfig { slot_ms: 100, ..LocalnetConfig::default() };
        let localnet = Localnet::start(config).await.unwrap();
        localnet.deploy(&PROGRAM_ID, ELF).await.unwrap();
        let actors = Actors::in_folder(toll.home.path()).unwrap();
        let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await.unwrap();
        let answer = get(|Path(number): Path<String>| async move { format!("answer {number}") });
        let upstream = support::serve(Router::new().route("/thing/{number}", answer)).await;
        // Free a moment ago, and the same for every server.
        let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (payee, fee_payer) = (actors.payee.pubkey(), actors.fee_payer.pubkey());
        let (mint, rpc) = (fixture.mint, &localnet.rpc_url);
        let text = format!(
            "[ledger]\npath = \"ledger.db\"\n\
             [gateway]\nlisten = \"{listen}\"\nupstream = \"http://{upstream}\"\nrealm = \"test\"\n\
             [session]\nnetwork = \"localnet\"\npayee = \"{payee}\"\nfee_payer = \"{fee_payer}\"\n\
             mint = \"{mint}\"\nallowed_mints = [\"{mint}\"]\ndecimals = 6\nminimum_deposit = \"0.001\"\n\
             [settler]\nrpc = \"{rpc}\"\nfee_payer = \"fee-payer.json\"\npayee = \"payee.json\"\n\
             poll_interval_ms = 200\n\
             [[routes]]\npath = \"/**\"\nprice = \"0.001\"\n"
        );
        toll.write("toll.toml", &text);
        let url = format!("http://{listen}");
        let (is_over, answered, asked_again, served) = Default::default();
        Self { toll, _localnet: localnet, fixture, payee, url, is_over, answered, asked_again, served }
    }

    /// A server, and once that is known how long it took until it was ready.
    fn serve(&self) -> (Child, std::sync::mpsc::Receiver<Duration>) {
        let mut command = self.toll.command();
        let (begun, (ready, is_ready)) = (Instant::now(), std::sync::mpsc::channel());
        let mut server =
            command.args(["--json", "serve"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(server.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line == "}" {
                    let _ = ready.send(begun.elapsed());
                }
            }
        });
        (server, is_ready)
    }

    /// Kills servers within half a second, or within that after an answer; one in eight before it is ready.
    fn kill(&self, kills: u64, random: &mut StdRng) -> (u64, Duration) {
        let (mut unready, mut starting) = (0, Duration::from_millis(200));
        // Everybody has a channel before the first kill.
        let (mut server, _) = self.serve();
        while self.served.load(Ordering::Relaxed) < CUSTOMERS as u64 {
            std::thread::sleep(Duration::from_millis(50));
        }
        server.kill().unwrap();
        server.wait().unwrap();
        for number in 1..=kills {
            let (mut server, is_ready) = self.serve();
            if random.gen_ratio(1, 8) {
                std::thread::sleep(starting.mul_f64(random.gen_range(0.0..1.0)));
                unready += u64::from(is_ready.try_recv().is_err());
            } else {
                starting = is_ready.recv_timeout(PATIENCE).expect("a server that starts");
                if random.gen_ratio(1, 2) {
                    self.wait_for_an_answer();
                }
                std::thread::sleep(Duration::from_millis(random.gen_range(0..400)));
            }
            server.kill().unwrap();
            server.wait().unwrap();
            if number % 100 == 0 {
                println!("{number} kills, {} answers", self.answered.load(Ordering::Relaxed));
            }
        }
        (unready, starting)
    }

    /// On a busy machine an answer takes longer than most servers live.
    fn wait_for_an_answer(&self) {
        let (answered, since) = (self.answered.load(Ordering::Relaxed), Instant::now());
        while self.answered.load(Ordering::Relaxed) == answered && since.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks until there is an answer.
    async fn ask(&self, customer: &Customer, request: &Request) -> Reply {
        let (book, since) = (customer.book(), Instant::now());
        loop {
            match customer.payer.pay(&book, request).await {
                Ok(reply) if reply.status == 200 => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    return reply;
                }
                Err(
                    error @ (PayError::AnswerLost
                    | PayError::Redeemed { .. }
                    | PayError::MaybeRedeemed { .. }
                    | PayError::Dishonest(_)),
                ) => {
                    panic!("{error}")
                }
                other => assert!(since.elapsed() < PATIENCE, "{other:?}"),
            }
            self.asked_again.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Closes whatever the customer has open.
    async fn close(&self, customer: &Customer) {
        let (book, since) = (customer.book(), Instant::now());
        let in_use = |channel: &SavedChannel| {
            matches!(channel.stage, ChannelStage::Opening | ChannelStage::Open | ChannelStage::Closing)
        };
        while let Some(channel) = book.channels().into_iter().find(in_use) {
            if let Err(error) = customer.payer.close(&book, &channel.channel_id).await {
                assert!(since.elapsed() < PATIENCE, "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Buys until it is told that the shop closes.
    async fn shop(&self) -> Bought {
        let customer = Customer::with(|policy| {
            policy.deposit = Some(Amount::new(REQUESTS * PRICE));
            policy.timeout = Duration::from_secs(10);
        });
        let payer = customer.key.pubkey();
        self.fixture.mint_to(&payer, Amount::new(1_000_000_000_000)).await.unwrap();
        let mut bought = Bought { payer, ..Bought::default() };
        while !self.is_over.load(Ordering::Relaxed) {
            let number = bought.answers;
            let url = format!("{}/thing/{number}", self.url).parse().unwrap();
            let reply = self.ask(&customer, &Request::get(url)).await;
            assert_eq!(reply.body, format!("answer {number}").as_bytes());
            let payment = reply.payment.expect("it was paid for");
            let spent = payment.receipt.spent.get();
            assert!(bought.receipts.insert((payment.channel, spent)), "two answers for one charge");
            bought.channels.insert(payment.channel);
            bought.answers += 1;
            if bought.answers == 1 {
                self.served.fetch_add(1, Ordering::Relaxed);
            }
            if bought.answers.is_multiple_of(REQUESTS) {
                self.close(&customer).await;
            }
        }
        self.close(&customer).await;
        bought
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_answered_before_a_kill_is_charged_once_and_the_books_are_exact() {
    let kills: u64 = std::env::var(KILLS).map_or(20, |count| count.parse().expect("a number of kills"));
    let seed: u64 = rand::random();
    println!("{kills} kills, seed {seed}");
    let shop = Arc::new(Shop::new().await);
    let customers: Vec<_> = (0..CUSTOMERS)
        .map(|_| {
            let shop = Arc::clone(&shop);
            tokio::spawn(async move { shop.shop().await })
        })
        .collect();
    let begun = Instant::now();
    let killing = Arc::clone(&shop);
    let killer = move || killing.kill(kills, &mut StdRng::seed_from_u64(seed));
    let (unready, starting) = tokio::task::spawn_blocking(killer).await.unwrap();
    let took = begun.elapsed();

    let (mut server, _) = shop.serve();
    shop.is_over.store(true, Ordering::Relaxed);
    let mut bought = Vec::new();
    for customer in customers {
        bought.push(customer.await.unwrap());
    }
    let ledger = Ledger::open(shop.toll.home.path().join("ledger.db"), SystemClock).unwrap();
    let live = || async { ledger.channels(ChannelState::LIVE).await.unwrap().len() };
    for _ in 0..600 {
        if live().await == 0 && ledger.unresolved().await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What transactions cost is asked for a moment later.
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.kill().unwrap();
    server.wait().unwrap();

    let records = ledger.channels(ChannelState::ALL).await.unwrap();
    let mut earned = 0;
    for bought in &bought {
        let of_payer = records.iter().filter(|record| record.agreement.terms.payer == bought.payer);
        let spent: u64 = of_payer.map(|record| record.watermarks.spent.get()).sum();
        assert_eq!(spent, bought.answers * PRICE, "what is charged is what was answered");
        assert_eq!(bought.receipts.len() as u64, bought.answers);
        earned += spent;
    }
    let payee = shop.fixture.cluster.tokens(&shop.payee, &shop.fixture.mint, &TOKEN_PROGRAM).await.unwrap();
    assert_eq!(payee.map(Amount::get), Some(earned), "what was charged is what was paid out");
    drop(ledger);
    let reconciled = shop.toll.run_beside(&["ledger", "reconcile", "--json"]).await;
    assert_eq!(reconciled.succeeds().json()["exact"], true);
    let document = reconciled.json();
    let (answers, again) = (shop.answered.load(Ordering::Relaxed), shop.asked_again.load(Ordering::Relaxed));
    let channels: usize = bought.iter().map(|bought| bought.channels.len()).sum();
    println!(
        "{kills} kills in {:.0} s ({:.0} a minute; {unready} before the server was ready, which takes {} ms): {answers} \
         answered requests, all charged once; {again} asked again; {channels} channels; {} entries, {} channels and {} \
         transactions reconciled, exact",
        took.as_secs_f64(),
        kills as f64 * 60.0 / took.as_secs_f64(),
        starting.as_millis(),
        document["entries"],
        document["channels"],
        document["transactions"],
    );
}
