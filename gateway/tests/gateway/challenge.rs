//! What a 402 offers, and which echoes of it are recognized.

use http::Method;
use serde_json::{Value, json};
use toll_gateway::Terms;
use toll_protocol::{
    Action, Amount, ChannelOffer, Standing, VoucherAction, base64url_decode, base64url_encode, canonical_json,
};

use crate::opening::Opening;
use crate::world::{DEPOSIT, PAYEE, PRICE, SLOT, SPONSOR, START, STRANGER, World, mint, request};

fn decoded(request: &str) -> Value {
    serde_json::from_slice(&base64url_decode(request).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn an_unpaid_request_gets_the_terms_of_a_new_channel() {
    let world = World::new().await;
    let answer =
        world.refuses(request(Method::GET, "/paid", None, ""), 402, "payment-required", "payment-required");
    let challenge = answer.await.challenge();
    let blockhash = solana_hash::Hash::new_from_array([SLOT as u8; 32]).to_string();
    let expected = json!({
        "amount": "16",
        "currency": mint().to_string(),
        "methodDetails": {
            "channelProgram": toll_protocol::PROGRAM_ID.to_string(),
            "decimals": 6,
            "feePayer": true,
            "feePayerKey": SPONSOR.pubkey().to_string(),
            "gracePeriodSeconds": 900,
            "idleTimeoutOptionsSeconds": [30, 600, 86400],
            "network": "localnet",
            "recentBlockhash": blockhash,
            "recentSlot": "10000",
            "tokenProgram": toll_protocol::TOKEN_PROGRAM.to_string(),
            "voucherSigner": "client",
        },
        "minimumDeposit": "100",
        "recipient": PAYEE.pubkey().to_string(),
        "suggestedDeposit": "1000",
        "unitType": "request",
    });
    // Canonical, or clients that serialize it again echo something else.
    assert_eq!(challenge.request, base64url_encode(canonical_json(&expected).expect("JSON")));
    assert_eq!(
        (challenge.realm.as_str(), challenge.method.as_str(), challenge.intent.as_str()),
        ("api.example.com", "solana", "session")
    );
    assert_eq!(challenge.digest, None);
    assert_eq!(challenge.opaque_members().expect("opaque")["op"], "GET /paid");
}

#[tokio::test]
async fn equal_offers_have_different_ids() {
    let world = World::new().await;
    assert_ne!(world.challenge("/paid").await.id, world.challenge("/paid").await.id);
}

#[tokio::test]
async fn a_stale_tip_leaves_nothing_to_challenge_with() {
    let world = World::new().await;
    // As long as vouchers are taken without a look at the chain, and no longer.
    world.clock.advance(331);
    let answer = world.send(request(Method::GET, "/paid", None, "")).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["code"], "unavailable");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("www-authenticate"), None);
}

#[tokio::test]
async fn splits_are_quoted() {
    let recipient = crate::world::STRANGER.pubkey();
    let world = World::with(|terms: &mut Terms| {
        let split = toll_protocol::Split { recipient, share_bps: 250 };
        terms.splits = toll_protocol::Splits::new(vec![split]).expect("splits");
    })
    .await;
    let request = decoded(&world.challenge("/paid").await.request);
    let expected = json!([{ "recipient": recipient.to_string(), "shareBps": 250 }]);
    assert_eq!(request["methodDetails"]["distributionSplits"], expected);
}

#[tokio::test]
async fn a_minimum_increment_is_quoted() {
    let world = World::with(|terms| terms.min_voucher_delta = toll_protocol::Amount::new(5)).await;
    let request = decoded(&world.challenge("/paid").await.request);
    assert_eq!(request["methodDetails"]["minVoucherDelta"], "5");
}

