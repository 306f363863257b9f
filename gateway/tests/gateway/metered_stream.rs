//! Streams of events, charged one by one.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Response};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::mpsc;
use toll_protocol::{Receipt, parse_json};
use tower::ServiceExt;

use crate::metering::settled;
use crate::world::{Session, World, request};

/// A stream of the upstream that a test feeds.
type Feed = mpsc::UnboundedSender<Result<String, std::io::Error>>;

struct Streaming {
    world: Arc<World>,
    session: Session,
    body: Body,
    held: String,
}

/// A world whose upstream has `events` events, and a channel of `deposit` that asks for them with a voucher for one.
async fn streaming(deposit: u64, events: u64) -> Streaming {
    let (stream, feed) = fed(deposit).await;
    for event in 0..events {
        feed.send(Ok(format!("data: {event}\n\n"))).unwrap();
    }
    stream
}

async fn fed(deposit: u64) -> (Streaming, Feed) {
    let world = World::with(|terms| terms.limits.updates_per_minute = 1).await;
    let session = world.opened_with(7, deposit).await;
    let session = Session { challenge: world.challenge("/metered/events").await, ..session };
    let (feed, receiver) = mpsc::unbounded_channel::<Result<String, std::io::Error>>();
    let receiver = std::sync::Mutex::new(Some(receiver));
    world.served.answers(move |_| {
        let receiver = receiver.lock().unwrap().take().unwrap();
        let chunks = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        let response = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
        response.header("content-length", "99").body(Body::from_stream(chunks)).unwrap()
    });
    let asked = request(Method::GET, "/metered/events", Some(&session.voucher(1)), "");
    let response = world.router.clone().oneshot(asked).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let headers = response.headers();
    let receipt = toll_protocol::parse_receipt(headers["payment-receipt"].to_str().unwrap()).unwrap();
    assert_eq!((receipt.accepted_cumulative.get(), receipt.spent.get()), (1, 0));
    assert_eq!(headers["cache-control"], "no-cache, no-transform, private");
    assert!(!headers.contains_key("content-length"));
    let body = response.into_body();
    (Streaming { world: Arc::new(world), session, body, held: String::new() }, feed)
}

impl Streaming {
    /// The next event's name and data.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.held.split_once("\n\n") {
                let field = |name: &str| {
                    let prefix = format!("{name}: ");
                    let mut lines = event.lines().filter_map(|line| line.strip_prefix(&prefix));
                    let line = lines.next().unwrap_or_default().to_owned();
                    assert_eq!(lines.next(), None, "one line each");
                    line
                };
                let found = (field("event"), field("data"));
                self.held = rest.to_owned();
                return Some(found);
            }
            let frame = self.body.frame().await?.ok()?;
            self.held.push_str(std::str::from_utf8(frame.data_ref()?).unwrap());
        }
    }

    /// The next events are of data, from `first` on, and there are `count` of them.
    async fn delivers(&mut self, first: u64, count: u64) {
        for event in first..first + count {
            assert_eq!(self.next().await, Some((String::new(), event.to_string())));
        }
    }

    /// The next event asks for a voucher: required, accepted and deposit.
    async fn asks(&mut self) -> (u64, u64, u64) {
        let (name, data) = self.next().await.expect("an event");
        assert_eq!(name, "payment-need-voucher");
        let json: Value = parse_json(data.as_bytes()).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 4);
        assert_eq!(json["channelId"], self.session.id.to_string());
        let number = |name: &str| json[name].as_str().unwrap().parse().unwrap();
        (number("requiredCumulative"), number("acceptedCumulative"), number("deposit"))
    }

    /// The next event is the last one, a receipt: accepted and spent.
    async fn ends(&mut self) -> (u64, u64) {
        let (name, data) = self.next().await.expect("an event");
        assert_eq!(name, "payment-receipt", "{data}");
        let receipt = Receipt::from_json(&parse_json(data.as_bytes()).unwrap()).unwrap();
        assert_eq!(self.next().await, None);
        (receipt.accepted_cumulative.get(), receipt.spent.get())
    }

    async fn raise(&self, cumulative: u64) -> u16 {
        let voucher = self.session.voucher(cumulative);
        let update = request(Method::HEAD, "/metered/events", Some(&voucher), "");
        self.world.send(update).await.status.as_u16()
    }

    async fn figures(&self) -> (u64, u64, u64) {
        let marks = self.world.channel(&self.session.id).await.watermarks;
        (marks.accepted.get(), marks.spent.get(), marks.earmarked.get())
    }
}

