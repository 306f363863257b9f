//! Repeats: charged once, served once.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use toll_ledger::REPLAY_RETENTION;

use crate::world::{PRICE, Session, World, request};

async fn opened() -> (World, Session) {
    let world = World::new().await;
    let session = world.opened().await;
    (world, session)
}

fn keyed(path: &str, credential: &str, key: &str) -> http::Request<axum::body::Body> {
    let mut request = request(Method::GET, path, Some(credential), "");
    request.headers_mut().insert("idempotency-key", key.parse().expect("value"));
    request
}

async fn spent(world: &World, session: &Session) -> u64 {
    world.channel(&session.id).await.watermarks.spent.get()
}

#[tokio::test]
async fn an_identical_request_gets_the_first_answer() {
    let (world, session) = opened().await;
    let first = world.get("/paid", &session.voucher(PRICE)).await;
    let again = world.get("/paid", &session.voucher(PRICE)).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("payment-receipt"), first.header("payment-receipt"));
    assert_eq!(again.header("cache-control"), first.header("cache-control"));
    assert_eq!(world.served.count(), 1);
    assert_eq!(spent(&world, &session).await, PRICE);
}

#[tokio::test]
async fn a_repeat_is_answered_after_later_payments() {
    let (world, session) = opened().await;
    let first = world.get("/paid", &session.voucher(PRICE)).await;
    world.get("/paid", &session.voucher(2 * PRICE)).await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.body, first.body);
    assert_eq!(world.served.count(), 2);
}

#[tokio::test]
async fn a_repeat_is_no_activity() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await;
    let before = world.channel(&session.id).await;
    world.pass(60).await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.status, 200);
    assert_eq!(world.channel(&session.id).await, before);
}

#[tokio::test]
async fn a_repeat_by_a_forger_is_refused() {
    let (world, session) = opened().await;
    world.send(keyed("/paid", &session.voucher(PRICE), "k")).await;
    let mut forged = session.signed(PRICE);
    forged.signature = solana_signature::Signature::from([1; 64]);
    let again = keyed("/paid", &session.with_voucher(forged), "k");
    world.refuses(again, 402, "verification-failed", "signature").await;
}

#[tokio::test]
async fn a_known_key_gets_the_first_answer_whatever_voucher_comes_with_it() {
    let (world, session) = opened().await;
    let first = world.send(keyed("/paid", &session.voucher(PRICE), "k")).await;
    let again = world.send(keyed("/paid", &session.voucher(2 * PRICE), "k")).await;
    assert_eq!((again.status, again.body), (first.status, first.body));
    assert_eq!((world.served.count(), spent(&world, &session).await), (1, PRICE));
    assert_eq!(world.channel(&session.id).await.watermarks.accepted.get(), PRICE, "the second was not taken");
}

#[tokio::test]
async fn a_key_reused_for_another_target_rejects() {
    let (world, session) = opened().await;
    world.send(keyed("/paid", &session.voucher(PRICE), "k")).await;
    for cumulative in [PRICE, 2 * PRICE] {
        let other = keyed("/paid?page=2", &session.voucher(cumulative), "k");
        world.refuses(other, 409, "about:blank", "idempotency-key-reuse").await;
    }
}

#[tokio::test]
async fn a_key_reused_for_another_body_rejects() {
    let (world, session) = opened().await;
    let post = |cumulative, body| {
        let mut post = request(Method::POST, "/echo", Some(&session.voucher(cumulative)), body);
        post.headers_mut().insert("idempotency-key", "k".parse().expect("value"));
        post
    };
    let mut session = session.clone();
    session.challenge = world.challenge_for(Method::POST, "/echo").await;
    assert_eq!(world.send(post(PRICE, "one")).await.text(), "one");
    assert_eq!(world.send(post(PRICE, "one")).await.text(), "one");
    world.refuses(post(2 * PRICE, "two"), 409, "about:blank", "idempotency-key-reuse").await;
}