#[tokio::test]
async fn only_the_holder_of_the_key_is_offered_to_resume() {
    let world = World::new().await;
    let session = world.opened().await;
    // A forged voucher, signed by somebody else.
    let mut forged = session.signed(PRICE);
    forged.signature = solana_signature::Signature::from([8; 64]);
    let answer = world.refuses_402(&session.with_voucher(forged), "verification-failed", "signature").await;
    assert!(matches!(
        answer.challenge().session_request().expect("request").method_details.channel,
        ChannelOffer::New { .. }
    ));
    // An authentic one that does not pay.
    let answer = world.refuses_402(&session.voucher(1), "verification-failed", "insufficient").await;
    let details = answer.challenge().session_request().expect("request").method_details;
    let amount = Amount::new;
    let standing = Standing { deposit: amount(DEPOSIT), settled: amount(0), accepted: amount(0) };
    assert_eq!(
        details.channel,
        ChannelOffer::Resume { channel_id: session.id, idle_timeout: 600, standing: Some(standing) }
    );
}

#[tokio::test]
async fn the_resume_challenge_pays_like_the_opening_one() {
    let world = World::new().await;
    let mut session = world.opened().await;
    session.challenge =
        world.refuses_402(&session.voucher(1), "verification-failed", "insufficient").await.challenge();
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.receipt().spent.get(), PRICE);
}

#[tokio::test]
async fn a_resume_challenge_opens_nothing() {
    let world = World::new().await;
    let session = world.opened().await;
    let resume =
        world.refuses_402(&session.voucher(1), "verification-failed", "insufficient").await.challenge();
    let mut opening = Opening::answering(&session.challenge, 8, 1_000);
    opening.challenge = resume;
    world.refuses_402(&opening.authorization(), "invalid-challenge", "challenge").await;
}

#[tokio::test]
async fn a_resume_challenge_is_for_its_own_channel() {
    let world = World::new().await;
    let session = world.opened().await;
    let mut other = world.opened_with(8, 1_000).await;
    other.challenge =
        world.refuses_402(&session.voucher(1), "verification-failed", "insufficient").await.challenge();
    world.refuses_402(&other.voucher(PRICE), "verification-failed", "channel-mismatch").await;
}

#[tokio::test]
async fn vouchers_outlive_the_challenge_they_echo() {
    let world = World::new().await;
    let session = world.opened().await;
    world.pass(301).await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.status, 200);
}

#[tokio::test]
async fn a_challenge_under_the_previous_secret_is_recognized() {
    let world = World::new().await;
    let session = world.opened().await;
    let rotated =
        toll_protocol::ChallengeSecret::new(vec![8; 32]).expect("secret").with_previous(vec![7; 32]);
    let gateway =
        toll_gateway::Gateway::new(world.ledger.clone(), crate::world::terms(), rotated.expect("secret"));
    let price = toll_gateway::FixedPrice::new(toll_protocol::Amount::new(PRICE));
    let layer = toll_gateway::PaymentLayer::new(gateway.into(), std::sync::Arc::new(price));
    let router = axum::Router::new().route("/paid", axum::routing::get(|| async { "ok" })).layer(layer);
    let paid = request(Method::GET, "/paid", Some(&session.voucher(PRICE)), "");
    assert_eq!(tower::ServiceExt::oneshot(router, paid).await.expect("infallible").status(), 200);
}

#[tokio::test]
async fn a_challenge_to_pay_somebody_else_or_in_another_token_buys_nothing() {
    let world = World::new().await;
    let mut session = world.opened().await;
    for change in
        [(|terms| terms.payee = STRANGER.pubkey()) as fn(&mut Terms), |terms| terms.mint = STRANGER.pubkey()]
    {
        // Both know the secret: the challenge is authentic, and its price and path are those asked.
        let mut terms = crate::world::terms();
        change(&mut terms);
        let other = World::over(world.ledger.clone(), world.clock.clone(), terms);
        session.challenge = other.challenge("/paid").await;
        world.refuses_402(&session.voucher(PRICE), "invalid-challenge", "challenge").await;
    }
    session.challenge = world.challenge("/paid").await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.status, 200);
}

