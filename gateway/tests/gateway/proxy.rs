//! The reverse proxy, over real sockets.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpListener;
use toll_gateway::{Config, Gateway, GatewayConfig, proxy_router, route_table, serve};
use toll_ledger::Ledger;

use crate::world::{PAYER, PRICE, Session, World, config_text, request, secret, terms};

/// An upstream that notes what reaches it.
#[derive(Clone, Default)]
pub(crate) struct Upstream {
    seen: Arc<Mutex<Vec<(Method, String, HeaderMap)>>>,
}

impl Upstream {
    pub(crate) async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let upstream = self.clone();
        let router = Router::new().fallback(move |request: Request| upstream.clone().answer(request));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    async fn answer(self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().expect("a path").to_string();
        self.seen.lock().expect("lock").push((parts.method.clone(), target, parts.headers));
        let build = http::Response::builder().header("connection", "x-hop").header("x-hop", "1");
        let response = match parts.uri.path() {
            "/echo" => build.body(body),
            "/twin" => {
                let (sender, receiver) =
                    tokio::sync::mpsc::unbounded_channel::<Result<&str, std::io::Error>>();
                sender.send(Ok("first;")).expect("open");
                tokio::spawn(async move {
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    sender.send(Ok("second;")).ok();
                });
                let chunks = futures::stream::unfold(receiver, |mut receiver| async move {
                    receiver.recv().await.map(|chunk| (chunk, receiver))
                });
                build.body(Body::from_stream(chunks))
            }
            "/dear" => build.status(500).body(Body::from("broken")),
            _ => build.header("cache-control", "public").body(Body::from("upstream")),
        };
        response.expect("a response")
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().expect("lock").len()
    }

    fn last(&self) -> (Method, String, HeaderMap) {
        self.seen.lock().expect("lock").last().cloned().expect("a call")
    }
}

pub(crate) struct Proxied {
    pub(crate) world: World,
    pub(crate) upstream: Upstream,
}

pub(crate) fn configured(upstream: &str, change: impl FnOnce(&mut GatewayConfig)) -> Config {
    let mut config = Config::parse(&config_text()).expect("valid");
    config.gateway.upstream = upstream.to_owned();
    change(&mut config.gateway);
    config
}

pub(crate) fn guarded(ledger: &Ledger, config: &Config) -> Router {
    let terms = terms();
    let routes = route_table(&config.routes, &terms, config.gateway.unpriced).expect("routes");
    let gateway = Arc::new(Gateway::new(ledger.clone(), terms, secret()));
    proxy_router(gateway, Arc::new(routes), &config.gateway).expect("a router")
}

pub(crate) async fn proxied() -> (Proxied, Session) {
    let upstream = Upstream::default();
    let url = upstream.start().await;
    proxied_to(upstream, &url, |_| {}).await
}

pub(crate) async fn proxied_to(
    upstream: Upstream,
    url: &str,
    change: impl FnOnce(&mut GatewayConfig),
) -> (Proxied, Session) {
    let mut world = World::new().await;
    world.router = guarded(&world.ledger, &configured(url, change));
    let session = world.opened().await;
    (Proxied { world, upstream }, session)
}

