//! Free documents about what is sold.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::routing::get;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use toll_gateway::{Config, Discovery, Gateway, Proxy, Unpriced, proxy_router, route_table};
use toll_ledger::{Ledger, ManualClock};
use toll_protocol::parse_www_authenticate;
use tower::ServiceExt;

use crate::world::{World, config_text, operator, request, secret, terms};

const URL: &str = "https://api.example.com";

/// An upstream with an OpenAPI document of its own, if `document` is one.
async fn upstream(document: Option<Value>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let mut router = Router::new().fallback(|| async { "upstream" });
    if let Some(document) = document {
        router = router.route("/openapi.json", get(move || async move { document.to_string() }));
    }
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A gateway before `upstream` by the usual file and `section`.
fn guarded(ledger: &Ledger, upstream: &str, section: &str, unpriced: Unpriced) -> Router {
    let mut config = Config::parse(&format!("{}\n{section}", config_text())).expect("valid");
    config.gateway.upstream = upstream.to_owned();
    let terms = terms();
    let routes = Arc::new(route_table(&config.routes, &terms, unpriced).expect("routes"));
    let proxy = Proxy::new(&config.gateway).expect("a proxy");
    let discovery = Discovery::new(&config.discovery, &config.routes, Arc::clone(&routes), &terms, &proxy);
    let gateway = Arc::new(Gateway::new(ledger.clone(), terms, secret()).with_operator(operator()));
    let router = proxy_router(gateway, routes, &config.gateway).expect("a router");
    match discovery {
        Some(discovery) => discovery.in_front_of(router),
        None => router,
    }
}

fn listed(more: &str) -> String {
    format!("[discovery]\npublic_url = \"{URL}\"\n{more}")
}

async fn answered(router: &Router, method: Method, path: &str) -> (StatusCode, http::HeaderMap, String) {
    let response = router.clone().oneshot(request(method, path, None, "")).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).expect("text"))
}

async fn document(router: &Router, path: &str) -> Value {
    let (status, headers, body) = answered(router, Method::GET, path).await;
    assert_eq!(status, StatusCode::OK, "{path}");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "public, max-age=300");
    assert_eq!(headers["access-control-allow-origin"], "*");
    serde_json::from_str(&body).expect("JSON")
}

/// What a request to `path` is asked for, in base units and of which mint.
async fn asked(router: &Router, method: Method, path: &str) -> (String, String) {
    let (status, headers, _) = answered(router, method, path).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED, "{path}");
    let challenges = parse_www_authenticate(headers["www-authenticate"].as_bytes()).expect("a header");
    let request = challenges.payment[0].session_request().expect("a session");
    (request.amount.to_string(), request.currency.to_string())
}

