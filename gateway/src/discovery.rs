//! What is sold here and for how much, for whoever looks before it pays.
//!
//! Everything is made from the one route table, and its prices are asked as a request would ask them, so that no
//! document says anything else than the 402 (draft-payment-discovery). They are advice: clients pay by the challenge.
//! The documents cost nothing, change nothing and carry no secret.

mod catalog;
mod listing;
mod llms;
mod openapi;
mod upstream;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Uri};
use serde_json::Value;

pub(crate) use self::listing::Listing;
use self::upstream::Upstream;
use crate::config::{DiscoveryConfig, RouteConfig};
use crate::header::{PAYMENT_AUTHORIZATION, keep_from_shared_caches};
use crate::price::Pricer;
use crate::proxy::Proxy;
use crate::routes::RouteTable;
use crate::terms::Terms;

/// How long clients may keep a document (draft-payment-discovery).
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The free documents of a gateway.
pub struct Discovery {
    listing: Listing,
    routes: Arc<RouteTable>,
    upstream: Option<Upstream>,
    /// Paths that a route of the seller's spells out: they are the seller's.
    taken: Vec<&'static str>,
}

/// One document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Document {
    OpenApi,
    Llms,
    Catalog,
    Skills,
    Categories,
}

impl Document {
    const ALL: [(&'static str, Self); 6] = [
        ("/openapi.json", Self::OpenApi),
        ("/llms.txt", Self::Llms),
        ("/.well-known/llms.txt", Self::Llms),
        ("/v1/catalog", Self::Catalog),
        ("/v1/skills", Self::Skills),
        ("/v1/categories", Self::Categories),
    ];
}

impl Discovery {
    /// The documents of `routes` as `config` wants them; `None` without a public URL. `proxy` reaches the upstream's own
    /// document.
    pub fn new(
        config: &DiscoveryConfig,
        routes: &[RouteConfig],
        table: Arc<RouteTable>,
        terms: &Terms,
        proxy: &Proxy,
    ) -> Option<Self> {
        let listing = Listing::new(config, routes, table.as_ref(), terms)?;
        let is_taken = |path: &str| routes.iter().any(|route| route.path == path);
        let taken = Document::ALL.iter().map(|(path, _)| *path).filter(|path| is_taken(path)).collect();
        let path = Some(config.upstream_document.clone()).filter(|path| !path.is_empty());
        let upstream = path.map(|path| Upstream::new(proxy.clone(), path));
        Some(Self { listing, routes: table, upstream, taken })
    }

    /// `router`, with these documents in front.
    pub fn in_front_of(self, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::new(self), answer))
    }

    fn asked(&self, request: &Request) -> Option<Document> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let path = request.uri().path();
        let (path, document) = Document::ALL.into_iter().find(|(own, _)| *own == path)?;
        (!self.taken.contains(&path)).then_some(document)
    }

    async fn text(&self, document: Document) -> Bytes {
        match (document, &self.upstream) {
            (Document::OpenApi, Some(upstream)) => upstream.text(|own| self.openapi(own)).await,
            (Document::OpenApi, None) => self.openapi(None),
            (Document::Llms, _) => llms::text(&self.listing).into(),
            (Document::Catalog, _) => json(&catalog::catalog(&self.listing)),
            (Document::Skills, _) => json(&catalog::skills(&self.listing)),
            (Document::Categories, _) => json(&catalog::categories(&self.listing)),
        }
    }

    fn openapi(&self, own: Option<&Value>) -> Bytes {
        let quote = |method: &Method, uri: &Uri| self.routes.quote(method, uri);
        json(&match own {
            Some(own) => openapi::merged(own, &self.listing, quote),
            None => openapi::generated(&self.listing),
        })
    }
}

fn json(value: &Value) -> Bytes {
    value.to_string().into()
}

async fn answer(State(discovery): State<Arc<Discovery>>, request: Request, next: Next) -> Response {
    let Some(document) = discovery.asked(&request) else { return next.run(request).await };
    let kind = if document == Document::Llms { TEXT } else { JSON };
    let brings_credential = request.headers().contains_key(&PAYMENT_AUTHORIZATION);
    let mut response = Response::new(Body::from(discovery.text(document).await));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, KEPT);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if brings_credential {
        keep_from_shared_caches(headers);
    }
    response
}