#[tokio::test]
async fn keys_of_two_channels_do_not_meet() {
    let (world, session) = opened().await;
    let other = world.opened_with(8, 1_000).await;
    assert_eq!(world.send(keyed("/paid", &session.voucher(PRICE), "k")).await.text(), "served 1");
    assert_eq!(world.send(keyed("/paid", &other.voucher(PRICE), "k")).await.text(), "served 2");
}

#[tokio::test]
async fn two_keys_in_one_request_reject() {
    let (world, session) = opened().await;
    let mut twice = keyed("/paid", &session.voucher(PRICE), "k");
    twice.headers_mut().append("idempotency-key", "l".parse().expect("value"));
    world.refuses(twice, 402, "malformed-credential", "malformed").await;
}

#[tokio::test]
async fn an_overlong_key_rejects() {
    let (world, session) = opened().await;
    let long = keyed("/paid", &session.voucher(PRICE), &"k".repeat(256));
    world.refuses(long, 402, "malformed-credential", "malformed").await;
}

#[tokio::test]
async fn a_voucher_pays_for_one_request_only() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await;
    for other in ["/paid?x", "/twin"] {
        let other = request(Method::GET, other, Some(&session.voucher(PRICE)), "");
        world.refuses(other, 402, "verification-failed", "not-increasing").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_parallel_requests_with_one_voucher_are_served_once() {
    let (world, session) = opened().await;
    let world = std::sync::Arc::new(world);
    let credential = session.voucher(PRICE);
    let ok = std::sync::Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (world, credential, ok) = (world.clone(), credential.clone(), ok.clone());
        tasks.spawn(async move {
            let answer = world.get("/ahead", &credential).await;
            assert_eq!(answer.text(), "served 1");
            ok.fetch_add(usize::from(answer.status == 200), Ordering::SeqCst);
        });
    }
    while let Some(joined) = tasks.join_next().await {
        joined.expect("no panic");
    }
    assert_eq!(ok.load(Ordering::SeqCst), 100);
    assert_eq!(world.served.count(), 1);
    assert_eq!(spent(&world, &session).await, PRICE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_parallel_requests_for_different_targets_one_voucher_pays_one() {
    let (world, session) = opened().await;
    let world = std::sync::Arc::new(world);
    let credential = session.voucher(PRICE);
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..20 {
        let (world, credential) = (world.clone(), credential.clone());
        tasks.spawn(async move { world.get(&format!("/paid?{index}"), &credential).await.status });
    }
    let statuses: Vec<_> = tasks.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(world.served.count(), 1);
    assert_eq!(spent(&world, &session).await, PRICE);
}

#[tokio::test]
async fn a_failure_is_served_by_the_repeat_without_a_second_charge() {
    let (world, session) = opened().await;
    let failed = world.get("/answers/flaky", &session.voucher(PRICE)).await;
    assert_eq!((failed.status.as_u16(), failed.header("payment-receipt")), (503, None));
    assert_eq!(spent(&world, &session).await, PRICE);
    let served = world.get("/answers/flaky", &session.voucher(PRICE)).await;
    assert_eq!(served.text(), "served 2");
    assert_eq!(served.receipt().spent.get(), PRICE);
    assert_eq!(spent(&world, &session).await, PRICE);
    // Now it is answered for good.
    assert_eq!(world.get("/answers/flaky", &session.voucher(PRICE)).await.text(), "served 2");
    assert_eq!(world.served.count(), 2);
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_repeat_is_served() {
    let (world, session) = opened().await;
    let failed = world.get("/answers/panic", &session.voucher(PRICE)).await;
    assert_eq!((failed.status.as_u16(), failed.header("payment-receipt")), (500, None));
    assert_eq!(world.get("/answers/panic", &session.voucher(PRICE)).await.text(), "served 2");
    assert_eq!(spent(&world, &session).await, PRICE);
}

#[tokio::test]
async fn hanging_up_does_not_make_the_service_work_twice() {
    let (world, session) = opened().await;
    let credential = session.voucher(PRICE);
    while world.served.count() == 0 {
        let hung_up =
            tokio::time::timeout(std::time::Duration::from_millis(10), world.get("/ahead", &credential));
        assert!(hung_up.await.is_err(), "the handler takes longer");
    }
    assert_eq!(world.get("/ahead", &credential).await.text(), "served 1");
    assert_eq!((world.served.count(), spent(&world, &session).await), (1, PRICE));
}

#[tokio::test]
async fn free_repeats_of_a_failure_are_rate_limited() {
    let (world, session) = opened().await;
    for _ in 0..6 {
        assert_eq!(world.get("/answers/down", &session.voucher(PRICE)).await.status, 500);
    }
    let again = request(Method::GET, "/answers/down", Some(&session.voucher(PRICE)), "");
    world.refuses(again, 429, "about:blank", "rate-limited").await;
    assert_eq!(world.get("/paid", &session.voucher(2 * PRICE)).await.status, 200, "the channel goes on");
}

#[tokio::test]
async fn an_answer_below_500_is_kept_and_without_success_carries_no_receipt() {
    let (world, session) = opened().await;
    for _ in 0..2 {
        let answer = world.get("/answers/missing", &session.voucher(PRICE)).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (404, "no 1"));
        assert_eq!(answer.header("payment-receipt"), None);
    }
}

#[tokio::test]
async fn a_body_too_long_to_keep_is_not_served_twice() {
    let (world, session) = opened().await;
    let first = world.get("/answers/large", &session.voucher(PRICE)).await;
    assert_eq!(first.body.len(), toll_gateway::MAX_REPLAY_BODY + 1);
    stored(&world).await;
    let again = request(Method::GET, "/answers/large", Some(&session.voucher(PRICE)), "");
    world.refuses(again, 409, "about:blank", "replay-body-gone").await;
}

#[tokio::test]
async fn a_stream_is_passed_on_and_kept() {
    let (world, session) = opened().await;
    let first = world.get("/answers/stream", &session.voucher(PRICE)).await;
    assert_eq!(first.text(), "0;1;2;3;");
    first.receipt();
    stored(&world).await;
    assert_eq!(world.get("/answers/stream", &session.voucher(PRICE)).await.text(), "0;1;2;3;");
    assert_eq!(world.served.count(), 1);
}

#[tokio::test]
async fn a_stream_that_broke_off_is_not_served_twice() {
    let (world, session) = opened().await;
    world.get("/answers/broken", &session.voucher(PRICE)).await;
    stored(&world).await;
    let again = request(Method::GET, "/answers/broken", Some(&session.voucher(PRICE)), "");
    world.refuses(again, 409, "about:blank", "replay-body-gone").await;
}

/// Streamed answers are kept in the background.
async fn stored(world: &World) {
    let commits = world.ledger.commits();
    for _ in 0..20 {
        world.ledger.changed(std::time::Duration::from_millis(10)).await;
        if world.ledger.commits() > commits {
            break;
        }
    }
}

#[tokio::test]
async fn an_old_repeat_is_neither_served_nor_charged() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await;
    world.pass(REPLAY_RETENTION + 1).await;
    world.ledger.purge(world.ledger.now()).await.expect("ledger");
    let again = request(Method::GET, "/paid", Some(&session.voucher(PRICE)), "");
    world.refuses(again, 409, "about:blank", "replay-body-gone").await;
}

#[tokio::test]
async fn a_request_without_a_key_is_one_write() {
    let (world, session) = opened().await;
    // That the open landed is written down after the channel is served.
    while !world.ledger.unresolved().await.expect("ledger").is_empty() {
        world.ledger.changed(std::time::Duration::from_millis(10)).await;
    }
    let before = world.ledger.commits();
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.get("/paid", &session.voucher(2 * PRICE)).await.receipt();
    assert_eq!(world.ledger.commits() - before, 2, "two charges; the repeat changed nothing");
    assert_eq!(world.ledger.answer_bytes().await.expect("ledger"), 0);
    world.send(keyed("/paid", &session.voucher(3 * PRICE), "k")).await.receipt();
    stored(&world).await;
    assert!(world.ledger.answer_bytes().await.expect("ledger") > 0);
}

/// The gateway is killed and started again.
fn restarted(world: &World) -> World {
    World::over(world.ledger.clone(), world.clock.clone(), crate::world::terms())
}

#[tokio::test]
async fn a_keyed_answer_outlives_a_restart() {
    let (world, session) = opened().await;
    let first = world.send(keyed("/paid", &session.voucher(PRICE), "k")).await;
    stored(&world).await;
    let later = restarted(&world);
    let again = later.send(keyed("/paid", &session.voucher(PRICE), "k")).await;
    assert_eq!((again.status, again.body), (first.status, first.body));
    assert_eq!(later.served.count(), 0);
}

#[tokio::test]
async fn after_a_restart_the_last_request_runs_once_more_at_no_charge() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.pass(1).await;
    let later = restarted(&world);
    assert_eq!(later.get("/paid", &session.voucher(PRICE)).await.text(), "served 1");
    stored(&later).await;
    for gateway in [&later, &restarted(&later)] {
        assert_eq!(gateway.get("/paid", &session.voucher(PRICE)).await.text(), "served 1");
    }
    assert_eq!((later.served.count(), spent(&later, &session).await), (1, PRICE));
}

