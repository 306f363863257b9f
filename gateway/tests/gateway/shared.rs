//! Two gateways on one ledger, on a file and on a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use tokio::task::JoinSet;
use toll_gateway::Terms;
use toll_ledger::{Fault, Ledger, LedgerConfig, ManualClock, TestProxy, TestServer};

use crate::world::{DEPOSIT, PRICE, START, Session, World, request, terms};

/// The terms of the other tests; a server on a busy machine takes its time to show that an open has landed.
fn patient() -> Terms {
    Terms { landing_timeout: 30, ..terms() }
}

/// Two gateways, of which the first opens channels, and where they stand.
async fn gateways(config: LedgerConfig) -> [World; 2] {
    let clock = ManualClock::new(START);
    let first = Ledger::with(config.clone(), clock.clone()).expect("a ledger");
    let second = Ledger::with(config, clock.clone()).expect("the same");
    let first = World::over(first, clock.clone(), patient());
    first.publish_tip(crate::world::SLOT).await;
    first.ledger.mark_channels_observed(START).await.expect("ledger");
    let second = World::over(second, clock, patient());
    second.chain(crate::settler::Chain::Silent).await;
    [first, second]
}

/// Calls `claim` on a file, and on a server where there is one.
async fn on_both_engines(claim: impl AsyncFn([World; 2])) {
    let directory = tempfile::tempdir().expect("a folder");
    claim(gateways(LedgerConfig::new(directory.path().join("ledger.db"))).await).await;
    if let Some(server) = TestServer::start() {
        claim(gateways(LedgerConfig::at(server.blank())).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_sell_no_more_than_the_deposit_and_serve_each_voucher_once() {
    on_both_engines(async |worlds| {
        let session = worlds[0].opened().await;
        worlds[0].pass(1).await;
        let worlds = worlds.map(Arc::new);
        let highest = Arc::new(AtomicU64::new(0));
        let mut payers = JoinSet::new();
        for payer in 0..6 {
            let (world, session) = (Arc::clone(&worlds[payer % 2]), session.clone());
            let highest = Arc::clone(&highest);
            payers.spawn(async move {
                let mut served = 0;
                for _ in 0..60 {
                    let next = highest.load(Ordering::SeqCst) + PRICE;
                    let answer = world.get("/paid", &session.voucher(next)).await;
                    match answer.status.as_u16() {
                        200 => {
                            served += u64::from(answer.text().starts_with("served"));
                            highest.fetch_max(next, Ordering::SeqCst);
                        }
                        402 | 409 | 429 | 503 => {}
                        other => panic!("{other} {}", answer.text()),
                    }
                    tokio::task::yield_now().await;
                }
                served
            });
        }
        payers.join_all().await;
        let record = worlds[0].channel(&session.id).await;
        let marks = record.watermarks;
        assert!(marks.accepted <= marks.deposit && marks.accepted == marks.spent, "{marks:?}");
        assert!(marks.spent.get() > 10 * PRICE, "{marks:?}");
        let served = worlds.iter().map(|world| world.served.count() as u64).sum::<u64>();
        // The first one was served with the open.
        assert_eq!(served * PRICE, marks.spent.get(), "each charge was served once, by one of them");
        assert!(marks.spent.get() <= DEPOSIT);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_was_paid_for_another_neither_charges_nor_serves() {
    let Some(server) = TestServer::start() else { return };
    let config = LedgerConfig::at(server.blank());
    let [first, second] = gateways(config.clone()).await;
    let session = first.opened().await;
    first.get("/paid", &session.voucher(PRICE)).await.receipt();
    // One that starts later, and does not know what the first has in memory.
    let clock = second.clock.clone();
    clock.advance(1);
    let later = World::over(Ledger::with(config, clock.clone()).expect("a ledger"), clock, patient());
    later.chain(crate::settler::Chain::Silent).await;
    for other in [&second, &later] {
        let again = other.get("/paid", &session.voucher(PRICE)).await;
        assert_eq!(again.status, 409, "{}", again.text());
        assert_eq!(other.served.count(), 0);
    }
    assert_eq!(first.channel(&session.id).await.watermarks.spent.get(), PRICE);
}

/// A gateway whose connection to its ledger breaks where the test says.
async fn cut_off(server: &TestServer) -> (TestProxy, World, Session) {
    let (proxy, config) = TestProxy::before(&LedgerConfig::at(server.blank())).expect("a server");
    let [world, _] = gateways(LedgerConfig { server_patience_seconds: 5, ..config }).await;
    let session = world.opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    (proxy, world, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_doubt_is_answered_503_and_its_repeat_is_charged_and_served_once() {
    let Some(server) = TestServer::start() else { return };
    let (proxy, world, session) = cut_off(&server).await;
    // Nothing else commits meanwhile.
    world.chain(crate::settler::Chain::Silent).await;
    for (nth, fault) in [(2, Fault::BeforeCommit), (3, Fault::AfterCommit), (4, Fault::AfterCommit)] {
        let served = world.served.count();
        let authorization = session.voucher(nth * PRICE);
        let mut paid = request(Method::GET, "/paid", Some(&authorization), "");
        if nth == 4 {
            paid.headers_mut().insert("idempotency-key", "four".parse().expect("a header"));
        }
        proxy.fail(fault);
        let answer = world.send(paid).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.json()["code"], "unavailable");
        let wait: u32 = answer.header("retry-after").expect("when to come again").parse().expect("seconds");
        assert!(wait > 0);
        assert_eq!(world.served.count(), served, "nothing is served on a commit in doubt");

        let mut again = request(Method::GET, "/paid", Some(&authorization), "");
        if nth == 4 {
            again.headers_mut().insert("idempotency-key", "four".parse().expect("a header"));
        }
        world.send(again).await.receipt();
        assert_eq!(world.served.count(), served + 1);
        let marks = world.channel(&session.id).await.watermarks;
        assert_eq!((marks.accepted.get(), marks.spent.get()), (nth * PRICE, nth * PRICE));
    }
    assert_eq!(proxy.struck(), 3);
}

/// A request that every gateway recognizes.
fn keyed(session: &Session, cumulative: u64) -> axum::extract::Request {
    let mut request = request(Method::GET, "/answers/slow", Some(&session.voucher(cumulative)), "");
    request.headers_mut().insert("idempotency-key", cumulative.to_string().parse().expect("a header"));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_key_runs_at_one_of_two_gateways_and_both_give_its_answer() {
    let Some(server) = TestServer::start() else { return };
    let [first, second] = gateways(LedgerConfig::at(server.blank())).await;
    let session = first.opened().await;
    for nth in 1..=5 {
        let before = first.served.count() + second.served.count();
        let both = [&first, &second].map(|world| world.send(keyed(&session, nth * PRICE)));
        let [one, other] = <[_; 2]>::try_from(futures::future::join_all(both).await).expect("two");
        assert_eq!(
            (one.status.as_u16(), other.status.as_u16()),
            (200, 200),
            "{} {}",
            one.text(),
            other.text()
        );
        assert_eq!(one.text(), other.text());
        assert_eq!(first.served.count() + second.served.count(), before + 1);
    }
    assert_eq!(first.channel(&session.id).await.watermarks.spent.get(), 5 * PRICE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_that_died_was_answering_another_answers_once_its_turn_is_over() {
    let Some(server) = TestServer::start() else { return };
    let [first, second] = gateways(LedgerConfig::at(server.blank())).await;
    let first = Arc::new(first);
    let session = first.opened().await;
    let (dying, paid) = (Arc::clone(&first), keyed(&session, PRICE));
    let hanging = tokio::spawn(async move { dying.send(paid).await });
    while first.served.count() == 0 {
        tokio::task::yield_now().await;
    }
    // It answers in the background, whoever hangs up: only the end of its process ends that.
    first.ledger.meddle("UPDATE serving SET holder = substr(replay_key, 1, 16)");
    hanging.abort();

    let asked = second.send(keyed(&session, PRICE));
    let patience = std::time::Duration::from_millis(400);
    assert!(tokio::time::timeout(patience, asked).await.is_err(), "another may be answering");
    assert_eq!(second.served.count(), 0);
    first.ledger.meddle("UPDATE serving SET expires_at = expires_at - 30");
    let answer = second.send(keyed(&session, PRICE)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(first.channel(&session.id).await.watermarks.spent.get(), PRICE);
}
