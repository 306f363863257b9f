//! Opening over HTTP.

use http::Method;
use toll_ledger::{ChannelState, SubmissionKind};
use toll_protocol::{Amount, ChannelAccount, ChannelStatus, Split, Splits};

use crate::opening::Opening;
use crate::settler::{Chain, account_of};
use crate::world::{
    DEPOSIT, PAYEE, PAYER, PRICE, SLOT, SPONSOR, STRANGER, Session, World, payer_key, request,
};

#[tokio::test]
async fn an_open_lands_and_answers_with_a_receipt_and_no_content() {
    let world = World::new().await;
    let challenge = world.challenge("/paid").await;
    let opening = Opening::answering(&challenge, 7, DEPOSIT);
    let id = opening.action.channel_id;
    let answer = world.get("/paid", &opening.authorization()).await;
    let receipt = answer.receipt();
    assert_eq!((receipt.reference, receipt.challenge_id), (id, Some(challenge.id.clone())));
    assert_eq!((receipt.accepted_cumulative, receipt.spent), (Amount::ZERO, Amount::ZERO));
    assert_eq!(receipt.idle_timeout, 600);
    assert_eq!(answer.json()["channelId"], id.to_string());
    assert_eq!(answer.json()["deposit"], "1000");
    assert_eq!(world.served.count(), 0, "an open never reaches the handler");

    let record = world.channel(&id).await;
    assert_eq!(record.state, ChannelState::Open);
    assert_eq!(record.agreement.terms.payer, PAYER.pubkey());
    assert_eq!(record.agreement.terms.payee, PAYEE.pubkey());
    assert_eq!(record.agreement.rent_payer, SPONSOR.pubkey());
    assert_eq!(
        (record.agreement.grace_period, record.price, record.idle_timeout),
        (900, Amount::new(PRICE), 600)
    );
    assert_eq!((record.opening_challenge_id, record.agreement.terms.open_slot), (challenge.id, SLOT));
    let submissions = world.ledger.submissions_of(&id).await.expect("ledger");
    assert_eq!(
        submissions.iter().map(|submission| submission.kind).collect::<Vec<_>>(),
        [SubmissionKind::Open]
    );
}

#[tokio::test]
async fn the_transaction_on_record_is_the_payers() {
    let world = World::new().await;
    world.chain(Chain::Silent).await;
    let opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    let id = opening.action.channel_id;
    world.get("/paid", &opening.authorization()).await;
    let submissions = world.ledger.requested().await.expect("ledger");
    let transaction = toll_protocol::decode_transaction(&submissions[0].transaction).expect("decodes");
    assert_eq!(submissions[0].channel(), Some(id));
    assert_eq!(transaction.message.static_account_keys()[0], SPONSOR.pubkey());
    assert_eq!(transaction.verify_with_results(), [false, true], "the sponsor has not signed");
}

#[tokio::test]
async fn a_legacy_message_opens_too() {
    let world = World::new().await;
    let mut opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    opening.bend_message(|message| {
        let solana_message::VersionedMessage::V0(v0) = message.clone() else { unreachable!() };
        *message = solana_message::VersionedMessage::Legacy(solana_message::legacy::Message {
            header: v0.header,
            account_keys: v0.account_keys,
            recent_blockhash: v0.recent_blockhash,
            instructions: v0.instructions,
        });
    });
    assert_eq!(world.get("/paid", &opening.authorization()).await.status, 200);
}

#[tokio::test]
async fn compute_budget_within_the_caps_is_allowed() {
    let world = World::new().await;
    let mut opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    opening.before =
        vec![toll_protocol::compute_unit_limit(400_000), toll_protocol::compute_unit_price(50_000)];
    assert_eq!(world.get("/paid", &opening.authorization()).await.status, 200);
}

#[tokio::test]
async fn a_delegated_key_signs_the_vouchers() {
    let world = World::new().await;
    let challenge = world.challenge("/paid").await;
    let mut opening = Opening::answering(&challenge, 7, DEPOSIT);
    opening.set_terms(|terms| terms.authorized_signer = STRANGER.pubkey());
    let id = opening.action.channel_id;
    world.get("/paid", &opening.authorization()).await.receipt();
    let delegate = Session { id, challenge: challenge.clone(), key: STRANGER.signing() };
    assert_eq!(world.get("/paid", &delegate.voucher(PRICE)).await.status, 200);
    let payer = Session { id, challenge, key: payer_key() };
    world.refuses_402(&payer.voucher(2 * PRICE), "verification-failed", "signer-mismatch").await;
}

#[tokio::test]
async fn the_client_picks_an_idle_timeout_for_the_channels_life() {
    let world = World::new().await;
    let mut opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    opening.action.idle_timeout = Some(86_400);
    assert_eq!(world.get("/paid", &opening.authorization()).await.receipt().idle_timeout, 86_400);
}

