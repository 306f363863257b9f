//! Requests that are charged for what they used.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use toll_protocol::Receipt;
use tower::ServiceExt;

use crate::world::{PRICE, Session, World, request};

fn json_answer(body: serde_json::Value) -> Response<Body> {
    Response::builder().header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
}

fn tokens(used: (u64, u64)) -> impl Fn(&str) -> Response<Body> {
    move |_| json_answer(json!({"text": "hello", "usage": {"in": used.0, "out": used.1}}))
}

/// Accepted, spent and earmarked.
async fn figures(world: &World, session: &Session) -> (u64, u64, u64) {
    let marks = world.channel(&session.id).await.watermarks;
    (marks.accepted.get(), marks.spent.get(), marks.earmarked.get())
}

fn amounts(receipt: &Receipt) -> (u64, u64) {
    (receipt.accepted_cumulative.get(), receipt.spent.get())
}

async fn metered(path: &str) -> (World, Session) {
    let world = World::new().await;
    let session = world.opened().await;
    let challenge = world.challenge(path).await;
    (world, Session { challenge, ..session })
}

#[tokio::test]
async fn what_was_used_is_charged_and_the_rest_pays_for_the_next_request() {
    let (world, session) = metered("/metered/tokens").await;
    world.served.answers(tokens((5, 12)));
    let answer = world.get("/metered/tokens", &session.voucher(100)).await;
    // 1, and 3 for every 2 in, rounded up, and 2 each for ten out and 1 each for two.
    let cost = 1 + 8 + 22;
    assert_eq!(amounts(&answer.receipt()), (100, cost));
    assert_eq!(answer.json()["text"], "hello");
    assert_eq!(figures(&world, &session).await, (100, cost, 0));

    // The next one needs 100 at hand again, of which 69 are there.
    let short = world.get("/metered/tokens", &session.voucher(130)).await;
    world.is_refusal(&short, 402, "verification-failed", "insufficient");
    assert_eq!(short.json()["requiredCumulative"], "131");
    assert_eq!(world.served.count(), 1);
    let answer = world.get("/metered/tokens", &session.voucher(131)).await;
    assert_eq!(amounts(&answer.receipt()), (131, 2 * cost));
}

#[tokio::test]
async fn nothing_costs_more_than_the_cap() {
    let (world, session) = metered("/metered/tokens").await;
    world.served.answers(tokens((1_000, u64::MAX)));
    let answer = world.get("/metered/tokens", &session.voucher(100)).await;
    assert_eq!(amounts(&answer.receipt()), (100, 90));
}

#[tokio::test]
async fn what_the_upstream_does_not_report_costs_what_was_authorized() {
    let (world, session) = metered("/metered/tokens").await;
    world.served.answers(|_| json_answer(json!({"usage": {"in": 1}})));
    let answer = world.get("/metered/tokens", &session.voucher(100)).await;
    assert_eq!(amounts(&answer.receipt()), (100, 90), "as much as the cap allows");
}

#[tokio::test]
async fn usage_is_found_at_the_end_of_an_answer_that_is_no_json() {
    let (world, session) = metered("/metered/tokens").await;
    world.served.answers(|_| {
        let lines = format!("{}\n{{\"usage\":{{\"in\":2,\"out\":3}}}}\n", "{\"text\":\"x\"}\n".repeat(5_000));
        let chunks = [Ok::<_, std::io::Error>(lines)];
        Response::new(Body::from_stream(futures::stream::iter(chunks)))
    });
    let answer = world.get("/metered/tokens", &session.voucher(100)).await;
    assert_eq!(amounts(&answer.receipt()), (100, 0), "what stood before it began");
    settled(&world, &session).await;
    assert_eq!(figures(&world, &session).await, (100, 1 + 3 + 6, 0));
}

