//! What the chain shows, or a transaction in flight may show, authenticates nobody.

use http::Method;
use solana_hash::Hash;
use solana_message::{VersionedMessage, v0};
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use toll_ledger::{ChannelState, Effect, Intent, SubmissionKind};
use toll_protocol::{Amount, SignedVoucher, ed25519_verify, encode_transaction};

use crate::settler::{Chain, account_of};
use crate::top_up::Raise;
use crate::world::{DEPOSIT, PRICE, SPONSOR, Session, World, request};

async fn opened() -> (World, Session) {
    let world = World::new().await;
    let session = world.opened().await;
    (world, session)
}

impl World {
    /// The chain shows that `settled` was settled, and so the voucher for it.
    async fn settled(&self, session: &Session, settled: u64) {
        let record = self.channel(&session.id).await;
        let mut account = account_of(&record);
        account.settled = Amount::new(settled);
        self.ledger.observe(&session.id, Some(&account), record.observed_slot + 1).await.expect("ledger");
    }

    /// A stranger who read the chain: it has `session`'s vouchers, and a challenge that anyone is given.
    async fn stranger(&self, session: &Session, path: &str) -> Session {
        Session { challenge: self.challenge(path).await, ..session.clone() }
    }

    /// Refused as published, with a challenge for a new channel and without a figure that the chain does not show.
    async fn refuses_published(&self, request: http::Request<axum::body::Body>, up_to: u64) {
        let answer = self.refuses(request, 402, "verification-failed", "voucher-published").await;
        let problem = answer.json();
        assert_eq!(problem["settled"], up_to.to_string());
        for private in ["requiredCumulative", "acceptedCumulative", "spent"] {
            assert_eq!(problem.get(private), None, "{problem}");
        }
        let offer = answer.challenge().session_request().expect("a request").method_details.channel;
        assert!(matches!(offer, toll_protocol::ChannelOffer::New { .. }), "{offer:?}");
    }
}

fn get(path: &str, authorization: &str) -> http::Request<axum::body::Body> {
    request(Method::GET, path, Some(authorization), "")
}

fn keyed(path: &str, authorization: &str) -> http::Request<axum::body::Body> {
    let mut request = get(path, authorization);
    request.headers_mut().insert("idempotency-key", "k".parse().expect("value"));
    request
}

#[tokio::test]
async fn the_last_voucher_of_a_closed_channel_gets_no_stored_answer() {
    let (world, session) = opened().await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.text(), "served 1");
    world.get("/paid", &session.close(PRICE)).await.receipt();
    let stranger = world.stranger(&session, "/paid").await;
    for voucher in [session.voucher(PRICE), stranger.voucher(PRICE)] {
        world.refuses_402(&voucher, "verification-failed", "channel-closed").await;
    }
}

#[tokio::test]
async fn a_channel_that_is_closing_gives_no_stored_answer() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.chain(Chain::Silent).await;
    world.get("/paid", &session.close(PRICE)).await;
    world.refuses_402(&session.voucher(PRICE), "verification-failed", "channel-closing").await;
}

#[tokio::test]
async fn a_settled_voucher_gets_no_stored_answer() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.settled(&session, PRICE).await;
    let stranger = world.stranger(&session, "/paid").await;
    world.refuses_published(get("/paid", &stranger.voucher(PRICE)), PRICE).await;
}

#[tokio::test]
async fn a_settled_voucher_runs_no_failed_request_again() {
    let (world, session) = opened().await;
    assert_eq!(world.get("/answers/down", &session.voucher(PRICE)).await.status, 500);
    world.settled(&session, PRICE).await;
    let stranger = world.stranger(&session, "/answers/down").await;
    world.refuses_published(get("/answers/down", &stranger.voucher(PRICE)), PRICE).await;
    assert_eq!(world.served.count(), 1);
}

#[tokio::test]
async fn a_settled_voucher_takes_nothing_from_the_limits_of_the_payer() {
    let world = World::with(|terms| {
        (terms.limits.vouchers_per_second, terms.limits.refusals_per_second) = (2, 1);
        terms.limits.updates_per_minute = 1;
    });
    let world = world.await;
    let session = world.opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.settled(&session, PRICE).await;
    for _ in 0..5 {
        world.refuses_published(get("/paid", &session.voucher(PRICE)), PRICE).await;
        world.refuses_published(get("/paid", &session.close(PRICE)), PRICE).await;
    }
    world.get("/paid", &session.voucher(2 * PRICE)).await.receipt();
    world.get("/paid", &session.close(2 * PRICE)).await.receipt();
}

