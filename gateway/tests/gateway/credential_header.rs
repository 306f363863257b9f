//! Credentials in `Payment-Authorization`, where a route asks for them there.

use axum::body::Body;
use http::header::{AUTHORIZATION, HeaderName};
use http::{Method, Request};
use serde_json::json;
use toll_protocol::{Action, CredentialField, VoucherAction};

use crate::opening::Opening;
use crate::world::{DEPOSIT, PRICE, Session, World, payer_key, request};

const FIELD: HeaderName = HeaderName::from_static("payment-authorization");
const KEY: &str = "Bearer of-an-api-key";

/// A request to the keyed route with `credential` in its field, and the caller's own key beside it.
fn keyed(kind: &str, credential: &str) -> Request<Body> {
    let mut request = request(Method::GET, &format!("/keyed/{kind}"), Some(KEY), "");
    request.headers_mut().insert(FIELD, credential.parse().expect("a value"));
    request
}

async fn opened(world: &World) -> Session {
    let challenge = world.challenge("/keyed/any").await;
    let opening = Opening::answering(&challenge, 7, DEPOSIT);
    let id = opening.action.channel_id;
    world.send(keyed("any", &opening.authorization())).await.receipt();
    Session { id, challenge, key: payer_key() }
}

#[tokio::test]
async fn only_routes_that_want_it_select_the_other_field() {
    let world = World::new().await;
    let answer = world.send(request(Method::GET, "/keyed/any", None, "")).await;
    assert!(answer.header("www-authenticate").expect("it").ends_with(", header=\"Payment-Authorization\""));
    assert_eq!(answer.challenge().field, CredentialField::PaymentAuthorization);
    let answer = world.send(request(Method::GET, "/paid", None, "")).await;
    assert!(!answer.header("www-authenticate").expect("it").contains("header="));
}

#[tokio::test]
async fn a_session_is_paid_beside_an_api_key_that_reaches_the_service() {
    let world = World::new().await;
    let session = opened(&world).await;

    let answer = world.send(keyed("any", &session.voucher(PRICE))).await;

    assert_eq!(answer.receipt().spent.get(), PRICE);
    let (headers, paid) = world.served.last();
    assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), [KEY]);
    assert_eq!(headers.get(FIELD), None);
    assert_eq!(paid.expect("evidence").channel, session.id);
    let answer = world.send(keyed("any", &session.close(PRICE))).await;
    assert_eq!(answer.receipt().spent.get(), PRICE);
}

#[tokio::test]
async fn a_credential_outside_its_field_satisfies_nothing() {
    let world = World::new().await;
    let (session, plain) = (opened(&world).await, world.opened_with(8, DEPOSIT).await);

    for misplaced in [
        request(Method::GET, "/keyed/any", Some(&session.voucher(PRICE)), ""),
        request(Method::GET, "/paid", Some(&session.voucher(PRICE)), ""),
        keyed("any", &plain.voucher(PRICE)),
    ] {
        let answer = world.refuses(misplaced, 402, "malformed-credential", "malformed").await;
        assert!(answer.text().contains("and nowhere else"), "{}", answer.text());
    }
    let challenge = world.challenge("/keyed/any").await;
    let opening = Opening::answering(&challenge, 9, DEPOSIT).authorization();
    let misplaced = request(Method::GET, "/keyed/any", Some(&opening), "");
    world.refuses(misplaced, 402, "malformed-credential", "malformed").await;
}

#[tokio::test]
async fn credentials_in_both_fields_are_one_too_many() {
    let world = World::new().await;
    let session = opened(&world).await;
    let both = |first: &str, second: &str| {
        let mut request = keyed("any", first);
        request.headers_mut().insert(AUTHORIZATION, second.parse().expect("a value"));
        request
    };
    let voucher = session.voucher(PRICE);
    world.refuses(both(&voucher, &voucher), 400, "bad-request", "several-credentials").await;
    world.refuses(both(&voucher, "Payment x"), 400, "bad-request", "several-credentials").await;
    let mut twice = keyed("any", &voucher);
    twice.headers_mut().append(FIELD, voucher.parse().expect("a value"));
    world.refuses(twice, 400, "bad-request", "several-credentials").await;
}

#[tokio::test]
async fn an_echo_that_says_another_field_is_of_no_challenge_of_ours() {
    let world = World::new().await;
    let (session, plain) = (opened(&world).await, world.opened_with(8, DEPOSIT).await);
    let action = |session: &Session| {
        Action::Voucher(VoucherAction { channel_id: session.id, voucher: session.signed(PRICE) })
    };
    let dropped = session.bent(action(&session), |json| {
        json["challenge"].as_object_mut().expect("an object").remove("header").expect("it was there");
    });
    let request = request(Method::GET, "/keyed/any", Some(&dropped), "");
    world.refuses(request, 402, "invalid-challenge", "challenge").await;
    let added = plain.bent(action(&plain), |json| {
        json["challenge"]["header"] = json!(CredentialField::PaymentAuthorization.name())
    });
    world.refuses(keyed("any", &added), 402, "invalid-challenge", "challenge").await;
    let other = session.bent(action(&session), |json| json["challenge"]["header"] = json!("X-Payment"));
    world.refuses(keyed("any", &other), 402, "malformed-credential", "malformed").await;
}

#[tokio::test]
async fn the_field_holds_payment_credentials_only() {
    let world = World::new().await;
    for value in ["Bearer abc", "", "Payment"] {
        world.refuses(keyed("any", value), 402, "malformed-credential", "malformed").await;
    }
    world
        .refuses(
            request(Method::GET, "/keyed/any", Some(KEY), ""),
            402,
            "payment-required",
            "payment-required",
        )
        .await;
}

#[tokio::test]
async fn a_channel_of_a_keyed_route_pays_on_every_route_of_its_terms() {
    let world = World::new().await;
    let session = opened(&world).await;
    let mut request = request(Method::GET, "/paid", None, "");
    request.headers_mut().insert(FIELD, session.voucher(PRICE).parse().expect("a value"));
    assert_eq!(world.send(request).await.receipt().spent.get(), PRICE);
}

#[tokio::test]
async fn no_answer_to_a_credential_beside_authorization_may_be_shared() {
    let world = World::new().await;
    let session = opened(&world).await;
    let mut cumulative = 0;
    for kind in ["any", "forged", "down", "missing", "large", "stream"] {
        cumulative += PRICE;
        let answer = world.send(keyed(kind, &session.voucher(cumulative))).await;
        let cache = answer.header("cache-control").unwrap_or_default();
        assert!(cache.contains("private") || cache.contains("no-store"), "{kind}: {cache:?}");
        assert!(!cache.contains("public"), "{kind}: {cache:?}");
    }
    let mut unknown = request(Method::GET, "/nowhere", None, "");
    unknown.headers_mut().insert(FIELD, "Payment x".parse().expect("a value"));
    assert_eq!(world.send(unknown).await.header("cache-control"), Some("no-store"));
}