#[tokio::test]
async fn a_paid_request_reaches_the_upstream_with_its_payer_and_without_its_credential() {
    let (Proxied { world, upstream }, session) = proxied().await;
    assert_eq!(upstream.calls(), 0, "the open did not");
    let mut paid = request(Method::GET, "/paid?city=x%20y", Some(&session.voucher(PRICE)), "");
    for (name, value) in [
        ("x-payer", "forged"),
        ("connection", "x-secret, close"),
        ("x-secret", "1"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
        ("proxy-authorization", "Basic x"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-kept", "1"),
        ("host", "api.example.com"),
    ] {
        paid.headers_mut().insert(name, value.parse().expect("value"));
    }
    let answer = world.send(paid).await;
    assert_eq!(answer.text(), "upstream");
    assert_eq!(answer.receipt().spent.get(), PRICE);
    assert_eq!((answer.header("x-hop"), answer.header("connection")), (None, None));
    assert_eq!(answer.header("cache-control"), Some("private"));
    let (method, target, headers) = upstream.last();
    assert_eq!((method, target.as_str()), (Method::GET, "/paid?city=x%20y"));
    let header = |name: &str| headers.get(name).map(|value| value.to_str().expect("ASCII").to_owned());
    assert_eq!(header("x-payer"), Some(PAYER.pubkey().to_string()));
    assert_eq!(
        (header("x-kept"), header("x-forwarded-host")),
        (Some("1".to_owned()), Some("api.example.com".to_owned()))
    );
    for gone in ["authorization", "x-secret", "te", "upgrade", "proxy-authorization", "x-forwarded-for"] {
        assert_eq!(header(gone), None, "{gone}");
    }
}

/// What CGI makes of the names, and frameworks of the meaning.
const SPOOFS: [&str; 12] = [
    "x-payer",
    "x_payer",
    "X_PAYER",
    "x.payer",
    "x-http-method-override",
    "x_http_method_override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-prefix",
    "x_forwarded_host",
    "script_name",
];

fn spoofed(mut request: http::Request<Body>) -> http::Request<Body> {
    for name in SPOOFS {
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        request.headers_mut().append(name, http::HeaderValue::from_static("/dear"));
    }
    request
}

#[tokio::test]
async fn a_paid_request_cannot_be_turned_into_another_by_headers() {
    let (Proxied { world, upstream }, session) = proxied().await;
    let answer = world.send(spoofed(request(Method::GET, "/paid", Some(&session.voucher(PRICE)), ""))).await;
    assert_eq!(answer.receipt().spent.get(), PRICE);
    let (_, _, headers) = upstream.last();
    let payers: Vec<_> = headers.get_all("x-payer").iter().collect();
    assert_eq!(payers, [&PAYER.pubkey().to_string()]);
    for spoof in SPOOFS.iter().filter(|name| !name.eq_ignore_ascii_case("x-payer")) {
        assert_eq!(headers.get(*spoof), None, "{spoof}");
    }
}

#[tokio::test]
async fn a_free_request_cannot_be_turned_into_a_priced_one_by_headers() {
    let upstream = Upstream::default();
    let url = upstream.start().await;
    let free = |gateway: &mut GatewayConfig| gateway.unpriced = toll_gateway::Unpriced::Free;
    let (Proxied { world, upstream }, _) = proxied_to(upstream, &url, free).await;
    assert_eq!(world.send(spoofed(request(Method::GET, "/about", None, ""))).await.text(), "upstream");
    let (_, _, headers) = upstream.last();
    for spoof in SPOOFS {
        assert_eq!(headers.get(spoof), None, "{spoof}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_may_say_where_a_request_came_from_and_not_what_it_is() {
    let upstream = Upstream::default();
    let url = upstream.start().await;
    let trusted = |gateway: &mut GatewayConfig| gateway.trusted_proxy = true;
    let (Proxied { world, upstream }, session) = proxied_to(upstream, &url, trusted).await;
    let mut paid = spoofed(request(Method::GET, "/paid", Some(&session.voucher(PRICE)), ""));
    paid.headers_mut().insert("x-forwarded-for", http::HeaderValue::from_static("192.0.2.1"));
    world.send(paid).await.receipt();
    let (_, _, headers) = upstream.last();
    assert_eq!(headers.get("x-forwarded-for").expect("kept"), "192.0.2.1");
    assert_eq!(headers.get("x-forwarded-prefix").expect("kept"), "/dear");
    for gone in ["x_payer", "x_forwarded_host", "x-original-url", "x-http-method-override"] {
        assert_eq!(headers.get(gone), None, "{gone}");
    }
}

#[tokio::test]
async fn refusals_and_control_messages_never_reach_the_upstream() {
    let (Proxied { world, upstream }, session) = proxied().await;
    world.refuses_402(&session.voucher(1), "verification-failed", "insufficient").await;
    world.send(request(Method::HEAD, "/paid", Some(&session.voucher(PRICE)), "")).await.receipt();
    world.get("/paid", &session.close(PRICE)).await.receipt();
    world.send(request(Method::GET, "/unpriced", None, "")).await;
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn a_paid_body_is_forwarded() {
    let (Proxied { world, .. }, mut session) = proxied().await;
    session.challenge = world.challenge_for(Method::POST, "/echo").await;
    let post = request(Method::POST, "/echo", Some(&session.voucher(PRICE)), "a body");
    assert_eq!(world.send(post).await.text(), "a body");
}

#[tokio::test]
async fn unpriced_paths_pass_through_when_free() {
    let upstream = Upstream::default();
    let url = upstream.start().await;
    let (Proxied { world, upstream }, _) =
        proxied_to(upstream, &url, |gateway| gateway.unpriced = toll_gateway::Unpriced::Free).await;
    let mut free = request(Method::GET, "/about", Some("Payment abc"), "");
    free.headers_mut().insert("x-payer", "forged".parse().expect("value"));
    assert_eq!(world.send(free).await.text(), "upstream");
    let (_, _, headers) = upstream.last();
    assert_eq!((headers.get("x-payer"), headers.get("authorization")), (None, None));
}

#[tokio::test]
async fn an_answer_streams_while_it_is_made() {
    let (Proxied { world, .. }, session) = proxied().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let config = configured("http://127.0.0.1:1", |_| {});
    let served = tokio::spawn(serve(listener, world.router.clone(), &config.gateway, async move {
        stopped.await.ok();
    }));
    let mut response = reqwest::Client::new()
        .get(format!("http://{address}/twin"))
        .header("authorization", session.voucher(PRICE))
        .send()
        .await
        .expect("an answer");
    assert!(response.headers().contains_key("payment-receipt"), "the receipt comes first");
    let begun = std::time::Instant::now();
    assert_eq!(response.chunk().await.expect("a chunk").expect("more"), "first;");
    assert!(begun.elapsed() < std::time::Duration::from_millis(250), "not held back");
    assert_eq!(response.chunk().await.expect("a chunk").expect("more"), "second;");
    stop.send(()).expect("running");
    served.await.expect("joined").expect("drained");
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502_and_the_repeat_is_served_uncharged() {
    let upstream = Upstream::default();
    let (Proxied { mut world, .. }, session) =
        proxied_to(upstream.clone(), "http://127.0.0.1:1", |_| {}).await;
    let answer = world.get("/paid", &session.voucher(PRICE)).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["code"], "upstream");
    assert_eq!((answer.header("payment-receipt"), answer.header("cache-control")), (None, Some("no-store")));
    // It comes back.
    let url = upstream.start().await;
    world.router = guarded(&world.ledger, &configured(&url, |_| {}));
    let answer = world.get("/paid", &session.voucher(PRICE)).await;
    assert_eq!((answer.text(), answer.receipt().spent.get()), ("upstream", PRICE));
    assert_eq!(upstream.calls(), 1);
    assert_eq!(world.channel(&session.id).await.watermarks.spent.get(), PRICE);
}

#[tokio::test]
async fn an_upstream_that_hangs_is_a_504() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let change = |gateway: &mut GatewayConfig| gateway.upstream_timeout_seconds = 1;
    let (Proxied { world, .. }, session) = proxied_to(Upstream::default(), &url, change).await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.status, StatusCode::GATEWAY_TIMEOUT);
    drop(listener);
}

#[tokio::test]
async fn an_upstream_error_passes_through_without_a_receipt() {
    let (Proxied { world, .. }, mut session) = proxied().await;
    session.challenge = world.challenge("/dear").await;
    let answer = world.get("/dear", &session.voucher(32)).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (500, "broken"));
    assert_eq!(answer.header("payment-receipt"), None);
}

#[tokio::test]
async fn redirects_are_the_clients_business() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let router = Router::new().fallback(|| async { axum::response::Redirect::temporary("/elsewhere") });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (Proxied { world, .. }, session) = proxied_to(Upstream::default(), &url, |_| {}).await;
    let answer = world.get("/paid", &session.voucher(PRICE)).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (307, Some("/elsewhere")));
}

#[test]
fn the_gateway_has_no_rpc_client() {
    let manifest = include_str!("../../Cargo.toml");
    let dependencies = manifest.split("[dev-dependencies]").next().expect("dependencies");
    for forbidden in ["solana-rpc", "solana-keypair", "solana-signer", "toll-settler"] {
        assert!(!dependencies.contains(forbidden), "{forbidden}");
    }
}
