//! The admin listener: metrics and probes for those who run a server, apart from what its customers reach.
//!
//! `/metrics` is OpenMetrics text, `/healthz` says that the process answers, `/readyz` that it could sell: that the
//! ledger is read, and that the chain was seen lately. Whoever may connect may read, unless there is a token.

mod standing;
mod token;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::net::TcpListener;
use toll_gateway::Gateway;
use toll_ledger::{Ledger, Vitals};
use toll_settler::{FloatWatch, Settler};

use self::standing::Standing;
use self::token::Token;
use crate::config::Config;
use crate::error::{CliError, Exit, Result};

/// What `/metrics` is written in.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A listener that does not answer yet.
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    token: Option<Token>,
}

/// What the listener shows.
pub(crate) struct Eyes {
    ledger: Ledger,
    registry: Registry,
    standing: Standing,
    settler: Mutex<Option<Sight>>,
    freshness: Freshness,
}

/// The settler that works here at present.
struct Sight {
    registry: Registry,
    float: FloatWatch,
}

/// How old what is known of the chain may be, in seconds.
#[derive(Clone, Copy)]
struct Freshness {
    tip: i64,
    observation: i64,
}

impl Admin {
    /// Listens where the configuration says, if it does.
    pub(crate) async fn bind(config: &Config) -> Result<Option<Self>> {
        let Some(listen) = config.admin.listen else { return Ok(None) };
        let token = config.admin.token_file.as_deref().map(Token::read).transpose()?;
        let unavailable = |error: std::io::Error| {
            let what = format_args!("cannot listen on {listen}: {error}").to_string();
            CliError::new(Exit::Network, what, "stop what runs there, or choose another admin.listen")
        };
        let listener = TcpListener::bind(listen).await.map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;
        Ok(Some(Self { address, listener, token }))
    }

    /// Answers until `stop` resolves.
    pub(crate) async fn serve(
        self,
        eyes: Arc<Eyes>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let token = self.token.map(Arc::new);
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .with_state(eyes)
            .layer(middleware::from_fn(move |request, next| admit(token.clone(), request, next)));
        axum::serve(self.listener, router).with_graceful_shutdown(stop).await
    }
}

impl Eyes {
    /// Eyes on a ledger.
    pub(crate) fn new(config: &Config, ledger: Ledger) -> Result<Self> {
        let terms = config.terms()?;
        let mut registry = Registry::default();
        let standing = Standing::default();
        standing.register(&mut registry);
        let freshness = Freshness {
            tip: terms.tip_max_age.into(),
            observation: terms.observation_limit(terms.grace_period),
        };
        Ok(Self { ledger, registry, standing, settler: Mutex::default(), freshness })
    }

    /// Shows what `gateway` counts, too.
    pub(crate) fn on_gateway(&mut self, gateway: &Gateway) {
        gateway.metrics().register(&mut self.registry);
    }

    /// Shows what `settler` counts, too, and what its purse has left, in place of the settler before it.
    pub(crate) fn on_settler(&self, settler: &Settler) {
        let mut registry = Registry::default();
        settler.metrics().register(&mut registry);
        self.standing.register_float(&mut registry);
        let sight = Sight { registry, float: settler.float() };
        *self.settler.lock().unwrap_or_else(PoisonError::into_inner) = Some(sight);
    }

    /// Everything as OpenMetrics text.
    fn show(&self, vitals: Option<&Vitals>) -> std::result::Result<String, std::fmt::Error> {
        let settler = self.settler.lock().unwrap_or_else(PoisonError::into_inner);
        self.standing.show(&self.ledger, vitals, settler.as_ref().map(|sight| &sight.float));
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        if let Some(sight) = settler.as_ref() {
            encode_registry(&mut text, &sight.registry)?;
        }
        encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Freshness {
    /// Why nothing can be sold at present.
    fn obstacles(self, vitals: &Vitals, now: i64) -> Vec<&'static str> {
        let is_old = |at: Option<i64>, limit: i64| at.is_none_or(|at| now.saturating_sub(at) > limit);
        let mut obstacles = Vec::new();
        if is_old(vitals.tip_at, self.tip) {
            obstacles.push("no recent chain tip is known: does a settler run on this ledger?");
        }
        if is_old(vitals.observed_at, self.observation) {
            obstacles.push("forced closes were not looked for lately: does a settler run on this ledger?");
        }
        obstacles
    }
}

/// Lets in who brings the token, where there is one.
async fn admit(token: Option<Arc<Token>>, request: Request, next: Next) -> Response {
    let brought = request.headers().get(AUTHORIZATION);
    if token.is_none_or(|token| token.is_in(brought)) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer"), (CACHE_CONTROL, "no-store")]).into_response()
}

async fn metrics(State(eyes): State<Arc<Eyes>>) -> Response {
    let vitals = eyes.ledger.vitals().await;
    match eyes.show(vitals.as_ref().ok()) {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            let text = format!("cannot be written down: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

async fn ready(State(eyes): State<Arc<Eyes>>) -> Response {
    let obstacles = match eyes.ledger.vitals().await {
        Ok(vitals) => eyes.freshness.obstacles(&vitals, eyes.ledger.now()),
        Err(_) => vec!["the ledger cannot be read"],
    };
    let status = if obstacles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": obstacles.is_empty(), "obstacles": obstacles }))).into_response()
}
