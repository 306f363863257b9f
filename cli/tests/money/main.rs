//! Money for accountants: what a ledger says of it, and that the chain says the same.

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use axum::{Router, routing::get};
use serde_json::Value;
use solana_signer::Signer;
use support::gateway::Customer;
use support::{Ended, Toll};
use toll_chain::Cluster;
use toll_cli::Exit;
use toll_cli::config::Config;
use toll_cli::server::{Role, Server};
use toll_client::Request;
use toll_ledger::{CloseReason, Ledger, SystemClock};
use toll_localnet::program::{ELF, PROGRAM_ID};
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::Amount;

/// A server that has sold on a chain of its own, and has stopped.
struct Sold {
    toll: Toll,
    _localnet: Localnet,
}

impl Sold {
    /// Two customers, who pay twice and once. The first one's channel is closed and paid out.
    async fn new() -> Self {
        let toll = Toll::new();
        let config = LocalnetConfig { slot_ms: 100, ..LocalnetConfig::default() };
        let localnet = Localnet::start(config).await.unwrap();
        localnet.deploy(&PROGRAM_ID, ELF).await.unwrap();
        let actors = Actors::in_folder(toll.home.path()).unwrap();
        let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await.unwrap();
        let upstream = support::serve(Router::new().route("/thing", get(|| async { "served" }))).await;
        let (payee, fee_payer) = (actors.payee.pubkey(), actors.fee_payer.pubkey());
        let (mint, rpc) = (fixture.mint, &localnet.rpc_url);
        let text = format!(
            "[ledger]\npath = \"ledger.db\"\n\
             [gateway]\nlisten = \"127.0.0.1:0\"\nupstream = \"http://{upstream}\"\nrealm = \"test\"\n\
             [session]\nnetwork = \"localnet\"\npayee = \"{payee}\"\nfee_payer = \"{fee_payer}\"\n\
             mint = \"{mint}\"\nallowed_mints = [\"{mint}\"]\ndecimals = 6\nminimum_deposit = \"0.001\"\n\
             [settler]\nrpc = \"{rpc}\"\nfee_payer = \"fee-payer.json\"\npayee = \"payee.json\"\n\
             poll_interval_ms = 200\n\
             [[routes]]\npath = \"/**\"\nprice = \"0.001\"\n"
        );
        toll.write("toll.toml", &text);
        let server =
            Server::start(&Config::parse(&text, toll.home.path()).unwrap(), Role::Both).await.unwrap();
        let url = format!("http://{}/thing", server.address.unwrap());
        for times in [2, 1] {
            let customer = Customer::new();
            fixture.mint_to(&customer.key.pubkey(), Amount::new(50_000)).await.unwrap();
            for _ in 0..times {
                customer.payer.pay(&customer.book(), &Request::get(url.parse().unwrap())).await.unwrap();
            }
        }
        let ledger = server.ledger().clone();
        let channels = ledger.channels(toll_ledger::ChannelState::LIVE).await.unwrap();
        let first = channels.iter().find(|channel| channel.watermarks.spent.get() == 2_000).unwrap();
        ledger.request_close(&first.id, CloseReason::Requested, None).await.unwrap();
        while ledger.channel(&first.id).await.unwrap().unwrap().refunded.is_none() {
            ledger.changed(std::time::Duration::from_millis(50)).await;
        }
        server.stop().await.unwrap();
        Self { toll, _localnet: localnet }
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        self.toll.run_beside(arguments).await
    }
}

