//! What README.md promises: a configuration that works as it stands, and the exit codes.

mod support;

use std::process::Stdio;

use axum::Router;
use solana_signer::Signer;
use support::Toll;
use toll_chain::Cluster;
use toll_cli::Exit;
use toll_localnet::program::{ELF, PROGRAM_ID};
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig, test_mint};
use toll_protocol::Amount;

const README: &str = include_str!("../../README.md");

/// The one fenced block of TOML.
fn config() -> &'static str {
    let (_, rest) = README.split_once("```toml\n").expect("README.md has a toll.toml");
    rest.split_once("```").expect("it ends").0
}

#[test]
fn the_two_commands_come_first_and_the_config_after_them() {
    let demo = README.find("cargo run -p toll-cli -- demo").unwrap();
    let test = README.find("cargo test --workspace").unwrap();
    let toml = README.find("```toml").unwrap();
    assert!(demo < test && test < toml);
    assert_eq!(README[..toml].matches("```").count(), 2, "something comes between them");
    assert_eq!(config().lines().count(), 10);
}

#[test]
fn every_exit_code_is_listed_with_its_meaning() {
    for exit in Exit::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(README.contains(&row), "{row}");
    }
}

#[test]
fn the_mint_is_the_one_that_localnet_makes() {
    assert!(config().contains(&test_mint().pubkey().to_string()), "{}", test_mint().pubkey());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_config_serves_paid_requests_beside_a_localnet() {
    let toll = Toll::new();
    let folder = toll.home.path().join("localnet");
    let chain = Localnet::start(LocalnetConfig { slot_ms: 100, ..LocalnetConfig::default() }).await.unwrap();
    chain.deploy(&PROGRAM_ID, ELF).await.unwrap();
    let actors = Actors::in_folder(&folder).unwrap();
    let fixture = Fixture::prepare(Cluster::new(&chain.rpc_url), &actors).await.unwrap();
    fixture.mint_to(&actors.payer.pubkey(), Amount::new(1_000_000)).await.unwrap();
    let upstream = support::serve(Router::new().fallback(|| async { "guarded" })).await;
    // Only the addresses are this test's own.
    let text = config()
        .replace("http://127.0.0.1:8899", &chain.rpc_url)
        .replace("http://127.0.0.1:8080", &format!("http://{upstream}"))
        .replace("127.0.0.1:8402", "127.0.0.1:0");
    toll.write("toll.toml", &text);
    let mut command = toll.command();
    command.args(["--json", "serve"]).stdout(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take().unwrap()));
    let ready: String = lines.map(Result::unwrap).take_while(|line| line != "}").collect();
    let ready: serde_json::Value = serde_json::from_str(&(ready + "}")).unwrap();

    let paid = toll
        .run_beside(&[
            "pay",
            ready["address"].as_str().unwrap(),
            "--keypair",
            "localnet/payer.json",
            "--rpc",
            &chain.rpc_url,
        ])
        .await;

    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(paid.succeeds().stdout, "guarded");
    assert!(paid.stderr.starts_with("paid 0.001 "), "{paid:?}");
}