#[tokio::test]
async fn nothing_is_listed_without_a_public_url_and_below_it_with_one() {
    let world = World::new().await;
    let upstream = upstream(None).await;
    let without = guarded(&world.ledger, &upstream, "", Unpriced::NotFound);
    for path in
        ["/openapi.json", "/llms.txt", "/.well-known/llms.txt", "/v1/catalog", "/v1/skills", "/v1/categories"]
    {
        assert_eq!(answered(&without, Method::GET, path).await.0, StatusCode::NOT_FOUND, "{path}");
        let with = guarded(&world.ledger, &upstream, &listed(""), Unpriced::NotFound);
        let (status, _, body) = answered(&with, Method::GET, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(path == "/v1/categories" || body.contains(URL), "{path}: {body}");
        assert_eq!(
            answered(&with, Method::POST, path).await.0,
            StatusCode::NOT_FOUND,
            "a POST is no question"
        );
    }
}

#[tokio::test]
async fn what_is_listed_costs_what_it_says() {
    let world = World::new().await;
    let router = guarded(&world.ledger, &upstream(None).await, &listed(""), Unpriced::NotFound);

    let catalog = document(&router, "/v1/catalog").await;
    let skills = document(&router, "/v1/skills").await;

    let items = catalog["items"].as_array().expect("items");
    assert_eq!(skills["skills"], catalog["items"]);
    assert!(items.len() >= 4, "{items:?}");
    for item in items {
        let path = item["url"].as_str().expect("a URL").strip_prefix(URL).expect("below the public URL");
        let method = item["methods"][0].as_str().expect("a method").parse().expect("a method");
        let (amount, mint) = asked(&router, method, path).await;
        assert_eq!(item["price"]["amount"], json!(amount), "{path}");
        assert_eq!(item["price"]["currency"], json!(mint), "{path}");
    }
    assert_eq!(items[0]["price"]["tokens"], "0.000016");
}

#[tokio::test]
async fn each_operation_that_costs_something_offers_it_and_declares_402() {
    let world = World::new().await;
    let router = guarded(&world.ledger, &upstream(None).await, &listed(""), Unpriced::NotFound);

    let openapi = document(&router, "/openapi.json").await;

    assert_eq!(openapi["openapi"], "3.1.0");
    assert_eq!(openapi["info"]["title"], "api.example.com");
    assert_eq!(openapi["info"]["version"], "1");
    assert_eq!(openapi["servers"], json!([{ "url": URL }]));
    assert_eq!(openapi["x-service-info"]["docs"]["llms"], json!(format!("{URL}/llms.txt")));
    let mut operations = 0;
    for (path, item) in openapi["paths"].as_object().expect("paths") {
        for (name, operation) in item.as_object().expect("a path") {
            let (amount, mint) = asked(&router, name.to_uppercase().parse().expect("a method"), path).await;
            let offer =
                json!({ "intent": "session", "method": "solana", "amount": amount, "currency": mint });
            assert_eq!(operation["x-payment-info"], json!({ "offers": [offer] }), "{name} {path}");
            assert_eq!(operation["responses"]["402"]["description"], "Payment Required");
            operations += 1;
        }
    }
    assert!(operations >= 5, "{operations}");
    assert!(openapi["paths"]["/paid"]["post"].is_null(), "a GET is sold there");
}

#[tokio::test]
async fn the_upstreams_own_document_gets_prices_and_loses_what_nobody_reaches() {
    let own = json!({
        "openapi": "3.0.3",
        "info": { "title": "Own", "version": "7" },
        "servers": [{ "url": "http://10.0.0.1" }],
        "paths": {
            "/paid": { "get": { "summary": "kept", "responses": { "200": { "description": "ok" } } } },
            "/secret": { "get": { "responses": {} } },
        },
        "components": { "schemas": { "Own": { "type": "object" } } },
    });
    let world = World::new().await;
    let upstream = upstream(Some(own)).await;
    for (unpriced, others) in [(Unpriced::NotFound, false), (Unpriced::Free, true)] {
        let router = guarded(&world.ledger, &upstream, &listed(""), unpriced);

        let merged = document(&router, "/openapi.json").await;

        assert_eq!(merged["openapi"], "3.0.3");
        assert_eq!(merged["info"], json!({ "title": "Own", "version": "7" }));
        assert_eq!(merged["servers"], json!([{ "url": URL }]), "where clients reach it");
        assert_eq!(merged["components"]["schemas"]["Own"]["type"], "object");
        let paid = &merged["paths"]["/paid"]["get"];
        assert_eq!(paid["summary"], "kept");
        assert_eq!(paid["x-payment-info"]["offers"][0]["amount"], "16");
        assert_eq!(paid["responses"]["402"]["description"], "Payment Required");
        assert_eq!(merged["paths"]["/secret"].is_object(), others);
        assert!(merged["paths"]["/secret"]["get"]["x-payment-info"].is_null());
        assert_eq!(merged["paths"]["/dear"]["get"]["x-payment-info"]["offers"][0]["amount"], "32");
    }
    let unasked = listed("upstream_document = \"\"");
    let router = guarded(&world.ledger, &upstream, &unasked, Unpriced::NotFound);
    assert_eq!(document(&router, "/openapi.json").await["info"]["title"], "api.example.com");
}

#[tokio::test]
async fn the_upstream_is_asked_once_for_all_who_look() {
    let world = World::new().await;
    let counted = crate::proxy::Upstream::default();
    let url = counted.start().await;
    let router = guarded(&world.ledger, &url, &listed(""), Unpriced::NotFound);
    let looks = (0..20).map(|_| document(&router, "/openapi.json"));
    let looked = futures::future::join_all(looks).await;
    assert!(looked.iter().all(|document| *document == looked[0]));
    assert_eq!(counted.calls(), 1);
}

#[tokio::test]
async fn an_upstream_whose_document_cannot_be_read_is_listed_by_its_routes() {
    let world = World::new().await;
    for own in [json!({ "swagger": "2.0" }), json!([]), json!({ "openapi": "3.1.0", "paths": 7 })] {
        let upstream = upstream(Some(own)).await;
        let router = guarded(&world.ledger, &upstream, &listed(""), Unpriced::NotFound);
        assert_eq!(document(&router, "/openapi.json").await["info"]["title"], "api.example.com");
    }
    let gone = guarded(&world.ledger, "http://127.0.0.1:1", &listed(""), Unpriced::NotFound);
    assert_eq!(document(&gone, "/openapi.json").await["openapi"], "3.1.0");
}

#[tokio::test]
async fn the_service_is_called_as_the_file_says() {
    let ledger = Ledger::temporary(ManualClock::new(1_000));
    let upstream = upstream(None).await;
    let section = listed(
        "title = \"Weather\"\ndescription = \"By the hour\"\ncategories = [\"data\", \"developer-tools\"]\n\
         homepage = \"https://example.com/weather\"",
    );
    let router = guarded(&ledger, &upstream, &section, Unpriced::NotFound);

    let openapi = document(&router, "/openapi.json").await;
    assert_eq!(openapi["info"]["title"], "Weather");
    assert_eq!(openapi["info"]["description"], "By the hour");
    assert_eq!(openapi["x-service-info"]["categories"], json!(["data", "developer-tools"]));
    assert_eq!(openapi["x-service-info"]["docs"]["homepage"], "https://example.com/weather");
    let categories = document(&router, "/v1/categories").await;
    assert_eq!(categories, json!({ "categories": ["data", "developer-tools"] }));
    let (_, headers, text) = answered(&router, Method::GET, "/llms.txt").await;
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert!(text.starts_with("# Weather\n\n> By the hour\n"), "{text}");
    assert!(text.contains("- GET https://api.example.com/paid: 0.000016 per request"), "{text}");
    assert_eq!(answered(&router, Method::GET, "/.well-known/llms.txt").await.2, text);
}

#[tokio::test]
async fn a_route_that_spells_a_documents_path_out_keeps_it() {
    let world = World::new().await;
    let section = format!("[[routes]]\npath = \"/v1/catalog\"\nprice = \"0.01\"\n{}", listed(""));
    let router = guarded(&world.ledger, &upstream(None).await, &section, Unpriced::NotFound);
    assert_eq!(asked(&router, Method::GET, "/v1/catalog").await.0, "10000");
    assert_eq!(answered(&router, Method::GET, "/v1/skills").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_catch_all_route_prices_everything_but_the_documents() {
    let world = World::new().await;
    let section = format!("[[routes]]\npath = \"/**\"\nprice = \"0.01\"\n{}", listed(""));
    let router = guarded(&world.ledger, &upstream(None).await, &section, Unpriced::NotFound);
    assert_eq!(answered(&router, Method::GET, "/llms.txt").await.0, StatusCode::OK);
    for spelling in ["/llms.txt/", "/LLMS.txt", "/%6clms.txt"] {
        assert_eq!(
            answered(&router, Method::GET, spelling).await.0,
            StatusCode::PAYMENT_REQUIRED,
            "{spelling}"
        );
    }
    let openapi = document(&router, "/openapi.json").await;
    assert!(openapi["paths"]["/{rest}"]["get"]["x-payment-info"].is_object(), "{openapi}");
}

#[test]
fn settings_that_mean_nothing_are_refused_by_name() {
    for (section, setting) in [
        ("public_url = \"api.example\"", "discovery.public_url"),
        ("public_url = \"https://a.example/?x\"", "discovery.public_url"),
        ("title = \"Weather\"", "discovery.title"),
        ("categories = [\"data\"]", "discovery.categories"),
        ("public_url = \"https://a.example\"\ncategories = [\"Data!\"]", "discovery.categories"),
        ("public_url = \"https://a.example\"\nupstream_document = \"x\"", "discovery.upstream_document"),
    ] {
        let error = Config::parse(&format!("{}\n[discovery]\n{section}", config_text())).unwrap_err();
        assert!(error.to_string().contains(setting), "{section}: {error}");
    }
    let route = "[[routes]]\npath = \"/x\"\nprice = \"1\"\ndescription = \"naïve\"";
    let error = Config::parse(&format!("{}\n{route}", config_text())).unwrap_err();
    assert!(error.to_string().contains("description"), "{error}");
}