/// The sum of a column by kind.
fn sums(lines: &[Value], column: &str) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for line in lines.iter().filter(|line| !line[column].is_null()) {
        let amount: i64 = line[column].as_str().unwrap().parse().unwrap();
        *sums.entry(line["kind"].as_str().unwrap().to_owned()).or_default() += amount;
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_every_movement_and_the_chain_agrees_to_the_unit() {
    let sold = Sold::new().await;

    let exported = sold.run(&["ledger", "export", "--json"]).await;
    let lines: Vec<Value> =
        exported.succeeds().stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tokens = sums(&lines, "baseUnits");
    let count = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((count("deposit"), count("payout"), count("refund")), (2, 1, 1));
    assert_eq!((tokens["deposit"], tokens["acceptance"]), (20_000, 3_000));
    assert_eq!((tokens["payout"], tokens["refund"]), (2_000, 8_000));
    let lamports = sums(&lines, "lamports");
    assert!(lamports["fee"] >= 30_000, "two opens and a close: {lines:?}");
    assert!(lamports["rent"] > 4_000_000, "one channel's rent is still lent: {lines:?}");
    for line in lines.iter().filter(|line| line["kind"] != "acceptance") {
        assert!(line["signature"].is_string(), "{line}");
    }
    let numbers = lines.iter().map(|line| line["entry"].as_str().unwrap().parse::<usize>().unwrap());
    assert!(numbers.eq(1..=lines.len()), "numbers have no gaps");
    let half = (lines.len() / 2).to_string();
    let rest = sold.run(&["ledger", "export", "--json", "--after", &half]).await;
    assert_eq!(rest.succeeds().stdout.lines().count(), lines.len() - lines.len() / 2);
    let today = sold.run(&["ledger", "export", "--json", "--since", "2020-01-01"]).await;
    assert_eq!(today.succeeds().stdout.lines().count(), lines.len());
    let future = sold.run(&["ledger", "export", "--json", "--since", "2100-01-01T00:00:00Z"]).await;
    assert_eq!(future.succeeds().stdout, "");

    let out = sold.toll.home.path().join("books.csv");
    let written = sold.run(&["ledger", "export", "--out", out.to_str().unwrap()]).await;
    assert!(written.succeeds().stdout.contains(&format!("{} lines", lines.len())), "{written:?}");
    let csv = std::fs::read_to_string(out).unwrap();
    let head = csv.lines().next().unwrap();
    assert_eq!(head, "entry,time,kind,channelId,payer,payee,mint,baseUnits,lamports,purpose,signature");
    assert_eq!(csv.lines().count(), 1 + lines.len());
    assert!(csv.lines().all(|line| line.split(',').count() == 11), "{csv}");

    let exact = sold.run(&["ledger", "reconcile", "--json"]).await.succeeds().json();
    assert_eq!((&exact["exact"], &exact["channels"]), (&Value::Bool(true), &2.into()), "{exact}");
    assert_eq!(exact["entries"], lines.len(), "{exact}");
    assert!(exact["transactions"].as_u64().unwrap() >= 3, "two opens and a close: {exact}");
    assert_eq!(exact["forgottenByTheNode"], 0, "{exact}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lamport_that_the_chain_did_not_take_is_found_with_its_transaction() {
    let sold = Sold::new().await;
    sold.run(&["ledger", "reconcile"]).await.succeeds();
    let database = rusqlite::Connection::open(sold.toll.home.path().join("ledger.db")).unwrap();
    let added = database
        .execute(
            "INSERT INTO journal (entry, entered_at, kind, amount, fee_payer, signature)
             SELECT (SELECT max(entry) FROM journal) + 1, entered_at, kind, 1, fee_payer, signature
               FROM journal WHERE kind = 'fee' LIMIT 1",
            [],
        )
        .unwrap();
    assert_eq!(added, 1);

    let ended = sold.run(&["ledger", "reconcile", "--json"]).await;

    assert_eq!(ended.code, i32::from(Exit::Mismatch.code()), "{ended:?}");
    let document = ended.json();
    let differences = document["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 2, "{document}");
    assert!(differences[0]["feePayer"].is_string() && differences[1]["signature"].is_string(), "{document}");
    let of = |place: usize, side: &str| differences[place][side].as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!(of(0, "chain") - of(0, "ledger"), 1);
    assert_eq!(of(1, "chain") - of(1, "ledger"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_figure_that_is_one_unit_off_is_named() {
    let sold = Sold::new().await;
    let database = rusqlite::Connection::open(sold.toll.home.path().join("ledger.db")).unwrap();
    let changed = database
        .execute("UPDATE channels SET settled = 1, accepted = max(accepted, 1) WHERE state = 'open'", [])
        .unwrap();
    assert_eq!(changed, 1);

    let ended = sold.run(&["ledger", "reconcile", "--json"]).await;

    assert_eq!(ended.code, i32::from(Exit::Mismatch.code()), "{ended:?}");
    let document = ended.json();
    let differences = document["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{document}");
    let found = ["what", "ledger", "chain"].map(|member| differences[0][member].as_str().unwrap());
    assert_eq!(found, ["settled", "1", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deposited_and_is_nowhere_is_found() {
    let sold = Sold::new().await;
    let database = rusqlite::Connection::open(sold.toll.home.path().join("ledger.db")).unwrap();
    let changed = database
        .execute("UPDATE channels SET refunded = refunded - 1 WHERE refunded IS NOT NULL", [])
        .unwrap();
    assert_eq!(changed, 1);
    let ended = sold.run(&["ledger", "reconcile", "--json"]).await;
    assert_eq!(ended.code, i32::from(Exit::Mismatch.code()), "{ended:?}");
    assert_eq!(ended.json()["differences"][0]["what"], "left by the entries");
}

#[test]
fn a_ledger_that_is_not_there_is_an_error_and_is_not_made() {
    let toll = Toll::new();
    let text = support::gateway::config_text();
    toll.write("toll.toml", &text);
    for command in ["export", "reconcile"] {
        toll.run(&["ledger", command]).fails_with(Exit::Ledger.code(), &["ledger.db"]);
    }
    assert!(!toll.home.path().join("ledger.db").exists());
    drop(Ledger::open(toll.home.path().join("ledger.db"), SystemClock).unwrap());
    assert_eq!(toll.run(&["ledger", "export"]).succeeds().stdout.lines().count(), 1, "the head alone");
}
