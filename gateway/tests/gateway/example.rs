//! The example of a guarded service, on a port of its own over a real ledger; the stand-in for the settler lands what
//! it records.

use toll_gateway::Config;
use toll_protocol::{Amount, parse_receipt, parse_www_authenticate};

use crate::opening::Opening;
use crate::world::{PAYER, Session, World, config_text, payer_key};

#[allow(dead_code, unreachable_pub, reason = "it is a program, and its `main` is for people")]
#[path = "../../examples/guarded.rs"]
mod guarded;

/// Asserted over HTTP: the free page is free, the guarded one is 402 with a challenge of its price; a channel opened
/// by that challenge pays, and the handler knows who paid.
#[tokio::test]
async fn the_example_of_a_guarded_service_is_paid() {
    let world = World::new().await;
    let config = Config::parse(&config_text()).expect("the test configuration");
    let service = guarded::service(&config, world.ledger.clone()).expect("a service");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let client = reqwest::Client::new();
    let get = |path: &str, credential: Option<String>| {
        let request = client.get(format!("http://{address}{path}"));
        credential.into_iter().fold(request, |request, value| request.header("authorization", value)).send()
    };

    assert_eq!(get("/", None).await.expect("an answer").status(), 200);

    let unpaid = get("/greeting", None).await.expect("an answer");
    assert_eq!(unpaid.status(), 402);
    let header = unpaid.headers()["www-authenticate"].to_str().expect("ASCII");
    let challenge = parse_www_authenticate(header).expect("well formed").payment.remove(0);
    assert_eq!(challenge.session_request().expect("a request").amount, Amount::new(1_000));

    let opening = Opening::answering(&challenge, 7, 5_000);
    let session = Session { id: opening.action.channel_id, challenge, key: payer_key() };
    assert_eq!(get("/greeting", Some(opening.authorization())).await.expect("an answer").status(), 200);

    let paid = get("/greeting", Some(session.voucher(1_000))).await.expect("an answer");
    let receipt = parse_receipt(paid.headers()["payment-receipt"].as_bytes()).expect("well formed");
    assert_eq!(receipt.spent, Amount::new(1_000));
    assert_eq!(paid.text().await.expect("text"), format!("hello, {}", PAYER.pubkey()));
    server.abort();
}