#[tokio::test]
async fn splits_are_opened_as_quoted() {
    let splits = Splits::new(vec![Split { recipient: STRANGER.pubkey(), share_bps: 250 }]).expect("splits");
    let quoted = splits.clone();
    let world = World::with(move |terms| terms.splits = quoted).await;
    let opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    let id = opening.action.channel_id;
    world.get("/paid", &opening.authorization()).await.receipt();
    assert_eq!(world.channel(&id).await.agreement.splits, splits);
    // The credential may leave them out; the transaction may not.
    let mut opening = Opening::answering(&world.challenge("/paid").await, 8, DEPOSIT);
    opening.action.splits = None;
    assert_eq!(world.get("/paid", &opening.authorization()).await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_credential() {
    let world = World::new().await;
    let credential = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT).authorization();
    let first = world.get("/paid", &credential).await;
    // Also long after the challenge has expired.
    world.pass(400).await;
    let again = world.get("/paid", &credential).await;
    assert_eq!(again.receipt().reference, first.receipt().reference);
    let (_, submissions, _) = world.state().await;
    assert_eq!(submissions, 1, "one transaction");
}

#[tokio::test]
async fn an_open_that_does_not_land_in_time_can_be_resumed() {
    let world = World::new().await;
    world.chain(Chain::Silent).await;
    let credential = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT).authorization();
    let answer = world.get("/paid", &credential).await;
    world.is_refusal(&answer, 503, "about:blank", "unavailable");
    assert_eq!(answer.header("retry-after"), Some("2"));
    world.chain(Chain::Lands).await;
    assert_eq!(world.get("/paid", &credential).await.receipt().spent, Amount::ZERO);
    assert_eq!(world.state().await.1, 1, "one transaction");
}

#[tokio::test]
async fn an_open_that_fails_on_chain_says_so() {
    let world = World::new().await;
    world.chain(Chain::Fails).await;
    let credential = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT).authorization();
    let answer = world.get("/paid", &credential).await;
    world.is_refusal(&answer, 402, "verification-failed", "transaction-failed");
    assert!(answer.json()["detail"].as_str().expect("detail").contains("0x1"));
}

#[tokio::test]
async fn an_open_whose_blockhash_ran_out_says_so() {
    let world = World::new().await;
    world.chain(Chain::Expires).await;
    let credential = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT).authorization();
    let answer = world.get("/paid", &credential).await;
    world.is_refusal(&answer, 402, "verification-failed", "blockhash-expired");
}

#[tokio::test]
async fn a_challenge_opens_one_channel() {
    let world = World::new().await;
    let challenge = world.challenge("/paid").await;
    world.get("/paid", &Opening::answering(&challenge, 7, DEPOSIT).authorization()).await.receipt();
    let second = Opening::answering(&challenge, 8, DEPOSIT).authorization();
    world.refuses_402(&second, "invalid-challenge", "challenge").await;
}

#[tokio::test]
async fn a_known_channel_is_not_opened_again() {
    let world = World::new().await;
    world.opened().await;
    let again = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT).authorization();
    world.refuses_402(&again, "verification-failed", "open-mismatch").await;
}

#[tokio::test]
async fn another_transaction_for_the_same_channel_rejects() {
    let world = World::new().await;
    let challenge = world.challenge("/paid").await;
    world.get("/paid", &Opening::answering(&challenge, 7, DEPOSIT).authorization()).await.receipt();
    let other = Opening::answering(&challenge, 7, DEPOSIT + 1).authorization();
    world.refuses_402(&other, "invalid-challenge", "challenge").await;
}

#[tokio::test]
async fn a_challenge_of_another_route_opens_nothing() {
    let world = World::new().await;
    for route in ["/twin", "/dear"] {
        let opening = Opening::answering(&world.challenge(route).await, 7, DEPOSIT).authorization();
        world.refuses_402(&opening, "invalid-challenge", "challenge").await;
    }
}

#[tokio::test]
async fn a_challenge_of_earlier_terms_opens_nothing() {
    let world = World::new().await;
    let opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT).authorization();
    let mut terms = crate::world::terms();
    terms.grace_period = 1_800;
    let changed = World::over(world.ledger.clone(), world.clock.clone(), terms);
    changed.refuses_402(&opening, "invalid-challenge", "challenge").await;
}

#[tokio::test]
async fn a_challenged_blockhash_near_its_end_rejects_and_burns_nothing() {
    let world = World::new().await;
    let opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT).authorization();
    world.publish_tip(SLOT + 121).await;
    world.refuses_402(&opening, "verification-failed", "blockhash-expired").await;
    world.publish_tip(SLOT + 122).await;
    let fresh = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT).authorization();
    assert_eq!(world.get("/paid", &fresh).await.status, 200);
}

#[tokio::test]
async fn an_open_without_a_recent_tip_waits() {
    let world = World::new().await;
    let opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT).authorization();
    world.clock.advance(31);
    let answer = world.get("/paid", &opening).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (503, &serde_json::json!("unavailable")));
}

#[tokio::test]
async fn opens_by_one_payer_are_rate_limited() {
    let world = World::with(|terms| terms.limits.opens_per_minute = 1).await;
    world.opened().await;
    let second = Opening::answering(&world.challenge("/paid").await, 8, DEPOSIT).authorization();
    let second = request(Method::GET, "/paid", Some(&second), "");
    world.refuses(second, 429, "about:blank", "rate-limited").await;
}

#[tokio::test]
async fn a_payer_who_keeps_forcing_closes_waits() {
    let world = World::new().await;
    for salt in [7, 8] {
        let session = world.opened_with(salt, DEPOSIT).await;
        let record = world.channel(&session.id).await;
        let closing = ChannelAccount {
            status: ChannelStatus::Closing,
            closure_started_at: world.ledger.now(),
            ..account_of(&record)
        };
        world.ledger.observe(&session.id, Some(&closing), record.observed_slot + 1).await.expect("ledger");
    }
    let third = Opening::answering(&world.challenge("/paid").await, 9, DEPOSIT).authorization();
    let third = request(Method::GET, "/paid", Some(&third), "");
    world.refuses(third, 429, "about:blank", "opens-suspended").await;
    world.pass(3_601).await;
    let later = Opening::answering(&world.challenge("/paid").await, 10, DEPOSIT).authorization();
    assert_eq!(world.get("/paid", &later).await.status, 200);
}