#[tokio::test]
async fn after_a_restart_what_was_paid_before_the_last_requests_is_not_served_again() {
    let (world, session) = opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.pass(60).await;
    world.get("/paid", &session.voucher(2 * PRICE)).await.receipt();
    let later = restarted(&world);
    let again = request(Method::GET, "/paid", Some(&session.voucher(PRICE)), "");
    later.refuses(again, 409, "about:blank", "replay-body-gone").await;
}

#[tokio::test]
async fn an_answer_that_was_forgotten_is_not_served_again() {
    let world = World::with(|terms| terms.limits.recent_answer_bytes_per_channel = 1_000).await;
    let session = world.opened().await;
    world.pass(1).await;
    for round in 1..=3 {
        world.get("/paid", &session.voucher(round * PRICE)).await.receipt();
    }
    let again = request(Method::GET, "/paid", Some(&session.voucher(PRICE)), "");
    world.refuses(again, 409, "about:blank", "replay-body-gone").await;
    assert_eq!(world.get("/paid", &session.voucher(3 * PRICE)).await.text(), "served 3");
}

#[tokio::test]
async fn answers_of_all_channels_share_a_memory() {
    let limits = |terms: &mut toll_gateway::Terms| {
        (terms.limits.recent_answer_bytes, terms.limits.recent_answer_bytes_per_channel) = (1_000, 1_000);
    };
    let world = World::with(limits).await;
    let (session, other) = (world.opened().await, world.opened_with(8, 1_000).await);
    world.pass(1).await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.get("/paid", &other.voucher(PRICE)).await.receipt();
    let again = request(Method::GET, "/paid", Some(&session.voucher(PRICE)), "");
    world.refuses(again, 409, "about:blank", "replay-body-gone").await;
    assert_eq!(world.get("/paid", &other.voucher(PRICE)).await.text(), "served 2");
}