/// Echoes the opening challenge with one member bent.
async fn tampered(member: &'static str, value: Value, status: u16, kind: &str, code: &str) {
    let world = World::new().await;
    let session = world.opened().await;
    let action = Action::Voucher(VoucherAction { channel_id: session.id, voucher: session.signed(PRICE) });
    let bend = move |echo: &mut Value| match value {
        Value::Null => drop(echo.as_object_mut().expect("object").remove(member)),
        value => echo[member] = value,
    };
    let credential = session.bent(action, |json| bend.clone()(&mut json["challenge"]));
    world.refuses(request(Method::GET, "/paid", Some(&credential), ""), status, kind, code).await;
    // The same with an open.
    let mut opening = Opening::answering(&world.challenge("/paid").await, 9, 1_000);
    opening.bend_echo(bend);
    let open = opening.authorization();
    world.refuses(request(Method::GET, "/paid", Some(&open), ""), status, kind, code).await;
}

macro_rules! tampered {
    ($($name:ident: $member:literal = $value:expr, $status:literal $kind:literal $code:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            tampered($member, $value, $status, $kind, $code).await;
        }
    )*};
}

tampered! {
    an_unknown_id_rejects: "id" = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 402 "invalid-challenge" "challenge";
    a_tampered_realm_rejects: "realm" = json!("evil.example.com"), 402 "invalid-challenge" "challenge";
    a_tampered_method_rejects: "method" = json!("tempo"), 400 "method-unsupported" "method-unsupported";
    a_tampered_intent_rejects: "intent" = json!("subscription"), 402 "invalid-challenge" "challenge";
    an_intent_that_its_payload_is_not_of_rejects: "intent" = json!("charge"), 402 "malformed-credential" "malformed";
    a_tampered_request_rejects: "request" = json!(base64url_encode(br#"{"amount":"1"}"#)), 402 "invalid-challenge" "challenge";
    a_tampered_expiry_rejects: "expires" = json!("2036-01-01T00:00:00Z"), 402 "invalid-challenge" "challenge";
    an_added_digest_rejects: "digest" = json!("sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"), 402 "invalid-challenge" "challenge";
    a_tampered_opaque_rejects: "opaque" = json!(base64url_encode(br#"{"n":"x","op":"GET /paid"}"#)), 402 "invalid-challenge" "challenge";
    a_dropped_expiry_rejects: "expires" = Value::Null, 402 "invalid-challenge" "challenge";
}

#[tokio::test]
async fn an_expired_challenge_opens_nothing() {
    let world = World::new().await;
    let challenge = world.challenge("/paid").await;
    world.clock.advance(299);
    world.publish_tip(SLOT + 1).await;
    assert_eq!(
        world.get("/paid", &Opening::answering(&challenge, 1, 1_000).authorization()).await.status,
        200
    );
    let challenge = world.challenge("/paid").await;
    world.clock.set(START + 599);
    world.publish_tip(SLOT + 2).await;
    let late = Opening::answering(&challenge, 2, 1_000).authorization();
    world.refuses_402(&late, "payment-expired", "challenge-expired").await;
}

#[tokio::test]
async fn a_secret_that_was_changed_recognizes_its_challenges_until_they_have_expired() {
    let world = World::new().await;
    let session = world.opened().await;
    let unanswered = world.challenge("/paid").await;
    let secret = |byte| toll_protocol::ChallengeSecret::new(vec![byte; 32]).expect("32 bytes");

    assert!(!world.gateway.rotate_secret(secret(7)), "it is the one in use");
    assert!(world.gateway.rotate_secret(secret(8)));

    let fresh = world.challenge("/paid").await;
    assert!(fresh.is_authentic(&secret(8)) && !fresh.is_authentic(&secret(7)));
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.status, 200);
    world.get("/paid", &Opening::answering(&unanswered, 8, DEPOSIT).authorization()).await.receipt();
    world.pass(299).await;
    assert_eq!(world.get("/paid", &session.voucher(2 * PRICE)).await.status, 200);
    world.pass(1).await;
    let refused = world.get("/paid", &session.voucher(3 * PRICE)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["code"].as_str()), (402, Some("challenge")));
    // The session goes on with what it is offered.
    let session = crate::world::Session { challenge: refused.challenge(), ..session };
    assert_eq!(world.get("/paid", &session.voucher(3 * PRICE)).await.status, 200);
}
