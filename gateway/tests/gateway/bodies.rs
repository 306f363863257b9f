//! Bodies of paid requests, and of the upstream's answers: bounded in time and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::Method;
use tokio::sync::{mpsc, oneshot};
use toll_gateway::GatewayConfig;

use crate::proxy::{Proxied, Upstream, proxied_to};
use crate::world::{PRICE, Session, World, request};

/// A body that is sent piece by piece, and how often the server asked for one.
fn dripping() -> (Body, mpsc::UnboundedSender<&'static str>, Arc<AtomicUsize>) {
    let (sender, receiver) = mpsc::unbounded_channel::<&'static str>();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let pieces = futures::stream::unfold(receiver, move |mut receiver| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { receiver.recv().await.map(|piece| (piece, receiver)) }
    });
    (Body::from_stream(pieces.map(Ok::<_, std::io::Error>)), sender, asked)
}

fn post(authorization: &str, body: Body) -> http::Request<Body> {
    let mut request = request(Method::POST, "/echo", Some(authorization), "");
    *request.body_mut() = body;
    request
}

async fn echoing(change: impl FnOnce(&mut GatewayConfig)) -> (World, Session) {
    let upstream = Upstream::default();
    let url = upstream.start().await;
    let (Proxied { world, .. }, mut session) = proxied_to(upstream, &url, change).await;
    session.challenge = world.challenge_for(Method::POST, "/echo").await;
    (world, session)
}

const HALF: &str = "a body of which two do not fit into sixty bytes";

#[tokio::test]
async fn bodies_share_a_budget_and_give_it_back() {
    let (world, session) = echoing(|gateway| {
        gateway.request_body_limit = 60;
        gateway.transport.buffered_body_bytes = 60;
    })
    .await;
    let world = Arc::new(world);
    let (body, sender, asked) = dripping();
    sender.send(HALF).expect("open");
    let first = tokio::spawn({
        let (world, authorization) = (Arc::clone(&world), session.voucher(PRICE));
        async move { world.send(post(&authorization, body)).await }
    });
    while asked.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = session.voucher(2 * PRICE);
    let refused = post(&second, Body::from(HALF));
    let answer = world.refuses(refused, 503, "about:blank", "unavailable").await;
    assert_eq!(answer.header("retry-after"), Some("1"));

    drop(sender);
    assert_eq!(first.await.expect("joined").text(), HALF);
    // The upstream's client lets go of the bytes in its own time.
    let answer = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let answer = world.send(post(&second, Body::from(HALF))).await;
            if answer.status != 503 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(answer.await.expect("room again").text(), HALF);
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_a_408_and_buys_nothing() {
    let (world, session) = echoing(|gateway| gateway.transport.body_timeout_seconds = 1).await;
    let (body, sender, _) = dripping();
    sender.send("begun").expect("open");
    let request = post(&session.voucher(PRICE), body);
    world.refuses(request, 408, "about:blank", "body-timeout").await;
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_not_read() {
    let (world, session) = echoing(|gateway| gateway.request_body_limit = 3).await;
    let request = post(&session.voucher(PRICE), Body::from("four"));
    world.refuses(request, 413, "about:blank", "body-too-large").await;
    let (body, sender, _) = dripping();
    sender.send("fo").expect("open");
    sender.send("ur").expect("open");
    let request = post(&session.voucher(PRICE), body);
    world.refuses(request, 413, "about:blank", "body-too-large").await;
}

#[tokio::test]
async fn a_stale_voucher_buys_the_reading_of_few_bodies() {
    let world = World::with(|terms| terms.limits.refusals_per_second = 1).await;
    let mut session = world.opened().await;
    session.challenge = world.challenge_for(Method::POST, "/echo").await;
    for count in 1..3 {
        let paid = post(&session.voucher(count * PRICE), Body::from("paid"));
        world.send(paid).await.receipt();
    }
    let mut read = 0;
    for _ in 0..20 {
        let (body, sender, asked) = dripping();
        drop(sender);
        let answer = world.send(post(&session.voucher(PRICE), body)).await;
        assert_ne!(answer.status, 200);
        read += usize::from(asked.load(Ordering::SeqCst) > 0);
    }
    assert!((1..20).contains(&read), "{read} of 20 were read");
}

#[tokio::test]
async fn an_upstream_that_stops_in_the_middle_of_an_answer_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let router = axum::Router::new().fallback(|| async {
        let begun = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"begun"))]);
        Body::from_stream(begun.chain(futures::stream::pending()))
    });
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) }).await
    });
    let change = |gateway: &mut GatewayConfig| gateway.transport.upstream_stall_timeout_seconds = 1;
    let (Proxied { world, .. }, session) = proxied_to(Upstream::default(), &url, change).await;
    let voucher = session.voucher(PRICE);
    let paid = world.get("/paid", &voucher);
    let answer = tokio::time::timeout(Duration::from_secs(60), paid).await.expect("an end");
    assert_eq!(answer.text(), "", "the body broke off");
    assert_eq!(world.channel(&session.id).await.watermarks.spent.get(), PRICE);
    stop.send(()).ok();
}
