//! Cooperative closes.

use http::Method;
use serde_json::json;
use solana_signature::Signature;
use toll_ledger::{ChannelState, CloseReason};
use toll_protocol::{Action, Amount, CloseAction, CloseAuthority, SignedVoucher};

use crate::settler::Chain;
use crate::world::{DEPOSIT, PRICE, START, STRANGER, Session, World, request};

async fn paid(rounds: u64) -> (World, Session) {
    let world = World::new().await;
    let session = world.opened().await;
    for round in 1..=rounds {
        world.get("/paid", &session.voucher(round * PRICE)).await.receipt();
    }
    (world, session)
}

#[tokio::test]
async fn a_close_settles_and_refunds_to_the_unit() {
    let (world, session) = paid(2).await;
    let answer = world.get("/paid", &session.close(2 * PRICE)).await;
    let receipt = answer.receipt();
    assert_eq!(receipt.spent.get(), 2 * PRICE, "what the chain settled");
    assert_eq!(receipt.refunded, Some(Amount::new(DEPOSIT - 2 * PRICE)));
    assert!(receipt.tx_hash.is_some());
    assert_eq!(answer.json()["state"], "closed");
    assert_eq!(world.served.count(), 2, "a close never reaches the handler");
    let record = world.channel(&session.id).await;
    assert_eq!((record.state, record.close_reason), (ChannelState::Closed, Some(CloseReason::Requested)));
}

#[tokio::test]
async fn an_unused_channel_closes_with_a_voucher_of_zero() {
    let (world, session) = paid(0).await;
    let receipt = world.get("/paid", &session.close(0)).await.receipt();
    assert_eq!((receipt.spent, receipt.refunded), (Amount::ZERO, Some(Amount::new(DEPOSIT))));
}

#[tokio::test]
async fn the_watermark_signed_again_with_another_expiry_closes() {
    let (world, session) = paid(1).await;
    let again = session.close_with(session.signed_until(PRICE, 4_102_444_800));
    assert_eq!(world.get("/paid", &again).await.receipt().spent.get(), PRICE);
}

#[tokio::test]
async fn a_closing_voucher_above_the_watermark_is_a_tip() {
    let (world, session) = paid(1).await;
    let receipt = world.get("/paid", &session.close(100)).await.receipt();
    assert_eq!((receipt.spent.get(), receipt.refunded), (100, Some(Amount::new(DEPOSIT - 100))));
}

#[tokio::test]
async fn a_repeated_close_gets_the_final_receipt() {
    let (world, session) = paid(1).await;
    let first = world.get("/paid", &session.close(PRICE)).await.receipt();
    let again = world.get("/paid", &session.close(PRICE)).await.receipt();
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_close_that_does_not_land_in_time_can_be_resumed() {
    let (world, session) = paid(1).await;
    world.chain(Chain::Silent).await;
    let answer = world.get("/paid", &session.close(PRICE)).await;
    world.is_refusal(&answer, 503, "about:blank", "unavailable");
    assert!(answer.header("retry-after").is_some());
    // Service has stopped all the same.
    world.refuses_402(&session.voucher(2 * PRICE), "verification-failed", "channel-closing").await;
    world.chain(Chain::Lands).await;
    assert_eq!(world.get("/paid", &session.close(PRICE)).await.receipt().spent.get(), PRICE);
}

#[tokio::test]
async fn a_close_answers_any_route_and_method() {
    let (world, session) = paid(1).await;
    let head = request(Method::HEAD, "/dear", Some(&session.close(PRICE)), "");
    assert_eq!(world.send(head).await.receipt().reference, session.id);
}

#[tokio::test]
async fn a_voucher_below_what_was_delivered_closes_nothing() {
    let (world, session) = paid(2).await;
    for cumulative in [0, 1, PRICE, 2 * PRICE - 1] {
        let close = session.close(cumulative);
        world.refuses_402(&close, "verification-failed", "not-increasing").await;
    }
    assert_eq!(world.channel(&session.id).await.state, ChannelState::Open);
}

#[tokio::test]
async fn a_voucher_over_the_deposit_closes_nothing() {
    let (world, session) = paid(1).await;
    world.refuses_402(&session.close(DEPOSIT + 1), "verification-failed", "exceeds-deposit").await;
}

#[tokio::test]
async fn a_forged_voucher_closes_nothing() {
    let (world, session) = paid(1).await;
    let forged = SignedVoucher { signature: Signature::from([1; 64]), ..session.signed(PRICE) };
    world.refuses_402(&session.close_with(forged), "verification-failed", "signature").await;
    let mut stranger = session.clone();
    stranger.key = STRANGER.signing();
    world.refuses_402(&stranger.close(PRICE), "verification-failed", "signer-mismatch").await;
}

#[tokio::test]
async fn a_siblings_voucher_closes_nothing() {
    let (world, session) = paid(0).await;
    let sibling = world.opened_with(8, DEPOSIT).await;
    let authority = CloseAuthority::Voucher(sibling.signed(0));
    let close = session.with(Action::Close(CloseAction { channel_id: session.id, authority }));
    world.refuses_402(&close, "verification-failed", "channel-mismatch").await;
}

#[tokio::test]
async fn an_unknown_channel_is_not_closed() {
    let (world, mut session) = paid(0).await;
    session.id = STRANGER.pubkey().into();
    world.refuses_402(&session.close(0), "verification-failed", "channel-not-found").await;
}

#[tokio::test]
async fn the_clock_tolerance_authenticates_a_close_and_no_longer() {
    let (world, session) = paid(0).await;
    let late = session.close_with(session.signed_until(0, START - 30));
    world.refuses_402(&late, "verification-failed", "voucher-expired").await;
    let tolerated = session.close_with(session.signed_until(0, START - 29));
    assert_eq!(world.get("/paid", &tolerated).await.status, 200);
}

#[tokio::test]
async fn a_close_takes_a_voucher_and_no_proof() {
    let (world, session) = paid(0).await;
    let authority = CloseAuthority::Voucher(session.signed(0));
    let action = Action::Close(CloseAction { channel_id: session.id, authority });
    let proof = json!({
        "type": "proof",
        "challengeId": session.challenge.id,
        "payer": crate::world::PAYER.pubkey().to_string(),
        "signature": Signature::from([1; 64]).to_string(),
    });
    let without = session.bent(action.clone(), |json| {
        json["payload"].as_object_mut().expect("object").remove("voucher");
    });
    let both = session.bent(action.clone(), |json| json["payload"]["authentication"] = proof.clone());
    let other = session.bent(action, |json| {
        json["payload"].as_object_mut().expect("object").remove("voucher");
        json["payload"]["authentication"] = proof;
    });
    for close in [without, both, other] {
        world.refuses_402(&close, "malformed-credential", "malformed").await;
    }
}

#[tokio::test]
async fn a_close_before_the_open_landed_waits() {
    let world = World::new().await;
    world.chain(Chain::Silent).await;
    let challenge = world.challenge("/paid").await;
    let opening = crate::opening::Opening::answering(&challenge, 7, DEPOSIT);
    let session = Session { id: opening.action.channel_id, challenge, key: crate::world::payer_key() };
    world.get("/paid", &opening.authorization()).await;
    let close = request(Method::GET, "/paid", Some(&session.close(0)), "");
    world.refuses(close, 503, "about:blank", "unavailable").await;
}