#[tokio::test]
async fn handlers_cannot_forge_receipts_or_public_caching() {
    let (world, session) = opened().await;
    let answer = world.get("/answers/forged", &session.voucher(PRICE)).await;
    assert_eq!(answer.receipt().spent.get(), PRICE);
    assert_eq!(answer.header("cache-control"), Some("max-age=9, private"));
}

#[tokio::test]
async fn no_receipt_of_an_upstreams_own_passes_whatever_it_answers() {
    let (world, session) = opened().await;
    for (nth, status) in [(1, 302), (2, 404), (3, 500)] {
        let path = format!("/answers/forged-{status}");
        let answer = world.get(&path, &session.voucher(nth * PRICE)).await;
        assert_eq!((answer.status.as_u16(), answer.header("payment-receipt")), (status, None));
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_the_charge() {
    let (world, mut session) = opened().await;
    session.challenge = world.challenge_for(Method::POST, "/echo").await;
    let long: &'static str = Box::leak("x".repeat(1_025).into_boxed_str());
    let post = request(Method::POST, "/echo", Some(&session.voucher(PRICE)), long);
    world.refuses(post, 413, "about:blank", "body-too-large").await;
    assert_eq!(
        world.send(request(Method::POST, "/echo", Some(&session.voucher(PRICE)), &long[1..])).await.status,
        200
    );
}
