//! Which requests cost what.

use std::sync::Arc;

use http::{Method, Uri};
use toll_protocol::{Amount, CredentialField};

use crate::metering::Metering;

/// What one request to a priced route costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Price of one request, in base units of the mint. Never zero.
    pub amount: Amount,
    /// What one unit is, `request` for instance; quoted in the challenge.
    pub unit_type: Option<String>,
    /// What it is, for people; quoted in the challenge. Nothing is decided by it.
    pub description: Option<String>,
    /// How far a voucher may run ahead of the charge, in base units.
    pub headroom: Amount,
    /// Names the route in challenges, so that an `open` answers the route it was asked by.
    pub route: String,
    /// Whether a challenge is good for the body of one request only: it then carries the body's digest.
    pub bind_body: bool,
    /// Whether sessions on this route are operator-signed: the gateway signs their vouchers. That takes an operator
    /// ([`crate::Terms::operator`]) and does not go with `bind_body`.
    pub operator_signed: bool,
    /// The ways to pay it.
    pub accepts: Accepts,
    /// The header field that challenges ask credentials in.
    pub field: CredentialField,
    /// How a request is charged whose price is known only when it is served. `amount` is what is earmarked for it before,
    /// and the most that it costs unless its answer is a stream of events. That does not go with `operator_signed`.
    pub metering: Option<Arc<Metering>>,
    /// Whether a [`crate::PriceHook`] is asked for the amount, where there is one.
    pub asks_hook: bool,
}

/// The ways to pay a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// Through a channel.
    pub session: bool,
    /// By a transfer for each request. It takes terms for that, [`crate::Terms::charge`].
    pub charge: bool,
}

impl Default for Accepts {
    /// Every way that the terms have.
    fn default() -> Self {
        Self { session: true, charge: true }
    }
}

/// The answer to "what does this request cost".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quote {
    /// It costs this much.
    Priced(Price),
    /// It costs nothing and passes through.
    Free,
    /// There is no such route.
    NotFound,
}

/// Prices requests by method and target.
///
/// `HEAD` must find the route that the target's other methods find: clients send voucher-only and
/// top-up-only updates with it.
pub trait Pricer: Send + Sync + 'static {
    /// The price of a request.
    fn quote(&self, method: &Method, uri: &Uri) -> Quote;
}

/// One price for everything.
#[derive(Clone, Debug)]
pub struct FixedPrice(pub Price);

impl FixedPrice {
    /// `amount` base units per request, on every route.
    pub fn new(amount: Amount) -> Self {
        Self(Price {
            amount,
            unit_type: Some("request".to_owned()),
            description: None,
            headroom: Amount::ZERO,
            route: "*".to_owned(),
            bind_body: false,
            operator_signed: false,
            accepts: Accepts::default(),
            field: CredentialField::Authorization,
            metering: None,
            asks_hook: false,
        })
    }
}

impl Pricer for FixedPrice {
    fn quote(&self, _: &Method, _: &Uri) -> Quote {
        Quote::Priced(self.0.clone())
    }
}
