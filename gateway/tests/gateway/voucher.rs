//! Paying by voucher: what is accepted, what is refused, and that a refusal costs nothing.

use axum::body::Body;
use bytes::Bytes;
use http::Method;
use solana_signature::Signature;
use toll_gateway::Paid;
use toll_ledger::CloseReason;
use toll_protocol::{Action, Amount, ChannelStatus, SignedVoucher, VoucherAction};

use crate::settler::account_of;
use crate::world::{DEPOSIT, PAYER, PRICE, START, STRANGER, Session, World, request};

async fn opened() -> (World, Session) {
    let world = World::new().await;
    let session = world.opened().await;
    (world, session)
}

#[tokio::test]
async fn a_voucher_for_the_price_buys_one_request() {
    let (world, session) = opened().await;
    for round in 1..=3 {
        let answer = world.get("/paid", &session.voucher(round * PRICE)).await;
        assert_eq!(answer.text(), format!("served {round}"));
        let receipt = answer.receipt();
        assert_eq!(receipt.reference, session.id);
        assert_eq!(receipt.challenge_id.as_ref(), Some(&session.challenge.id));
        assert_eq!(receipt.accepted_cumulative.get(), round * PRICE);
        assert_eq!(receipt.spent.get(), round * PRICE);
        assert_eq!((receipt.idle_timeout, receipt.timestamp), (600, START));
        assert_eq!((receipt.tx_hash, receipt.refunded), (None, None));
    }
    let stored = world.ledger.highest_voucher(&session.id).await.expect("ledger");
    assert_eq!(stored, Some(session.signed(3 * PRICE)), "the whole voucher is kept");
}

#[tokio::test]
async fn the_handler_learns_who_paid() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await;
    let (headers, paid) = world.served.last();
    let Paid { channel, payer, charged, watermarks } = paid.expect("evidence");
    assert_eq!((channel, payer, charged), (session.id, PAYER.pubkey(), Amount::new(PRICE)));
    assert_eq!(watermarks.spent, Amount::new(PRICE));
    assert_eq!(headers.get("authorization"), None);
}

#[tokio::test]
async fn the_whole_deposit_can_be_spent() {
    let world = World::new().await;
    let session = world.opened_with(7, 112).await;
    for round in 1..=7 {
        assert_eq!(world.get("/paid", &session.voucher(round * PRICE)).await.status, 200);
    }
    let answer = world.refuses_402(&session.voucher(8 * PRICE), "verification-failed", "top-up-needed").await;
    let problem = answer.json();
    assert_eq!(problem["requiredCumulative"], "128");
    assert_eq!(problem["deposit"], "112");
}

#[tokio::test]
async fn one_channel_pays_every_route_of_equal_terms() {
    let (world, session) = opened().await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.status, 200);
    assert_eq!(world.get("/twin", &session.voucher(2 * PRICE)).await.status, 200);
}

#[tokio::test]
async fn a_challenge_of_a_cheaper_route_rejects() {
    let (world, session) = opened().await;
    let dear = request(Method::GET, "/dear", Some(&session.voucher(PRICE)), "");
    let answer = world.refuses(dear, 402, "invalid-challenge", "challenge").await;
    let offered = answer.challenge().session_request().expect("request").amount;
    assert_eq!(offered.get(), 32, "the new terms are the route's");
}

#[tokio::test]
async fn a_channel_pays_a_dearer_route_under_that_routes_challenge() {
    let (world, mut session) = opened().await;
    session.challenge = world.challenge("/dear").await;
    assert_eq!(world.get("/dear", &session.voucher(32)).await.receipt().spent.get(), 32);
}

#[tokio::test]
async fn a_changed_price_rejects_the_old_challenge() {
    let (world, session) = opened().await;
    let text = crate::world::config_text().replace("0.000016", "0.000017");
    let config = toll_gateway::Config::parse(&text).expect("config");
    let terms = config.session.terms(&config.gateway).expect("terms");
    let routes = toll_gateway::route_table(&config.routes, &terms, config.gateway.unpriced).expect("routes");
    let layer = toll_gateway::PaymentLayer::new(world.gateway.clone(), std::sync::Arc::new(routes));
    let router = axum::Router::new().route("/paid", axum::routing::get(|| async { "ok" })).layer(layer);
    let paid = request(Method::GET, "/paid", Some(&session.voucher(PRICE)), "");
    assert_eq!(tower::ServiceExt::oneshot(router, paid).await.expect("infallible").status(), 402);
}