#[tokio::test]
async fn a_partly_settled_watermark_closes_nothing() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.settled(&session, PRICE).await;
    world.refuses_published(get("/paid", &session.close(PRICE)), PRICE).await;
    assert_eq!(world.channel(&session.id).await.state, ChannelState::Open);
    // What only the payer can sign does close it.
    assert_eq!(world.get("/paid", &session.close(PRICE + 1)).await.receipt().spent.get(), PRICE + 1);
}

#[tokio::test]
async fn a_voucher_above_what_is_settled_gets_its_answer_again() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    let second = world.get("/paid", &session.voucher(2 * PRICE)).await;
    world.settled(&session, PRICE).await;
    assert_eq!(world.get("/paid", &session.voucher(2 * PRICE)).await.text(), second.text());
    assert_eq!(world.served.count(), 2);
}

#[tokio::test]
async fn a_higher_voucher_asks_for_the_answer_of_a_settled_one_at_no_charge() {
    let (world, session) = opened().await;
    let first = world.send(keyed("/paid", &session.voucher(PRICE))).await;
    world.settled(&session, PRICE).await;
    world.refuses_published(keyed("/paid", &session.voucher(PRICE)), PRICE).await;
    let before = world.channel(&session.id).await;
    let again = world.send(keyed("/paid", &session.voucher(2 * PRICE))).await;
    assert_eq!((again.status, again.body), (first.status, first.body));
    assert_eq!(world.channel(&session.id).await, before);
}

/// A settlement as the settler records it before it is sent.
fn settlement(voucher: &SignedVoucher) -> Vec<u8> {
    let instructions = [ed25519_verify(voucher)];
    let message = v0::Message::try_compile(&SPONSOR.pubkey(), &instructions, &[], Hash::default());
    encode_transaction(&VersionedTransaction {
        signatures: vec![Signature::from([3; 64])],
        message: VersionedMessage::V0(message.expect("compiles")),
    })
}

#[tokio::test]
async fn a_voucher_in_a_settlement_on_its_way_proves_nothing() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    let transaction = settlement(&session.signed(PRICE));
    let signature = Signature::from([3; 64]);
    let shown = Effect { publishes: Some(Amount::new(PRICE)), ..Effect::on(session.id) };
    let intent = Intent::of(SubmissionKind::Settle, shown);
    let submission = world.ledger.record(intent, transaction, signature, 2_000).await;
    let submission = submission.expect("ledger");
    world.refuses_published(get("/paid", &session.voucher(PRICE)), PRICE).await;
    world.refuses_published(get("/paid", &session.close(PRICE)), PRICE).await;
    // Whoever forwarded it has the voucher for good.
    world.ledger.expired(submission).await.expect("ledger");
    world.refuses_published(get("/paid", &session.voucher(PRICE)), PRICE).await;
    world.get("/paid", &session.voucher(2 * PRICE)).await.receipt();
}

#[tokio::test]
async fn repeats_of_a_landed_top_up_leave_the_payers_updates_alone() {
    let world = World::with(|terms| {
        (terms.limits.updates_per_minute, terms.limits.repeats_per_minute) = (2, 3);
    });
    let world = world.await;
    let session = world.opened().await;
    let landed = Raise::of(&session, 500).authorization();
    world.get("/paid", &landed).await.receipt();
    for _ in 0..3 {
        world.get("/paid", &landed).await.receipt();
    }
    world.refuses(get("/paid", &landed), 429, "about:blank", "rate-limited").await;
    world.get("/paid", &Raise::of(&session, 501).authorization()).await.receipt();
}

#[tokio::test]
async fn a_repeat_of_a_landed_top_up_learns_what_the_chain_shows() {
    let (world, session) = opened().await;
    let landed = Raise::of(&session, 500).authorization();
    world.get("/paid", &landed).await.receipt();
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.get("/paid", &session.voucher(2 * PRICE)).await.receipt();
    world.settled(&session, PRICE).await;
    let repeated = world.get("/paid", &landed).await;
    let receipt = repeated.receipt();
    assert_eq!((receipt.accepted_cumulative.get(), receipt.spent.get()), (PRICE, PRICE));
    assert_eq!(repeated.json()["deposit"], (DEPOSIT + 500).to_string());
}

#[tokio::test]
async fn a_closed_channels_receipt_says_what_the_chain_shows() {
    let world = World::new().await;
    let session = world.opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    let ahead = Session { challenge: world.challenge("/ahead").await, ..session.clone() };
    let head = request(Method::HEAD, "/ahead", Some(&ahead.voucher(4 * PRICE)), "");
    world.send(head).await.receipt();
    world.get("/paid", &session.close(2 * PRICE)).await;
    let receipt = world.get("/paid", &session.close(2 * PRICE)).await.receipt();
    assert_eq!(receipt.accepted_cumulative, receipt.spent);
}
