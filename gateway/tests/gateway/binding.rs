//! Challenges that are good for one request body: on routes with `bind_body`, and wherever one is echoed.

use axum::body::Body;
use http::{Method, Request};
use toll_protocol::{BodyDigest, ChannelOffer};

use crate::opening::Opening;
use crate::proxy::{Proxied, Upstream, proxied_to};
use crate::world::{PRICE, Session, World, request};

fn post(path: &str, authorization: Option<&str>, body: &'static str) -> Request<Body> {
    request(Method::POST, path, authorization, body)
}

/// A session whose challenge was asked for with `body`.
async fn session_for(world: &World, body: &'static str) -> Session {
    let mut session = world.opened().await;
    session.challenge = world.send(post("/bound", None, body)).await.challenge();
    session
}

#[tokio::test]
async fn a_challenge_carries_the_digest_of_the_body_it_was_asked_with() {
    let world = World::new().await;
    let digest = async |path, body| world.send(post(path, None, body)).await.challenge().digest;
    let hello = "sha-256=:CFdtBA5fXO1HaQ8sdv75T9kcnF5ed8M5LhPNrKzrx/I=:";
    assert_eq!(digest("/bound", r#"{"q":"hello"}"#).await.as_deref(), Some(hello));
    assert_eq!(digest("/bound", "").await, None);
    assert_eq!(digest("/echo", "a body").await, None, "the route binds none");
}

#[tokio::test]
async fn a_credential_for_one_body_does_not_buy_another() {
    let world = World::new().await;
    let mut session = session_for(&world, "one").await;
    let voucher = session.voucher(PRICE);
    let other = post("/bound", Some(&voucher), "two");
    let answer = world.refuses(other, 402, "verification-failed", "body-mismatch").await;
    let none = post("/bound", Some(&voucher), "");
    world.refuses(none, 402, "verification-failed", "body-mismatch").await;

    let served = world.send(post("/bound", Some(&voucher), "one")).await;
    assert_eq!((served.text(), served.receipt().spent.get()), ("one", PRICE));

    // The refusal told how to go on: on this channel, for this body.
    let fresh = answer.challenge();
    assert_eq!(fresh.digest, Some(BodyDigest::of(b"two")));
    let offer = fresh.session_request().expect("well formed").method_details.channel;
    assert!(matches!(offer, ChannelOffer::Resume { channel_id, .. } if channel_id == session.id));
    session.challenge = fresh;
    let served = world.send(post("/bound", Some(&session.voucher(2 * PRICE)), "two")).await;
    assert_eq!((served.text(), served.receipt().spent.get()), ("two", 2 * PRICE));
}

#[tokio::test]
async fn a_challenge_that_was_asked_for_without_a_body_buys_none() {
    let world = World::new().await;
    let session = session_for(&world, "").await;
    let bought = post("/bound", Some(&session.voucher(PRICE)), "a body");
    world.refuses(bought, 402, "verification-failed", "body-mismatch").await;
    assert_eq!(
        world.send(post("/bound", Some(&session.voucher(PRICE)), "")).await.receipt().spent.get(),
        PRICE
    );
}

#[tokio::test]
async fn a_digest_holds_on_routes_that_bind_nothing() {
    let world = World::new().await;
    let session = session_for(&world, "one").await;
    let other = post("/echo", Some(&session.voucher(PRICE)), "two");
    world.refuses(other, 402, "verification-failed", "body-mismatch").await;
    assert_eq!(world.send(post("/echo", Some(&session.voucher(PRICE)), "one")).await.text(), "one");
}

#[tokio::test]
async fn what_buys_no_service_may_leave_the_body_out_and_not_change_it() {
    let world = World::new().await;
    let challenge = world.send(post("/bound", None, "one")).await.challenge();
    let open = Opening::answering(&challenge, 7, 1_000).authorization();
    let changed = post("/bound", Some(&open), "two");
    world.refuses(changed, 402, "verification-failed", "body-mismatch").await;
    world.send(post("/bound", Some(&open), "one")).await.receipt();

    let mut session = world.opened_with(8, 1_000).await;
    session.challenge = challenge;
    let ahead = request(Method::HEAD, "/bound", Some(&session.voucher(PRICE)), "");
    world.send(ahead).await.receipt();
    world.send(post("/bound", Some(&session.close(PRICE)), "")).await.receipt();
}

#[tokio::test]
async fn a_body_that_cannot_be_bound_is_refused_for_what_it_is() {
    let world = World::new().await;
    let long = "x".repeat(1_025).leak();
    world.refuses(post("/bound", None, long), 413, "about:blank", "body-too-large").await;
}

#[tokio::test]
async fn a_challenge_for_a_body_takes_no_memory_for_it() {
    let upstream = Upstream::default();
    let url = upstream.start().await;
    let (Proxied { world, .. }, _) = proxied_to(upstream, &url, |gateway| {
        gateway.request_body_limit = 10;
        gateway.transport.buffered_body_bytes = 10;
    })
    .await;
    // As many as would not fit together, all under way at once.
    let asked = futures::future::join_all((0..20).map(|_| world.send(post("/bound", None, "ten bytes."))));
    for answer in asked.await {
        assert_eq!(answer.challenge().digest, Some(BodyDigest::of(b"ten bytes.")));
    }
}