#[tokio::test]
async fn a_voucher_at_the_watermark_rejects() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await;
    // Another request, so this is no repeat.
    let again = request(Method::GET, "/paid?other", Some(&session.voucher(PRICE)), "");
    let answer = world.refuses(again, 402, "verification-failed", "not-increasing").await;
    let problem = answer.json();
    assert_eq!(problem["acceptedCumulative"], "16");
    assert_eq!(problem["requiredCumulative"], "32");
}

#[tokio::test]
async fn a_voucher_below_the_watermark_rejects() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await;
    world.get("/paid", &session.voucher(2 * PRICE)).await;
    world.refuses_402(&session.voucher(2 * PRICE - 1), "verification-failed", "not-increasing").await;
}

#[tokio::test]
async fn a_forged_stale_voucher_is_told_from_an_authentic_one() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await;
    let forged = SignedVoucher { signature: Signature::from([1; 64]), ..session.signed(PRICE) };
    let answer = world.refuses_402(&session.with_voucher(forged), "verification-failed", "signature").await;
    assert_eq!(answer.json().get("acceptedCumulative"), None, "a forger learns no figures");
}

#[tokio::test]
async fn a_voucher_of_zero_rejects() {
    let (world, session) = opened().await;
    world.refuses_402(&session.voucher(0), "verification-failed", "not-increasing").await;
}

#[tokio::test]
async fn a_voucher_one_short_of_the_price_rejects() {
    let (world, session) = opened().await;
    let answer = world.refuses_402(&session.voucher(PRICE - 1), "verification-failed", "insufficient").await;
    let problem = answer.json();
    assert_eq!(problem["requiredCumulative"], "16");
    assert_eq!((problem["acceptedCumulative"].as_str(), problem["spent"].as_str()), (Some("0"), Some("0")));
    assert_eq!(problem["deposit"], DEPOSIT.to_string());
}

#[tokio::test]
async fn a_voucher_one_above_the_price_rejects() {
    let (world, session) = opened().await;
    world.refuses_402(&session.voucher(PRICE + 1), "verification-failed", "excessive-increment").await;
}

#[tokio::test]
async fn headroom_lets_a_voucher_run_ahead_of_the_charge() {
    let (world, session) = opened().await;
    let receipt = world.get("/ahead", &session.voucher(PRICE + 100)).await.receipt();
    assert_eq!((receipt.accepted_cumulative.get(), receipt.spent.get()), (PRICE + 100, PRICE));
    let over = request(Method::GET, "/ahead", Some(&session.voucher(2 * PRICE + 201)), "");
    world.refuses(over, 402, "verification-failed", "excessive-increment").await;
}

#[tokio::test]
async fn a_voucher_over_the_deposit_rejects() {
    let (world, session) = opened().await;
    world.refuses_402(&session.voucher(DEPOSIT + 1), "verification-failed", "exceeds-deposit").await;
}

#[tokio::test]
async fn a_voucher_over_u64_range_of_the_deposit_rejects() {
    let (world, session) = opened().await;
    world.refuses_402(&session.voucher(u64::MAX), "verification-failed", "exceeds-deposit").await;
}

#[tokio::test]
async fn a_voucher_by_another_key_rejects() {
    let (world, mut session) = opened().await;
    session.key = STRANGER.signing();
    world.refuses_402(&session.voucher(PRICE), "verification-failed", "signer-mismatch").await;
}

#[tokio::test]
async fn a_voucher_in_the_signers_name_by_another_key_rejects() {
    let (world, session) = opened().await;
    let mut forged = SignedVoucher::sign(session.signed(PRICE).voucher, &STRANGER.signing());
    forged.signer = PAYER.pubkey();
    world.refuses_402(&session.with_voucher(forged), "verification-failed", "signature").await;
}

#[tokio::test]
async fn a_flipped_bit_in_the_signature_rejects() {
    let (world, session) = opened().await;
    let mut signed = session.signed(PRICE);
    let mut bytes: [u8; 64] = signed.signature.into();
    bytes[5] ^= 1;
    signed.signature = bytes.into();
    world.refuses_402(&session.with_voucher(signed), "verification-failed", "signature").await;
}

#[tokio::test]
async fn a_raised_amount_under_an_old_signature_rejects() {
    let (world, session) = opened().await;
    let mut signed = session.signed(1);
    signed.voucher.cumulative_amount = Amount::new(PRICE);
    world.refuses_402(&session.with_voucher(signed), "verification-failed", "signature").await;
}

#[tokio::test]
async fn a_voucher_of_a_sibling_channel_rejects() {
    let (world, session) = opened().await;
    let sibling = world.opened_with(8, DEPOSIT).await;
    let action = Action::Voucher(VoucherAction { channel_id: session.id, voucher: sibling.signed(PRICE) });
    world.refuses_402(&session.with(action), "verification-failed", "channel-mismatch").await;
}