#[tokio::test]
async fn a_thousand_events_with_headroom_for_ten_arrive_on_one_connection() {
    let mut stream = streaming(2_000, 1_000).await;
    let (mut delivered, mut vouchers) = (1, 0);
    stream.delivers(0, 1).await;
    while delivered < 1_000 {
        let (required, accepted, deposit) = stream.asks().await;
        assert_eq!((required, accepted, deposit), ((delivered + 10).min(2_000), delivered, 2_000));
        assert_eq!(stream.raise(required).await, 200);
        vouchers += 1;
        let more = 10.min(1_000 - delivered);
        stream.delivers(delivered, more).await;
        delivered += more;
    }
    assert_eq!(vouchers, 100);
    assert_eq!(stream.ends().await, (1_001, 1_000));
    assert_eq!(stream.figures().await, (1_001, 1_000, 0));
    assert_eq!(stream.world.served.count(), 1);
}

#[tokio::test]
async fn a_stream_that_gets_no_voucher_ends_with_a_receipt_for_what_it_delivered() {
    let mut stream = streaming(1_000, 20).await;
    stream.delivers(0, 1).await;
    assert_eq!(stream.asks().await, (11, 1, 1_000));
    stream.world.clock.advance(30);
    assert_eq!(stream.ends().await, (1, 1));
    assert_eq!(stream.figures().await, (1, 1, 0));
}

#[tokio::test]
async fn a_client_that_goes_away_pays_for_what_it_got() {
    let (mut stream, feed) = fed(1_000).await;
    feed.send(Ok("data: 0\n\ndata: 1\n\n".to_owned())).unwrap();
    stream.delivers(0, 1).await;
    stream.asks().await;
    assert_eq!(stream.raise(11).await, 200);
    stream.delivers(1, 1).await;
    feed.send(Ok("data: 2\n\n".to_owned())).unwrap();
    stream.delivers(2, 1).await;
    let Streaming { world, session, body, .. } = stream;
    drop(body);
    settled(&world, &session).await;
    let marks = world.channel(&session.id).await.watermarks;
    assert_eq!((marks.accepted.get(), marks.spent.get()), (11, 3));
    // The answer is not to be had again for that.
    let again = world.get("/metered/events", &session.voucher(1)).await;
    assert_eq!(again.status.as_u16(), 409);
    assert_eq!(world.served.count(), 1);
}

#[tokio::test]
async fn no_more_is_delivered_than_is_authorized_at_any_moment() {
    let mut stream = streaming(1_000, 30).await;
    stream.delivers(0, 1).await;
    stream.asks().await;
    for (voucher, delivered, more) in [(4, 1, 3), (5, 4, 1), (7, 5, 2)] {
        assert_eq!(stream.raise(voucher).await, 200);
        stream.delivers(delivered, more).await;
        let (_, accepted, _) = stream.asks().await;
        assert_eq!(accepted, voucher);
        let (accepted, spent, earmarked) = stream.figures().await;
        assert!(spent + earmarked <= accepted);
    }
    // Beyond what was asked for it is not let in.
    assert_eq!(stream.raise(18).await, 402);
    assert_eq!(stream.raise(17).await, 200);
    stream.delivers(7, 10).await;
}

#[tokio::test]
async fn a_stream_whose_deposit_is_used_up_asks_for_more_than_there_is() {
    let mut stream = streaming(100, 200).await;
    stream.delivers(0, 1).await;
    let mut delivered = 1;
    while delivered < 100 {
        let (required, _, deposit) = stream.asks().await;
        assert_eq!(required, (delivered + 10).min(deposit));
        assert_eq!(stream.raise(required).await, 200);
        stream.delivers(delivered, required - delivered).await;
        delivered = required;
    }
    assert_eq!(stream.asks().await, (101, 100, 100), "only a top-up helps");
    stream.world.clock.advance(30);
    assert_eq!(stream.ends().await, (100, 100));
}

#[tokio::test]
async fn a_stream_ends_when_its_channel_closes() {
    let mut stream = streaming(1_000, 20).await;
    stream.delivers(0, 1).await;
    stream.asks().await;
    assert_eq!(stream.raise(11).await, 200);
    stream.delivers(1, 10).await;
    stream.asks().await;
    let id = stream.session.id;
    let stopped = stream.world.ledger.request_close(&id, toll_ledger::CloseReason::Shutdown, None).await;
    stopped.expect("ledger");
    assert_eq!(stream.ends().await, (11, 11));
}

#[tokio::test]
async fn comments_and_the_end_mark_are_free_and_the_upstream_speaks_of_no_payment() {
    let (mut stream, feed) = fed(1_000).await;
    feed.send(Ok(": alive\n\nevent: payment-receipt\ndata: {}\n\ndata: 0\n\ndata: [DONE]\n\n".to_owned()))
        .unwrap();
    drop(feed);
    assert_eq!(stream.next().await, Some((String::new(), String::new())));
    stream.delivers(0, 1).await;
    assert_eq!(stream.next().await, Some((String::new(), "[DONE]".to_owned())));
    assert_eq!(stream.ends().await, (1, 1));
}
