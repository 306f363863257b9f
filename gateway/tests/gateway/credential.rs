//! Headers that are no good credential.

use http::Method;
use http::header::AUTHORIZATION;
use serde_json::json;
use toll_protocol::{Action, UseAction, VoucherAction, base64url_encode};

use crate::world::{PRICE, Session, World, authorization, request};

async fn malformed(token: &str) {
    let world = World::new().await;
    world.refuses_402(&authorization(token), "malformed-credential", "malformed").await;
}

#[tokio::test]
async fn text_that_is_not_base64url_rejects() {
    malformed("!!!not-base64!!!").await;
}

#[tokio::test]
async fn base64_that_is_not_json_rejects() {
    malformed(&base64url_encode(b"{not json")).await;
}

#[tokio::test]
async fn json_that_is_no_credential_rejects() {
    malformed(&base64url_encode(b"[]")).await;
}

#[tokio::test]
async fn an_empty_credential_rejects() {
    malformed("").await;
}

#[tokio::test]
async fn a_payload_without_challenge_rejects() {
    malformed(&base64url_encode(br#"{"payload":{"action":"voucher"}}"#)).await;
}

#[tokio::test]
async fn a_credential_over_16_kib_rejects() {
    malformed(&"A".repeat(16 * 1024 + 1)).await;
}

#[tokio::test]
async fn deeply_nested_json_rejects() {
    malformed(&base64url_encode("[".repeat(4_000))).await;
}

async fn bent(bend: impl FnOnce(&mut serde_json::Value), code: &str) {
    let (world, session) = opened().await;
    let action = Action::Voucher(VoucherAction { channel_id: session.id, voucher: session.signed(PRICE) });
    world.refuses_402(&session.bent(action, bend), "malformed-credential", code).await;
}

async fn opened() -> (World, Session) {
    let world = World::new().await;
    let session = world.opened().await;
    (world, session)
}

#[tokio::test]
async fn an_unknown_action_rejects() {
    bent(|json| json["payload"]["action"] = json!("refund"), "malformed").await;
}

#[tokio::test]
async fn a_missing_voucher_rejects() {
    bent(|json| json["payload"]["voucher"] = json!(null), "malformed").await;
}

#[tokio::test]
async fn a_numeric_amount_rejects() {
    bent(|json| json["payload"]["voucher"]["voucher"]["cumulativeAmount"] = json!(16), "malformed").await;
}

#[tokio::test]
async fn another_signature_type_rejects() {
    bent(|json| json["payload"]["voucher"]["signatureType"] = json!("secp256r1"), "malformed").await;
}

#[tokio::test]
async fn a_charge_payload_rejects() {
    bent(|json| json["payload"] = json!({ "type": "signature", "signature": "x" }), "malformed").await;
}

#[tokio::test]
async fn two_payment_credentials_reject() {
    let (world, session) = opened().await;
    let mut twice = request(Method::GET, "/paid", Some(&session.voucher(PRICE)), "");
    twice.headers_mut().append(AUTHORIZATION, session.voucher(PRICE).parse().expect("value"));
    world.refuses(twice, 400, "bad-request", "several-credentials").await;
}

#[tokio::test]
async fn two_credentials_in_one_field_reject() {
    let (world, session) = opened().await;
    let both = format!("{}, {}", session.voucher(PRICE), session.voucher(PRICE));
    let answer = world.send(request(Method::GET, "/paid", Some(&both), "")).await;
    assert!(answer.status.is_client_error());
    assert_eq!(world.served.count(), 0);
}

#[tokio::test]
async fn a_credential_of_another_scheme_is_none() {
    let world = World::new().await;
    world
        .refuses(
            request(Method::GET, "/paid", Some("Bearer abc"), ""),
            402,
            "payment-required",
            "payment-required",
        )
        .await;
}

#[tokio::test]
async fn another_scheme_beside_the_payment_reaches_the_handler_alone() {
    let (world, session) = opened().await;
    let mut paid = request(Method::GET, "/paid", Some("Bearer abc"), "");
    paid.headers_mut().append(AUTHORIZATION, session.voucher(PRICE).parse().expect("value"));
    paid.headers_mut().append("x-payer", "forged".parse().expect("value"));
    assert_eq!(world.send(paid).await.status, 200);
    let (headers, paid) = world.served.last();
    assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer abc"]);
    assert_eq!(headers.get("x-payer"), None);
    assert_eq!(paid.expect("evidence").channel, session.id);
}

#[tokio::test]
async fn a_credential_of_another_method_rejects_whatever_its_payload() {
    let world = World::new().await;
    let foreign = json!({
        "challenge": { "id": "x", "realm": "r", "method": "tempo", "intent": "charge", "request": "e30" },
        "payload": { "type": "hash", "hash": "0x" },
    });
    let credential = authorization(&base64url_encode(foreign.to_string()));
    let request = request(Method::GET, "/paid", Some(&credential), "");
    world.refuses(request, 400, "method-unsupported", "method-unsupported").await;
}

#[tokio::test]
async fn use_is_the_wrong_mode() {
    let (world, session) = opened().await;
    let authentication =
        toll_protocol::Authentication::sign(&session.id, &session.challenge.id, &session.key);
    let credential = session.with(Action::Use(UseAction { channel_id: session.id, authentication }));
    world.refuses_402(&credential, "verification-failed", "wrong-mode").await;
}

#[tokio::test]
async fn an_unknown_member_is_ignored() {
    let (world, session) = opened().await;
    let action = Action::Voucher(VoucherAction { channel_id: session.id, voucher: session.signed(PRICE) });
    let credential = session.bent(action, |json| json["payload"]["voucher"]["voucher"]["nonce"] = json!("1"));
    assert_eq!(world.get("/paid", &credential).await.status, 200);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    // Whatever bytes stand in the header, the answer is a refusal with a challenge, never a panic.
    #[test]
    fn any_header_is_refused_politely(bytes in proptest::collection::vec(0x20u8..0x7f, 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let world = World::new().await;
            let value = format!("Payment {}", String::from_utf8(bytes).expect("ASCII"));
            let answer = world.get("/paid", &value).await;
            assert!(answer.status.is_client_error());
            answer.challenge();
        });
    }
}
