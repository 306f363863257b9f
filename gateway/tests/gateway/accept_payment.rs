//! `Accept-Payment`: what a client wishes of a 402.

use http::{Method, StatusCode};
use toll_protocol::parse_www_authenticate;

use crate::world::{World, config_text, request};

/// The intents that an unpaid request is offered, in order.
async fn offered(world: &World, wishes: &[&str]) -> Vec<String> {
    let mut request = request(Method::GET, "/paid", None, "");
    for wish in wishes {
        request.headers_mut().append("accept-payment", wish.parse().expect("a value"));
    }
    let answer = world.send(request).await;
    assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED);
    let lines = answer.headers.get_all("www-authenticate").iter();
    let challenges =
        lines.flat_map(|line| parse_www_authenticate(line.as_bytes()).expect("well formed").payment);
    challenges.map(|challenge| challenge.intent).collect()
}

async fn selling_both() -> World {
    World::configured(&format!("{}\n[charge]\nenabled = true\n", config_text())).await
}

#[tokio::test]
async fn without_a_preference_everything_is_offered() {
    let world = selling_both().await;
    assert_eq!(offered(&world, &[]).await, ["session", "charge"]);
}

#[tokio::test]
async fn what_is_offered_is_filtered_and_ordered_by_preference() {
    let world = selling_both().await;
    for (wishes, expected) in [
        (&["solana/charge"][..], &["charge"][..]),
        (&["solana/session;q=0.4, solana/charge"], &["charge", "session"]),
        (&["solana/session;q=0.4", "solana/charge"], &["charge", "session"]),
        (&["solana/*, solana/session;q=0"], &["charge"]),
        (&["tempo/charge, */session;q=0.1"], &["session"]),
    ] {
        assert_eq!(offered(&world, wishes).await, expected, "{wishes:?}");
    }
}

#[tokio::test]
async fn a_wish_that_cannot_be_met_or_read_is_passed_over() {
    let world = selling_both().await;
    for wish in ["tempo/charge", "*/*;q=0", "solana/charge;q=7", "charge"] {
        assert_eq!(offered(&world, &[wish]).await, ["session", "charge"], "{wish:?}");
    }
    let sessions_only = World::new().await;
    assert_eq!(offered(&sessions_only, &["solana/charge"]).await, ["session"]);
}
