//! This client buys from the servers of solana-pay-kit 0.10.0.

use serde_json::{Value, json};
use solana_signer::Signer;
use toll_client::{Payer, Policy, Request};
use toll_protocol::{Network, PROGRAM_ID, TREASURY_OWNER};
use toll_tests::World;
use toll_tests::world::{FUNDS, PRICE};

use crate::foreign::{Foreign, Serving};
use crate::mpp_server::{pay, payer};
use crate::shop::is_paid_out;

/// Their server on the world's chain, as `change` of the configuration says.
async fn server(world: &World, kind: &str, change: Value) -> Option<Serving> {
    let python = Foreign::python()?;
    world.cluster().airdrop(&world.actors.payee.pubkey(), 1_000_000_000).await.expect("SOL");
    let mut config = json!({
        "rpc": world.chain.rpc_url(),
        "mint": world.fixture.mint.to_string(),
        "program": PROGRAM_ID.to_string(),
        "treasury": TREASURY_OWNER.to_string(),
        "payee": world.folder().join("payee.json"),
    });
    for (key, value) in change.as_object().expect("an object") {
        config[key] = value.clone();
    }
    Some(python.serve("server.py", &[kind, &config.to_string()]).await)
}

/// Pays for three requests to `server`, and closes.
async fn session(world: &World, server: &Serving) {
    let operators = vec![world.actors.payee.pubkey()];
    let policy = Policy { operators, max_amount: PRICE, ..Policy::new(Network::Localnet, vec![PROGRAM_ID]) };
    let payer = Payer::new(world.actors.payer.insecure_clone(), policy, Some(world.cluster()))
        .expect("an HTTP client");
    let book = world.book();
    for number in 1..=3 {
        let reply = payer.pay(&book, &Request::get(server.url())).await.expect("the request is served");
        let payment = reply.payment.expect("a receipt");
        assert_eq!(reply.body, format!("{}\n", number + 1).as_bytes(), "the open was its first");
        assert_eq!((payment.charged, payment.opened), (PRICE, number == 1));
        assert_eq!(payment.receipt.spent.get(), number * PRICE.get());
    }
    let channel = book.channels()[0].channel_id;

    let receipt = payer.close(&book, &channel).await.expect("the close is answered");

    assert_eq!(receipt.spent.get(), 3 * PRICE.get());
    is_paid_out(world, &channel, 3 * PRICE.get()).await;
    assert_eq!(world.fixture.tokens(&TREASURY_OWNER).await.expect("the chain answers").get(), 0);
    assert_eq!(FUNDS.get(), world.balances().await.0 + world.balances().await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_vouchers_are_worth_their_price_to_their_server() {
    let world = crate::world().await;
    let terms = json!({ "price": PRICE.to_string(), "voucherSigner": "client" });
    let Some(server) = server(&world, "session", terms).await else { return };
    session(&world, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn their_operator_signs_for_a_payer_that_lists_it() {
    let world = crate::world().await;
    let terms = json!({ "price": PRICE.to_string(), "voucherSigner": "operator" });
    let Some(server) = server(&world, "session", terms).await else { return };
    session(&world, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn their_charge_server_sponsors_and_sends_our_transfer() {
    let world = crate::world().await;
    let terms = json!({ "price": "0.001", "externalId": "order 7" });
    let Some(server) = server(&world, "charge", terms).await else { return };

    let charge = pay(&world, &payer(&world, |_| {}), &server, 1).await;

    assert!(charge.sponsored && !charge.pushed);
    assert_eq!(world.balances().await, (FUNDS.get() - PRICE.get(), PRICE.get()));
    assert_eq!(world.cluster().lamports(&world.actors.payer.pubkey()).await.expect("the chain answers"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn their_charge_server_takes_the_signature_of_what_we_sent() {
    let world = crate::world().await;
    let terms = json!({ "price": "0.001", "push": true });
    let Some(server) = server(&world, "charge", terms).await else { return };
    world.cluster().airdrop(&world.actors.payer.pubkey(), 1_000_000_000).await.expect("SOL");

    let payer = payer(&world, |policy| (policy.pay_fees, policy.push) = (true, true));
    let charge = pay(&world, &payer, &server, 1).await;

    assert!(charge.pushed && !charge.sponsored);
    assert_eq!(world.balances().await, (FUNDS.get() - PRICE.get(), PRICE.get()));
}