#[tokio::test]
async fn a_voucher_for_an_unknown_channel_rejects() {
    let (world, mut session) = opened().await;
    session.id = STRANGER.pubkey().into();
    let answer = world.refuses_402(&session.voucher(PRICE), "verification-failed", "channel-not-found").await;
    assert!(answer.text().contains("unknown session channel"));
}

#[tokio::test]
async fn an_expired_voucher_rejects() {
    let (world, session) = opened().await;
    for expires_at in [START - 1, START, 1] {
        let credential = session.with_voucher(session.signed_until(PRICE, expires_at));
        world.refuses_402(&credential, "verification-failed", "voucher-expired").await;
    }
}

#[tokio::test]
async fn a_voucher_must_outlive_the_grace_period() {
    let (world, session) = opened().await;
    let too_soon = session.with_voucher(session.signed_until(PRICE, START + 959));
    world.refuses_402(&too_soon, "verification-failed", "voucher-expired").await;
    let in_time = session.with_voucher(session.signed_until(PRICE, START + 960));
    assert_eq!(world.get("/paid", &in_time).await.status, 200);
}

#[tokio::test]
async fn an_increment_below_the_minimum_rejects() {
    let world = World::with(|terms| terms.min_voucher_delta = Amount::new(50)).await;
    let session = world.opened().await;
    let answer = world.refuses_402(&session.voucher(49), "verification-failed", "delta-too-small").await;
    assert_eq!(answer.json()["requiredCumulative"], "50");
    assert_eq!(world.get("/paid", &session.voucher(50)).await.status, 200);
}

#[tokio::test]
async fn the_minimum_increment_does_not_hold_at_the_deposit() {
    let world = World::with(|terms| terms.min_voucher_delta = Amount::new(50)).await;
    let session = world.opened_with(7, 180).await;
    for cumulative in [50, 100, 150] {
        assert_eq!(world.get("/paid", &session.voucher(cumulative)).await.status, 200);
    }
    world.refuses_402(&session.voucher(179), "verification-failed", "delta-too-small").await;
    assert_eq!(world.get("/paid", &session.voucher(180)).await.status, 200);
}

#[tokio::test]
async fn a_closing_channel_buys_nothing() {
    let (world, session) = opened().await;
    world.chain(crate::settler::Chain::Silent).await;
    world.ledger.request_close(&session.id, CloseReason::Idle, None).await.expect("ledger");
    let answer = world.refuses_402(&session.voucher(PRICE), "verification-failed", "channel-closing").await;
    assert!(answer.text().contains("session_close_pending"));
}

#[tokio::test]
async fn a_forced_close_on_chain_cuts_service() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await;
    let record = world.channel(&session.id).await;
    let closing = toll_protocol::ChannelAccount {
        status: ChannelStatus::Closing,
        closure_started_at: START,
        ..account_of(&record)
    };
    world.ledger.observe(&session.id, Some(&closing), record.observed_slot + 1).await.expect("ledger");
    world.refuses_402(&session.voucher(2 * PRICE), "verification-failed", "channel-closing").await;
}

#[tokio::test]
async fn a_closed_channel_buys_nothing() {
    let (world, session) = opened().await;
    world.get("/paid", &session.close(0)).await.receipt();
    let answer = world.refuses_402(&session.voucher(PRICE), "verification-failed", "channel-closed").await;
    let details = answer.challenge().session_request().expect("request").method_details;
    assert!(
        matches!(details.channel, toll_protocol::ChannelOffer::New { .. }),
        "a closed channel resumes never"
    );
}

#[tokio::test]
async fn a_voucher_before_the_open_landed_waits() {
    let world = World::new().await;
    world.chain(crate::settler::Chain::Silent).await;
    let challenge = world.challenge("/paid").await;
    let opening = crate::opening::Opening::answering(&challenge, 7, DEPOSIT);
    let session = Session { id: opening.action.channel_id, challenge, key: crate::world::payer_key() };
    assert_eq!(world.get("/paid", &opening.authorization()).await.status, 503);
    let early = request(Method::GET, "/paid", Some(&session.voucher(PRICE)), "");
    world.refuses(early, 503, "about:blank", "unavailable").await;
}

