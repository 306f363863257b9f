//! Forwards admitted requests to the upstream, streaming both ways.
//!
//! The upstream never sees a payment credential. It learns who paid from `X-Payer`, which only the gateway
//! sets, and gets no header that names another method or path than the request (see `spoof`). Hop-by-hop
//! headers stop here, in both directions.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Body as _;
use toll_protocol::{Problem, RefusalCode};

use crate::config::{GatewayConfig, seconds};
use crate::deliver::Undelivered;
use crate::error::{ConfigError, GatewayError};
use crate::extract::{Paid, PaidOnce};
use crate::header::X_PAYER;
use crate::spoof::{strip_forwarding, strip_own};
use crate::stall::Impatient;

/// Time to reach the upstream's socket.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Headers that concern one connection only, besides those `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A client of one upstream.
#[derive(Clone, Debug)]
pub struct Proxy {
    client: reqwest::Client,
    upstream: String,
    patience: Duration,
    stall: Duration,
    trusted_proxy: bool,
}

impl Proxy {
    /// A proxy to `config.upstream`.
    pub fn new(config: &GatewayConfig) -> Result<Self, GatewayError> {
        config.validate().map_err(GatewayError::Config)?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(GatewayError::Upstream)?;
        Ok(Self {
            client,
            upstream: config.upstream.trim_end_matches('/').to_owned(),
            patience: seconds(config.upstream_timeout_seconds),
            stall: seconds(config.transport.upstream_stall_timeout_seconds),
            trusted_proxy: config.trusted_proxy,
        })
    }

    /// A router that forwards everything; wrap it in a [`crate::PaymentLayer`].
    pub fn into_router(self) -> Router {
        Router::new().fallback(move |request: Request| async move { self.forward(request).await })
    }

    /// What the upstream has at `path`, if it answers 200 with at most `largest` bytes.
    pub(crate) async fn fetch(&self, path: &str, largest: usize) -> Option<Vec<u8>> {
        let mut response = self.client.get(format!("{}{path}", self.upstream)).send().await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let mut bytes = Vec::new();
        while let Some(more) = response.chunk().await.ok()? {
            if bytes.len() + more.len() > largest {
                tracing::warn!(path, largest, "what the upstream has there is too large");
                return None;
            }
            bytes.extend_from_slice(&more);
        }
        Some(bytes)
    }

    /// Forwards one request. A failure before the first byte of an answer is a 502 or 504 problem.
    pub async fn forward(&self, request: Request) -> Response {
        let upstream_request = match self.upstream_request(request) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "request cannot be forwarded");
                return problem(StatusCode::BAD_GATEWAY, "the request cannot be forwarded");
            }
        };
        match tokio::time::timeout(self.patience, self.client.execute(upstream_request)).await {
            Ok(Ok(response)) => {
                let (mut parts, body) = http::Response::from(response).into_parts();
                strip_hop_by_hop(&mut parts.headers);
                Response::from_parts(parts, Body::new(Impatient::new(body, self.stall)))
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %error.without_url(), "upstream failed");
                problem(StatusCode::BAD_GATEWAY, "the upstream did not answer")
            }
            Err(_) => {
                tracing::warn!("upstream timed out");
                problem(StatusCode::GATEWAY_TIMEOUT, "the upstream did not answer in time")
            }
        }
    }

    fn upstream_request(&self, request: Request) -> Result<reqwest::Request, ConfigError> {
        let (mut parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let url = reqwest::Url::parse(&format!("{}{target}", self.upstream)).map_err(|error| {
            ConfigError::Invalid { setting: "gateway.upstream", reason: error.to_string() }
        })?;
        // Over HTTP/2 the host is part of the target.
        let host = parts
            .headers
            .remove(HOST)
            .or_else(|| HeaderValue::from_str(parts.uri.authority()?.as_str()).ok());
        // Answered here: the body of a paid request has been read.
        parts.headers.remove(EXPECT);
        strip_hop_by_hop(&mut parts.headers);
        strip_own(&mut parts.headers);
        if !self.trusted_proxy {
            strip_forwarding(&mut parts.headers);
            if let Some(host) = host {
                parts.headers.insert("x-forwarded-host", host);
            }
        }
        let payer = parts.extensions.get::<Paid>().map(|paid| paid.payer);
        if let Some(payer) = payer.or_else(|| parts.extensions.get::<PaidOnce>().map(|paid| paid.payer)) {
            let payer = HeaderValue::from_str(&payer.to_string()).expect("base58 is visible ASCII");
            parts.headers.insert(X_PAYER, payer);
        }
        let mut upstream_request = reqwest::Request::new(parts.method, url);
        *upstream_request.headers_mut() = parts.headers;
        if body.size_hint().exact() != Some(0) {
            *upstream_request.body_mut() = Some(reqwest::Body::wrap_stream(body.into_data_stream()));
        }
        Ok(upstream_request)
    }
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let code = RefusalCode::Upstream;
    let problem = Problem::new(code.problem_type(), status.as_u16(), detail).code(code.as_str());
    let mut response = Response::new(Body::from(problem.body()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(Undelivered);
    response
}