/// Waits until nothing is earmarked any more.
pub(crate) async fn settled(world: &World, session: &Session) {
    let mut changes = world.ledger.changes();
    while figures(world, session).await.2 > 0 {
        changes.changed(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn bytes_seconds_headers_and_trailers_are_counted() {
    let (world, session) = metered("/metered/bytes").await;
    world.served.answers(|_| Response::new(Body::from(vec![b'x'; 1_025])));
    let answer = world.get("/metered/bytes", &session.voucher(100)).await;
    assert_eq!(amounts(&answer.receipt()), (100, 2));

    let slow = Session { challenge: world.challenge("/metered/slow").await, ..session.clone() };
    let clock = world.clock.clone();
    world.served.answers(move |_| {
        clock.advance(3);
        Response::new(Body::from("done"))
    });
    let answer = world.get("/metered/slow", &slow.voucher(102)).await;
    assert_eq!(amounts(&answer.receipt()), (102, 17));

    let reported = Session { challenge: world.challenge("/metered/reported").await, ..session };
    world.served.answers(|_| {
        let trailers = HeaderMap::from_iter([("x-more".parse().unwrap(), "4".parse().unwrap())]);
        let frames = [Ok(Frame::data(Bytes::from("{}"))), Ok::<_, std::io::Error>(Frame::trailers(trailers))];
        let body = StreamBody::new(futures::stream::iter(frames));
        let response = Response::builder().header("x-units", "7").header("content-type", "application/json");
        response.body(Body::new(body)).unwrap()
    });
    let answer = world.get("/metered/reported", &reported.voucher(117)).await;
    assert_eq!(amounts(&answer.receipt()), (117, 17 + 14 + 4));
}

#[tokio::test]
async fn a_failure_is_free_where_the_route_says_so_and_its_price_pays_for_the_next_request() {
    let world = World::new().await;
    let session = world.opened().await;
    let challenge = world.challenge("/forgiven/missing").await;
    let session = Session { challenge, ..session };
    let answer = world.get("/forgiven/missing", &session.voucher(PRICE)).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (404, "no 1"));
    assert_eq!(answer.header("payment-receipt"), None);
    assert_eq!(figures(&world, &session).await, (PRICE, 0, 0));

    let answer = world.get("/forgiven/down", &session.voucher(PRICE + 1)).await;
    assert_eq!(answer.status.as_u16(), 500);
    assert_eq!(figures(&world, &session).await, (PRICE + 1, 0, 0));

    let answer = world.get("/forgiven/fine", &session.voucher(PRICE + 2)).await;
    assert_eq!(amounts(&answer.receipt()), (PRICE + 2, PRICE));
    assert_eq!(figures(&world, &session).await, (PRICE + 2, PRICE, 0));
}

#[tokio::test]
async fn a_failure_costs_the_price_unless_the_route_says_otherwise() {
    let world = World::new().await;
    let session = world.opened().await;
    let answer = world.get("/answers/missing", &session.voucher(PRICE)).await;
    assert_eq!(answer.status.as_u16(), 404);
    assert_eq!(figures(&world, &session).await, (PRICE, PRICE, 0));

    let session = Session { challenge: world.challenge("/metered/strict").await, ..session };
    world.served.answers(|_| Response::builder().status(404).body(Body::empty()).unwrap());
    let answer = world.get("/metered/strict", &session.voucher(PRICE + 100)).await;
    assert_eq!(answer.status.as_u16(), 404);
    assert_eq!(figures(&world, &session).await, (PRICE + 100, PRICE + 100, 0));
}

#[tokio::test]
async fn a_request_that_failed_for_free_is_served_again_for_its_voucher() {
    let world = World::new().await;
    let session = world.opened().await;
    let session = Session { challenge: world.challenge("/forgiven/flaky").await, ..session };
    assert_eq!(world.get("/forgiven/flaky", &session.voucher(PRICE)).await.status.as_u16(), 503);
    let answer = world.get("/forgiven/flaky", &session.voucher(PRICE)).await;
    assert_eq!((answer.text(), amounts(&answer.receipt())), ("served 2", (PRICE, PRICE)));
    let again = world.get("/forgiven/flaky", &session.voucher(PRICE)).await;
    assert_eq!((again.text(), world.served.count()), ("served 2", 2), "the answer is kept");
}

#[tokio::test]
async fn a_repeat_of_a_metered_request_gets_its_answer_and_is_charged_once() {
    let (world, session) = metered("/metered/tokens").await;
    world.served.answers(tokens((2, 2)));
    let keyed = || {
        let mut request = request(Method::GET, "/metered/tokens", Some(&session.voucher(100)), "");
        request.headers_mut().insert("idempotency-key", "one".parse().unwrap());
        request
    };
    let first = world.send(keyed()).await;
    let again = world.send(keyed()).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(world.served.count(), 1);
    assert_eq!(figures(&world, &session).await, (100, 8, 0));
}

#[tokio::test]
async fn what_is_being_served_is_not_sold_twice() {
    let (world, session) = metered("/metered/tokens").await;
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Result<String, std::io::Error>>();
    let receiver = std::sync::Mutex::new(Some(receiver));
    world.served.answers(move |_| {
        let receiver = receiver.lock().unwrap().take().unwrap();
        let chunks = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        Response::builder()
            .header("content-type", "application/json")
            .body(Body::from_stream(chunks))
            .unwrap()
    });
    let world = std::sync::Arc::new(world);
    let first = tokio::spawn({
        let (world, voucher) = (std::sync::Arc::clone(&world), session.voucher(100));
        async move { world.get("/metered/tokens", &voucher).await }
    });
    while world.served.count() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(figures(&world, &session).await, (100, 0, 100));
    // A voucher for the price of the other request, and no more: what is earmarked is not there for it.
    let paid = Session { challenge: world.challenge("/paid").await, ..session.clone() };
    let answer = world.get("/paid", &paid.voucher(100 + PRICE)).await;
    assert_eq!(amounts(&answer.receipt()), (100 + PRICE, PRICE));
    let low = world.get("/metered/tokens", &session.close(PRICE)).await;
    world.is_refusal(&low, 402, "verification-failed", "not-increasing");
    sender.send(Ok(r#"{"usage":{"in":0,"out":1}}"#.to_owned())).unwrap();
    drop(sender);
    assert_eq!(amounts(&first.await.unwrap().receipt()), (100 + PRICE, PRICE + 3));
    assert_eq!(figures(&world, &session).await, (100 + PRICE, PRICE + 3, 0));
}

#[tokio::test]
async fn answers_that_are_searched_come_uncompressed() {
    let (world, session) = metered("/metered/tokens").await;
    world.served.answers(tokens((1, 1)));
    let zipped = |path: &str, voucher: &str| {
        let mut request = request(Method::GET, path, Some(voucher), "");
        request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
        request
    };
    world.send(zipped("/metered/tokens", &session.voucher(100))).await.receipt();
    assert!(!world.served.last().0.contains_key("accept-encoding"));
    let bytes = Session { challenge: world.challenge("/metered/bytes").await, ..session };
    world.send(zipped("/metered/bytes", &bytes.voucher(200))).await.receipt();
    assert_eq!(world.served.last().0["accept-encoding"], "gzip");
}

#[tokio::test]
async fn a_long_answer_says_in_a_trailer_what_it_cost() {
    let (world, session) = metered("/metered/bytes").await;
    world.served.answers(|_| {
        let chunks = (0..3).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1_000]));
        Response::new(Body::from_stream(futures::stream::iter(chunks)))
    });
    let mut asked = request(Method::GET, "/metered/bytes", Some(&session.voucher(100)), "");
    asked.headers_mut().insert("te", "trailers".parse().unwrap());
    let response = world.router.clone().oneshot(asked).await.unwrap();
    assert_eq!(response.headers()["trailer"], "payment-receipt");
    let collected = response.into_body().collect().await.unwrap();
    let receipt = collected.trailers().unwrap()["payment-receipt"].to_str().unwrap();
    assert_eq!(amounts(&toll_protocol::parse_receipt(receipt).unwrap()), (100, 3));
    assert_eq!(collected.to_bytes().len(), 3_000);
    assert_eq!(figures(&world, &session).await, (100, 3, 0));
}

#[tokio::test]
async fn what_was_delivered_when_a_gateway_died_is_charged_and_the_rest_is_free() {
    let (world, session) = metered("/metered/tokens").await;
    // As a gateway leaves it that is killed in the middle of an answer.
    let key = toll_ledger::ReplayKey { key: [7; 32], fingerprint: [8; 32] };
    let voucher = session.signed(100).verify(&session.id, &session.signed(100).signer).unwrap();
    let charge = toll_ledger::Charge { replay: key, ..toll_ledger::Charge::of(100, 1) };
    world.ledger.earmark(&voucher, charge).await.unwrap();
    assert!(world.ledger.note_delivered(&key, toll_protocol::Amount::new(40)).await.unwrap());

    world.served.answers(tokens((0, 0)));
    let short = world.get("/metered/tokens", &session.voucher(140)).await;
    world.is_refusal(&short, 402, "verification-failed", "insufficient");
    assert_eq!(short.json()["requiredCumulative"], "200");
    world.pass(toll_ledger::EARMARK_LIFE).await;
    let answer = world.get("/metered/tokens", &session.voucher(140)).await;
    assert_eq!(amounts(&answer.receipt()), (140, 41));
}