#[tokio::test]
async fn vouchers_of_one_channel_are_rate_limited() {
    let world = World::with(|terms| terms.limits.vouchers_per_second = 2).await;
    let session = world.opened().await;
    for round in 1..=2 {
        assert_eq!(world.get("/paid", &session.voucher(round * PRICE)).await.status, 200);
    }
    let third = request(Method::GET, "/paid", Some(&session.voucher(3 * PRICE)), "");
    let answer = world.refuses(third, 429, "about:blank", "rate-limited").await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    world.pass(1).await;
    assert_eq!(world.get("/paid", &session.voucher(3 * PRICE)).await.status, 200);
}

#[tokio::test]
async fn refused_vouchers_of_one_channel_are_rate_limited() {
    let world = World::with(|terms| terms.limits.refusals_per_second = 1).await;
    let session = world.opened().await;
    world.refuses_402(&session.voucher(0), "verification-failed", "not-increasing").await;
    let again = request(Method::GET, "/paid", Some(&session.voucher(0)), "");
    world.refuses(again, 429, "about:blank", "rate-limited").await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.status, 200, "good ones still pay");
}

#[tokio::test]
async fn head_raises_the_watermark_and_runs_nothing() {
    let (world, session) = opened().await;
    let answer = world.send(request(Method::HEAD, "/paid", Some(&session.voucher(PRICE)), "")).await;
    let receipt = answer.receipt();
    assert_eq!((receipt.accepted_cumulative.get(), receipt.spent.get()), (PRICE, 0));
    assert_eq!(world.served.count(), 0);
    // The next request spends what was authorized ahead.
    let receipt = world.get("/paid", &session.voucher(PRICE + 1)).await.receipt();
    assert_eq!((receipt.accepted_cumulative.get(), receipt.spent.get()), (PRICE + 1, PRICE));
}

// Each leaves a voucher and an entry on disk, and costs its sender nothing.
#[tokio::test]
async fn heads_of_one_channel_are_rate_limited() {
    let world = World::with(|terms| terms.limits.updates_per_minute = 1).await;
    let session = world.opened().await;
    world.send(request(Method::HEAD, "/paid", Some(&session.voucher(1)), "")).await.receipt();
    let again = world.send(request(Method::HEAD, "/paid", Some(&session.voucher(2)), "")).await;
    assert_eq!(again.status, 429);
    assert_eq!(world.channel(&session.id).await.watermarks.accepted, Amount::new(1));
    assert_eq!(world.get("/paid", &session.voucher(1 + PRICE)).await.status, 200, "paid ones still pass");
}

// Else anyone could have the gateway hold as many bodies as there are connections.
#[tokio::test]
async fn the_body_of_a_stranger_is_not_waited_for() {
    let (world, mut session) = opened().await;
    session.challenge = world.challenge_for(Method::POST, "/echo").await;
    let forged = SignedVoucher { signature: Signature::from([1; 64]), ..session.signed(PRICE) };
    let mut post = request(Method::POST, "/echo", Some(&session.with_voucher(forged)), "");
    *post.body_mut() = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    world.refuses(post, 402, "verification-failed", "signature").await;
}

#[tokio::test]
async fn head_without_payment_is_challenged() {
    let world = World::new().await;
    let head = request(Method::HEAD, "/paid", None, "");
    assert_eq!(world.send(head).await.status, 402);
}

#[tokio::test]
async fn the_signature_of_a_small_order_key_pays_nothing() {
    // The identity point verifies laxly for any message with R = identity, S = 0.
    let (world, session) = opened().await;
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let signed = SignedVoucher {
        signer: solana_pubkey::Pubkey::from(identity),
        signature: Signature::from(signature),
        ..session.signed(PRICE)
    };
    world.refuses_402(&session.with_voucher(signed), "verification-failed", "signer-mismatch").await;
}

#[tokio::test]
async fn no_free_route_leads_to_a_priced_handler() {
    let world = World::new().await;
    for path in ["//paid", "/./paid", "/twin/..%2fpaid", "/unknown"] {
        let answer = world.send(request(Method::GET, path, None, "")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(world.served.count(), 0);
}

#[tokio::test]
async fn a_full_disk_refuses_and_charges_nothing() {
    let (world, session) = opened().await;
    let before = world.channel(&session.id).await;
    world.ledger.fill_disk(true).await.expect("ledger");
    let mut refused = 0;
    // Some commits still fit into pages at hand.
    for round in 1..=60 {
        let answer = world.get("/paid", &session.voucher(round * PRICE)).await;
        if answer.status == 503 {
            refused += 1;
            break;
        }
    }
    world.ledger.fill_disk(false).await.expect("ledger");
    let served = world.served.count() as u64;
    assert!(refused == 1 || served == 60);
    let after = world.channel(&session.id).await;
    assert_eq!(after.watermarks.spent.get(), before.watermarks.spent.get() + served * PRICE);
}
