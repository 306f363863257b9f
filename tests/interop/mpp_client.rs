//! The charge clients of @solana/mpp 0.6.0 and solana-pay-kit 0.10.0 buy from this gateway.

use serde_json::Value;
use solana_signature::Signature;
use solana_signer::Signer;
use toll_cli::server::Role;
use toll_tests::World;
use toll_tests::world::{FUNDS, PRICE};

use crate::foreign::Foreign;
use crate::shop::{shop, url};

/// A shop that takes transfers beside sessions, and pays their fees or does not.
async fn shop_that_charges(sponsored: bool) -> World {
    let mut world = shop().await;
    world.stop_server().await;
    world.config.charge.enabled = true;
    world.config.charge.sponsored = sponsored;
    world.start_server(Role::Both).await;
    if !sponsored {
        world.cluster().airdrop(&world.actors.payer.pubkey(), 1_000_000_000).await.expect("SOL");
    }
    world
}

/// Runs a client once, and asserts that the world's payer paid for what it got.
async fn buys(world: &World, client: &Foreign, script: &str, way: &str) -> Value {
    let keypair = world.folder().join("payer.json");
    let keypair = keypair.to_str().expect("a path of text");
    let before = world.balances().await;
    let served = world.upstream.served();

    let arguments = [keypair, &url(world, "/count"), world.chain.rpc_url(), way];
    let report = client.run(script, &arguments).await;

    assert_eq!(report["status"], 200, "{report:#}");
    assert_eq!(report["body"], format!("{}\n", served + 1));
    assert_eq!(report["receipt"]["status"], "success");
    let reference: Signature =
        report["receipt"]["reference"].as_str().expect("a reference").parse().expect("a signature");
    world.cluster().confirm(&reference).await.expect("it landed");
    assert_eq!(world.balances().await, (before.0 - PRICE.get(), before.1 + PRICE.get()));
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_pays_a_sponsored_charge_without_any_sol() {
    let Some(node) = Foreign::node() else { return };
    let world = shop_that_charges(true).await;

    let report = buys(&world, &node, "charge_client.mjs", "pull").await;

    assert!(!report["steps"].to_string().contains("confirming"), "{report}");
    let lamports = world.cluster().lamports(&world.actors.payer.pubkey()).await;
    assert_eq!(lamports.expect("the chain answers"), 0);
    let again = buys(&world, &node, "charge_client.mjs", "pull").await;
    assert_ne!(again["receipt"]["reference"], report["receipt"]["reference"]);
    assert_eq!(world.balances().await.0, FUNDS.get() - 2 * PRICE.get());
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_pays_its_own_fee_and_pushes_what_it_pays() {
    let Some(node) = Foreign::node() else { return };
    let world = shop_that_charges(false).await;

    buys(&world, &node, "charge_client.mjs", "pull").await;
    let report = buys(&world, &node, "charge_client.mjs", "push").await;

    assert!(report["steps"].to_string().contains("confirming"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pay_kits_client_pays_a_charge_whoever_pays_its_fee() {
    let Some(python) = Foreign::python() else { return };
    for sponsored in [true, false] {
        let world = shop_that_charges(sponsored).await;
        buys(&world, &python, "charge_client.py", "pull").await;
    }
}
