//! Prices that somebody else says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use toll_gateway::{
    FixedPrice, HookFailed, HookFailure, HookedPrice, PaymentLayer, Price, PriceHook, PriceQuestion,
    UsageReport,
};
use toll_protocol::Amount;

use crate::proxy::{Upstream, configured, guarded};
use crate::world::{PRICE, Session, World};

/// A hook behind a URL, which answers by what is asked for, and notes what it is told.
#[derive(Clone, Default)]
struct Hook {
    told: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Hook {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let hook = self.clone();
        let router = Router::new()
            .fallback(move |headers: HeaderMap, body: Bytes| std::future::ready(hook.answer(headers, &body)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/price")
    }

    fn answer(&self, headers: HeaderMap, body: &[u8]) -> Response {
        let asked: Value = serde_json::from_slice(body).expect("JSON");
        let answer = match asked["target"].as_str().unwrap_or_default() {
            target if target.contains("dear") => json!({"price": "40"}),
            target if target.contains("gift") => json!({"free": true}),
            target if target.contains("gone") => json!({"notFound": true}),
            target if target.contains("broken") => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            target if target.contains("nonsense") => json!({"price": 1.5}),
            _ => json!({}),
        };
        self.told.lock().expect("lock").push((headers, asked));
        answer.to_string().into_response()
    }

    /// What it was told of requests that were served, once it was told of `count`.
    async fn reports(&self, count: usize) -> Vec<Value> {
        loop {
            let told = self.told.lock().expect("lock").clone();
            let reports: Vec<_> =
                told.into_iter().map(|(_, said)| said).filter(|said| said["event"] == "usage").collect();
            if reports.len() >= count {
                return reports;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A world whose `/twin` is priced by a hook.
async fn hooked(on_failure: HookFailure) -> (World, Session, Hook, Upstream, tempfile::TempDir) {
    let (hook, upstream) = (Hook::default(), Upstream::default());
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("hook.secret");
    std::fs::write(&secret, "a secret of some length\n").expect("written");
    let (url, upstream_url) = (hook.start().await, upstream.start().await);
    let mut config = configured(&upstream_url, |gateway| {
        gateway.price_hook.url = Some(url);
        gateway.price_hook.secret_file = Some(secret);
        gateway.price_hook.timeout_ms = 10_000;
        gateway.price_hook.on_failure = on_failure;
    });
    for route in config.routes.iter_mut().filter(|route| route.path == "/twin") {
        route.price_hook = true;
    }
    let mut world = World::new().await;
    world.router = guarded(&world.ledger, &config);
    let session = world.opened().await;
    (world, session, hook, upstream, folder)
}

#[tokio::test]
async fn a_hook_says_the_price_and_is_told_what_was_charged() {
    let (world, session, hook, upstream, _folder) = hooked(HookFailure::Refuse).await;
    let challenge = world.challenge("/twin?dear").await;
    assert_eq!(challenge.session_request().unwrap().amount, Amount::new(40));
    let dear = Session { challenge, ..session.clone() };
    let answer = world.get("/twin?dear", &dear.voucher(40)).await;
    assert_eq!(answer.receipt().spent, Amount::new(40));

    // Its own price, and not the one of another question.
    world.is_refusal(&world.get("/twin?x", &dear.voucher(80)).await, 402, "invalid-challenge", "challenge");
    let answer = world.get("/twin?x", &session.voucher(40 + PRICE)).await;
    assert_eq!(answer.receipt().spent, Amount::new(40 + PRICE));

    assert_eq!(world.get("/twin?gift", "Bearer x").await.text(), "first;second;");
    assert_eq!(world.get("/twin?gone", "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(upstream.calls(), 3);

    let reports = hook.reports(2).await;
    let payer = crate::world::PAYER.pubkey().to_string();
    for (report, charged) in reports.iter().zip([40, PRICE]) {
        assert_eq!(report["charged"], charged.to_string());
        assert_eq!((&report["payer"], &report["status"]), (&json!(payer), &json!(200)));
        assert_eq!(
            (&report["channelId"], &report["route"]),
            (&json!(session.id.to_string()), &json!("* /twin"))
        );
    }
    let told = hook.told.lock().unwrap().clone();
    assert!(told.iter().all(|(headers, _)| headers["x-toll-hook-secret"] == "a secret of some length"));
    let (_, first) = &told[0];
    assert_eq!(
        *first,
        json!({"event": "quote", "method": "GET", "target": "/twin?dear", "route": "* /twin", "price": "16"})
    );
}

#[tokio::test]
async fn a_request_whose_price_nobody_says_is_refused_or_costs_its_route() {
    let (world, session, _hook, upstream, _folder) = hooked(HookFailure::Refuse).await;
    for target in ["/twin?broken", "/twin?nonsense"] {
        let answer = world.get(target, &session.voucher(PRICE)).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("2")));
        assert_eq!(answer.json()["code"], "unavailable");
    }
    assert_eq!((upstream.calls(), world.channel(&session.id).await.watermarks.accepted), (0, Amount::ZERO));

    let (world, session, _hook, _upstream, _folder) = hooked(HookFailure::Price).await;
    let answer = world.get("/twin?broken", &session.voucher(PRICE)).await;
    assert_eq!(answer.receipt().spent, Amount::new(PRICE));
}

/// A hook of the embedding program.
#[derive(Default)]
struct Closure {
    reports: Mutex<Vec<UsageReport>>,
}

impl PriceHook for Closure {
    fn quote(&self, question: PriceQuestion) -> BoxFuture<'static, Result<HookedPrice, HookFailed>> {
        let hangs = question.target.query() == Some("hangs");
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(HookedPrice::Price(Amount::new(question.price.get() + 1)))
        }
        .boxed()
    }

    fn report(&self, report: UsageReport) -> BoxFuture<'static, Result<(), HookFailed>> {
        self.reports.lock().expect("lock").push(report);
        std::future::ready(Ok(())).boxed()
    }
}

#[tokio::test]
async fn a_program_prices_its_requests_itself_and_is_not_waited_for_longer_than_it_says() {
    let mut world = World::new().await;
    let session = world.opened().await;
    let FixedPrice(price) = FixedPrice::new(Amount::new(PRICE));
    let price = FixedPrice(Price { asks_hook: true, ..price });
    let hook = Arc::new(Closure::default());
    let layer = PaymentLayer::new(Arc::clone(&world.gateway), Arc::new(price)).with_price_hook(
        Arc::clone(&hook) as Arc<dyn PriceHook>,
        Duration::from_millis(20),
        HookFailure::Refuse,
    );
    world.router = Router::new().route("/paid", axum::routing::get(async || "served")).layer(layer);
    let session = Session { challenge: world.challenge("/paid").await, ..session };
    assert_eq!(world.get("/paid?hangs", &session.voucher(PRICE + 1)).await.status.as_u16(), 503);
    let answer = world.get("/paid", &session.voucher(PRICE + 1)).await;
    assert_eq!(answer.receipt().spent, Amount::new(PRICE + 1));
    let reports = hook.reports.lock().unwrap().clone();
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].charged, reports[0].status), (Amount::new(PRICE + 1), 200));
}
