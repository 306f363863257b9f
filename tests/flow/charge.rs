//! Charges on a real chain: what the payer does when the server does not answer, and the chain knows more.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request as Asked;
use axum::response::{IntoResponse, Response};
use solana_keypair::Keypair;
use solana_signer::Signer;
use toll_chain::{Chain, Cluster};
use toll_client::{Intents, PayError, Payer, Policy, Request};
use toll_protocol::{
    Challenge, ChallengeSecret, ChargeDetails, ChargePayload, ChargeRequest, Network, Offer,
    PaymentCredential, Realm, decode_transaction, encode_transaction, format_www_authenticate, parse_payment,
};
use toll_tests::World;
use toll_tests::world::{AtShutdown, FUNDS, PRICE};

/// A server that asks for [`PRICE`] and never answers whoever paid; what it was shown. With `sponsor` it pays the fee, and
/// sends what it is shown all the same.
async fn silent(world: &World, sponsor: Option<&Keypair>) -> (Request, Arc<Mutex<Vec<String>>>) {
    let request = ChargeRequest {
        amount: PRICE,
        currency: world.fixture.mint,
        recipient: world.actors.payee.pubkey(),
        description: None,
        external_id: Some("order 7".into()),
        method_details: ChargeDetails {
            network: Network::Localnet,
            decimals: 6,
            token_program: None,
            fee_payer_key: sponsor.map(Keypair::pubkey),
            splits: Vec::new(),
            recent_blockhash: None,
        },
    };
    let secret = ChallengeSecret::new([7; 32].to_vec()).expect("long enough");
    let (realm, opaque) = (Realm::new("localhost").expect("a realm"), Default::default());
    let offer = Offer { realm: &realm, request: &request, expires_at: 4_000_000_000, opaque: &opaque };
    let challenge = Challenge::issue(&secret, offer).expect("a challenge");
    let value = format_www_authenticate(&challenge).expect("a header");
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let (sponsor, cluster) = (sponsor.map(Keypair::insecure_clone).map(Arc::new), Arc::new(world.cluster()));
    let answer = move |asked: Asked| {
        let credential = asked.headers().get("authorization").cloned();
        let text = credential.map(|value| value.to_str().expect("a text").to_owned());
        seen.lock().expect("nobody panicked").extend(text.clone());
        let (sponsor, cluster, value) = (sponsor.clone(), Arc::clone(&cluster), value.clone());
        async move {
            if let (Some(text), Some(sponsor)) = (text, sponsor) {
                send(&text, &sponsor, &cluster).await;
            }
            let response: Response = (http_402(), [("www-authenticate", value)]).into_response();
            response
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (Request::get(format!("http://{address}/report").parse().expect("a URL")), shown)
}

/// Signs a transaction as its sponsor, and sends it, unless it was sent before.
async fn send(credential: &str, sponsor: &Keypair, cluster: &Cluster) {
    let Some(Ok(PaymentCredential::Charge(credential))) = parse_payment(credential) else {
        panic!("{credential}")
    };
    let ChargePayload::Transaction(bytes) = credential.payload else { panic!("{credential:?}") };
    let mut transaction = decode_transaction(&bytes).expect("a transaction");
    transaction.signatures[0] = sponsor.sign_message(&transaction.message.serialize());
    let signature = transaction.signatures[0];
    cluster.chain().submit(&encode_transaction(&transaction)).await.expect("a node takes it");
    cluster.confirm(&signature).await.expect("it lands");
}

fn http_402() -> axum::http::StatusCode {
    axum::http::StatusCode::PAYMENT_REQUIRED
}

/// Waits until nothing that was signed with `blockhash` can land: 150 blocks, of 50 ms.
async fn is_dead(world: &World, blockhash: &str) {
    let blockhash = blockhash.parse().expect("a blockhash");
    for _ in 0..600 {
        if !world.cluster().chain().is_blockhash_valid(&blockhash).await.expect("the chain answers") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the blockhash lives on after a minute");
}

async fn payer(world: &World, push: bool) -> Payer {
    world.cluster().airdrop(&world.actors.payer.pubkey(), 1_000_000_000).await.expect("SOL");
    let policy = Policy {
        intents: Intents::Charge,
        pay_fees: true,
        push,
        ..Policy::new(Network::Localnet, Vec::new())
    };
    Payer::new(world.actors.payer.insecure_clone(), policy, Some(world.cluster())).expect("an HTTP client")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_landed_and_is_not_answered_is_not_paid_again() {
    let world = crate::world(AtShutdown::LeaveOpen).await;
    let (request, shown) = silent(&world, None).await;
    let (payer, book) = (payer(&world, true).await, world.book());

    for _ in 0..3 {
        let refused = payer.pay(&book, &request).await;
        assert!(matches!(refused, Err(PayError::Charged { .. })), "{refused:?}");
    }

    assert_eq!(world.balances().await, (FUNDS.get() - PRICE.get(), PRICE.get()));
    let shown = shown.lock().expect("nobody panicked");
    assert!(shown.len() == 3 && shown.iter().all(|credential| *credential == shown[0]), "{shown:?}");
    assert_eq!(book.charges().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_charge_is_signed_only_when_the_first_can_never_land() {
    let world = crate::world(AtShutdown::LeaveOpen).await;
    let (request, shown) = silent(&world, None).await;
    let (payer, book) = (payer(&world, false).await, world.book());

    for _ in 0..2 {
        let refused = payer.pay(&book, &request).await;
        assert!(matches!(refused, Err(PayError::Refused { status: 402, .. })), "{refused:?}");
    }
    let first = shown.lock().expect("nobody panicked").clone();
    assert!(first.len() == 2 && first[0] == first[1], "its blockhash is alive: {first:?}");

    is_dead(&world, &book.charges()[0].blockhash).await;
    let refused = payer.pay(&book, &request).await;

    assert!(matches!(refused, Err(PayError::Refused { status: 402, .. })), "{refused:?}");
    let shown = shown.lock().expect("nobody panicked").clone();
    assert_eq!(shown.len(), 4, "the old one, and another: {shown:?}");
    assert!(shown[2] == first[0] && shown[3] != first[0], "{shown:?}");
    assert_eq!((book.charges().len(), world.balances().await), (1, (FUNDS.get(), 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_its_sponsor_sent_is_found_by_the_payers_signature() {
    let world = crate::world(AtShutdown::LeaveOpen).await;
    let (request, shown) = silent(&world, Some(&world.actors.fee_payer)).await;
    let (payer, book) = (payer(&world, false).await, world.book());

    let refused = payer.pay(&book, &request).await;

    let Err(PayError::Charged { signature }) = refused else { panic!("{refused:?}") };
    world.cluster().confirm(&signature).await.expect("it landed");
    assert_ne!(signature.to_string(), book.charges()[0].signature, "the sponsor signs first");
    assert_eq!(world.balances().await, (FUNDS.get() - PRICE.get(), PRICE.get()));
    assert_eq!(shown.lock().expect("nobody panicked").len(), 1);
}
