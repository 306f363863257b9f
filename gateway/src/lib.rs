//! Charges HTTP requests to payment channels.
//!
//! [`PaymentLayer`] guards an axum service: a request that its [`Pricer`] prices is answered 402 with a
//! challenge until it carries a credential that pays. [`proxy_router`] puts the layer before another server.
//! Both charge through one [`Gateway`] into a [`toll_ledger::Ledger`]; what a channel needs from the chain is
//! recorded there for a settler, and this crate holds no key and makes no call to a cluster.
//!
//! ```no_run
//! # async fn example(gateway: toll_gateway::Gateway) {
//! use std::sync::Arc;
//! use axum::{Router, routing::get};
//! use toll_gateway::{FixedPrice, Paid, PaymentLayer};
//! use toll_protocol::Amount;
//!
//! let price = FixedPrice::new(Amount::new(1_000));
//! let router: Router = Router::new()
//!     .route("/weather", get(|paid: Paid| async move { format!("sunny, {}", paid.payer) }))
//!     .layer(PaymentLayer::new(Arc::new(gateway), Arc::new(price)));
//! # }
//! ```
//!
//! The request path: header → [`toll_protocol::Credential`] → is the challenge ours? → are its terms this
//! route's? → by action: `open` and `topUp` are checked and recorded, then wait until they land; `voucher` is
//! verified and accepted, then the request is served; `close` stops service and waits for the payout. Every
//! refusal carries a fresh challenge.

mod answer;
mod binding;
mod body;
mod charge;
mod config;
mod deliver;
mod discovery;
mod error;
mod extract;
mod fingerprint;
mod gateway;
mod header;
mod hook;
mod in_flight;
mod layer;
mod limit;
mod metering;
mod metrics;
mod preference;
mod presented;
mod price;
mod proxy;
mod recent;
mod reject;
mod repeat;
mod routes;
mod secrets;
mod serve;
mod service;
mod session;
mod spoof;
mod stall;
mod terms;
mod trace;
mod wait;

pub use config::{
    ChargeConfig, ChargeSplitConfig, Config, CredentialHeader, DiscoveryConfig, GatewayConfig, MeterConfig,
    MeterUnit, PriceHookConfig, RateConfig, RouteConfig, RouteSigner, SessionConfig, SplitConfig, TierConfig,
    TransportConfig, parse_tokens, route_table,
};
pub use deliver::MAX_REPLAY_BODY;
pub use discovery::Discovery;
pub use error::{ConfigError, GatewayError};
pub use extract::{Paid, PaidOnce};
pub use gateway::Gateway;
pub use hook::{HookFailed, HookFailure, HookedPrice, HttpHook, PriceHook, PriceQuestion, UsageReport};
pub use layer::{PaymentLayer, PaymentService};
pub use metering::{FailureCharge, Metering, Rate, Tariff, Tier, Unit, Usage};
pub use metrics::Metrics;
pub use price::{Accepts, FixedPrice, Price, Pricer, Quote};
pub use proxy::Proxy;
pub use routes::{Route, RouteTable, Unpriced};
pub use serve::{bind, proxy_router, serve};
pub use terms::{ChargeShare, ChargeTerms, Limits, Terms};
