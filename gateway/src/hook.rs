//! Prices that somebody else says: asked before a request, told after it what it came to.
//!
//! A hook is asked for every request to a route that has it, paid or not, since a challenge and the request that answers
//! it must be of one price. It is a program behind a URL ([`HttpHook`]), or a value of the embedding program.

mod http;

use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, Uri};
use futures::future::BoxFuture;
use solana_pubkey::Pubkey;
use toll_protocol::{Amount, ChannelId};

pub use self::http::HttpHook;
use crate::metering::Usage;
use crate::price::{Price, Quote};
use crate::reject::Rejection;

/// A request that a price is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceQuestion {
    /// HTTP method; `HEAD` must be told the price of the target's other methods.
    pub method: Method,
    /// Path and query.
    pub target: Uri,
    /// The route, as configured.
    pub route: String,
    /// The route's own price, in base units.
    pub price: Amount,
}

/// What a hook says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookedPrice {
    /// The route's own price.
    AsConfigured,
    /// This much, in base units. Nothing is [`HookedPrice::Free`].
    Price(Amount),
    /// It passes through without payment.
    Free,
    /// It is not sold: 404.
    NotFound,
}

/// A request that was charged, or cost nothing after all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    /// The route, as configured.
    pub route: String,
    /// The channel that paid.
    pub channel: ChannelId,
    /// Whose deposit it is.
    pub payer: Pubkey,
    /// Status of the upstream's answer.
    pub status: u16,
    /// What was charged, in base units.
    pub charged: Amount,
    /// What was used, where the route has a meter.
    pub usage: Option<Usage>,
}

/// The hook did not answer in time, or not in words that are understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HookFailed(pub String);

/// Says prices, and is told what was used.
pub trait PriceHook: Send + Sync + 'static {
    /// The price of a request.
    fn quote(&self, question: PriceQuestion) -> BoxFuture<'static, Result<HookedPrice, HookFailed>>;

    /// Takes note of a request that was served. Told once, after its charge is on disk; nobody waits for it.
    fn report(&self, report: UsageReport) -> BoxFuture<'static, Result<(), HookFailed>>;
}

/// What happens to a request whose price nobody says.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum HookFailure {
    /// It is answered 503.
    #[default]
    Refuse,
    /// It costs the route's own price.
    Price,
}

/// A hook, and how it is asked.
#[derive(Clone)]
pub(crate) struct Hooked {
    pub(crate) hook: Arc<dyn PriceHook>,
    pub(crate) patience: Duration,
    pub(crate) on_failure: HookFailure,
}

/// Seconds after which a request may be tried again whose price nobody said.
const RETRY_AFTER: u32 = 2;

impl Hooked {
    /// The quote for a request to a route with a price of its own.
    pub(crate) async fn quote(
        &self,
        method: &Method,
        target: &Uri,
        price: Price,
    ) -> Result<Quote, Rejection> {
        let question = PriceQuestion {
            method: method.clone(),
            target: target.clone(),
            route: price.route.clone(),
            price: price.amount,
        };
        let asked = tokio::time::timeout(self.patience, self.hook.quote(question)).await;
        let said = asked.unwrap_or_else(|_| Err(HookFailed("no answer in time".to_owned())));
        match said {
            Ok(HookedPrice::AsConfigured) => Ok(Quote::Priced(price)),
            Ok(HookedPrice::Price(amount)) if !amount.is_zero() => {
                Ok(Quote::Priced(Price { amount, ..price }))
            }
            Ok(HookedPrice::Price(_) | HookedPrice::Free) => Ok(Quote::Free),
            Ok(HookedPrice::NotFound) => Ok(Quote::NotFound),
            Err(error) => {
                tracing::warn!(%error, route = price.route, "the price hook failed");
                match self.on_failure {
                    HookFailure::Price => Ok(Quote::Priced(price)),
                    HookFailure::Refuse => Err(Rejection::Unavailable {
                        detail: "nobody can say at present what this costs".to_owned(),
                        retry_after: RETRY_AFTER,
                    }),
                }
            }
        }
    }
}

/// Who is told what a request came to. Travels with the request.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(crate) hooked: Hooked,
    pub(crate) route: String,
}

impl Reporter {
    /// Tells it, in the background.
    pub(crate) fn tell(
        &self,
        channel: ChannelId,
        payer: Pubkey,
        status: u16,
        charged: Amount,
        usage: Option<Usage>,
    ) {
        let report = UsageReport { route: self.route.clone(), channel, payer, status, charged, usage };
        let telling = self.hooked.hook.report(report);
        let patience = self.hooked.patience;
        tokio::spawn(async move {
            let told = tokio::time::timeout(patience, telling).await;
            if let Err(error) = told.unwrap_or_else(|_| Err(HookFailed("no answer in time".to_owned()))) {
                tracing::warn!(%error, "the price hook was not told what a request used");
            }
        });
    }
}
