//! This client pays charges of the server of @solana/mpp 0.6.0.

use serde_json::{Value, json};
use solana_keypair::Keypair;
use solana_signer::Signer;
use toll_client::{Intents, PaidCharge, Payer, Policy, Request};
use toll_protocol::{Amount, Network};
use toll_tests::World;
use toll_tests::world::{FUNDS, PRICE};

use crate::foreign::{Foreign, Serving};

async fn server(world: &World, change: Value) -> Option<Serving> {
    let node = Foreign::node()?;
    let mut config = json!({
        "rpc": world.chain.rpc_url(),
        "mint": world.fixture.mint.to_string(),
        "recipient": world.actors.payee.pubkey().to_string(),
        "price": PRICE.to_string(),
    });
    for (key, value) in change.as_object().expect("an object") {
        config[key] = value.clone();
    }
    Some(node.serve("charge_server.mjs", &[&config.to_string()]).await)
}

/// The world's payer, with limits of its own.
pub(crate) fn payer(world: &World, change: impl FnOnce(&mut Policy)) -> Payer {
    let mut policy =
        Policy { intents: Intents::Charge, max_amount: PRICE, ..Policy::new(Network::Localnet, Vec::new()) };
    change(&mut policy);
    Payer::new(world.actors.payer.insecure_clone(), policy, Some(world.cluster())).expect("an HTTP client")
}

/// Pays once, and asserts that the receipt names what landed, and that nothing is left on record.
pub(crate) async fn pay(world: &World, payer: &Payer, server: &Serving, served: u64) -> PaidCharge {
    let book = world.book();
    let reply = payer.pay(&book, &Request::get(server.url())).await.expect("the request is served");
    assert_eq!(reply.body, format!("{served}\n").as_bytes());
    assert!(reply.payment.is_none() && book.charges().is_empty() && book.channels().is_empty());
    let charge = reply.charge.expect("it was paid for");
    let receipt = charge.receipt.as_ref().expect("a receipt");
    world.cluster().confirm(&receipt.reference).await.expect("it landed");
    assert_eq!(charge.amount, PRICE);
    charge
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sponsored_charge_is_paid_without_any_sol() {
    let world = crate::world().await;
    let terms = json!({ "sponsor": world.folder().join("fee-payer.json"), "externalId": "order 7" });
    let Some(server) = server(&world, terms).await else { return };
    let payer = payer(&world, |_| {});

    for number in 1..=2 {
        let charge = pay(&world, &payer, &server, number).await;
        assert!(charge.sponsored && !charge.pushed);
        let paid = number * PRICE.get();
        assert_eq!(world.balances().await, (FUNDS.get() - paid, paid));
    }
    assert_eq!(world.cluster().lamports(&world.actors.payer.pubkey()).await.expect("the chain answers"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_with_splits_pays_each_its_share_and_makes_the_account_that_is_asked_for() {
    let world = crate::world().await;
    let (partner, newcomer) = (Keypair::new().pubkey(), Keypair::new().pubkey());
    world.fixture.mint_to(&partner, Amount::new(1)).await.expect("an account");
    let terms = json!({
        "sponsor": world.folder().join("fee-payer.json"),
        "splits": [
            { "recipient": partner.to_string(), "amount": "100", "memo": "a share" },
            { "recipient": newcomer.to_string(), "amount": "200", "ataCreationRequired": true },
        ],
    });
    let Some(server) = server(&world, terms).await else { return };

    pay(&world, &payer(&world, |_| {}), &server, 1).await;

    assert_eq!(world.balances().await, (FUNDS.get() - PRICE.get(), PRICE.get() - 300));
    for (owner, share) in [(partner, 101), (newcomer, 200)] {
        assert_eq!(world.fixture.tokens(&owner).await.expect("the chain answers").get(), share);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_with_sol_pays_its_fee_and_may_send_the_transfer_itself() {
    let world = crate::world().await;
    let Some(server) = server(&world, json!({})).await else { return };
    world.cluster().airdrop(&world.actors.payer.pubkey(), 1_000_000_000).await.expect("SOL");

    for (number, push) in [(1, false), (2, true)] {
        let payer = payer(&world, |policy| (policy.pay_fees, policy.push) = (true, push));
        let charge = pay(&world, &payer, &server, number).await;
        assert_eq!((charge.sponsored, charge.pushed), (false, push));
        let paid = number * PRICE.get();
        assert_eq!(world.balances().await, (FUNDS.get() - paid, paid));
    }
}
