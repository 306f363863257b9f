//! `[[routes]]`: what costs how much.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toll_protocol::{Amount, CredentialField};

use super::meter::MeterConfig;
use super::{invalid, parse_tokens};
use crate::error::ConfigError;
use crate::metering::{FailureCharge, Metering, Tariff};
use crate::price::{Accepts, Price};
use crate::routes::{Route, RouteTable, Unpriced};
use crate::terms::Terms;

/// One of `[[routes]]`. The first that matches prices a request; where servers read its path differently, the
/// dearest of those that come first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// HTTP method; every method unless given. `GET` covers `HEAD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path or glob: `*` stays within a segment, `**` crosses segments.
    pub path: String,
    /// Price of one request, in tokens.
    pub price: String,
    /// What it is, in printable ASCII: people see it in challenges, and where the route is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What one unit is called.
    #[serde(default = "default_unit_type")]
    pub unit_type: String,
    /// How far a voucher may run ahead of the charge, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<String>,
    /// Whether a challenge is good for the body of one request only, by its digest. A client then asks for a
    /// challenge with each body.
    #[serde(default)]
    pub bind_body: bool,
    /// Who signs vouchers: the `client`, or the `operator`. That is this gateway: its client trusts it with the whole
    /// deposit, and sends the same proof with every request instead of a voucher. Needs `session.operator`.
    #[serde(default)]
    pub voucher_signer: RouteSigner,
    /// The header that clients send credentials in. `payment-authorization` leaves `Authorization` to the guarded
    /// service, for an API key for instance: it gets that header as the client sent it.
    #[serde(default)]
    pub credential_header: CredentialHeader,
    /// Whether the price hook is asked for the price of each request, `gateway.price_hook`.
    #[serde(default)]
    pub price_hook: bool,
    /// What an answer of 400 to 499 costs: `full`, the price, or `free`. Unless given, `full` without a meter and `free`
    /// with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_client_error: Option<FailureCharge>,
    /// The same for an answer of 500 or above, and none. Where it is `full`, a repeat of the request without a meter is
    /// served for the same charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_server_error: Option<FailureCharge>,
    /// What is charged for what was used. `price` is then what must be authorized before, and the most that a request
    /// costs unless its answer is a stream of events.
    #[serde(default, skip_serializing_if = "MeterConfig::is_unset")]
    pub meter: MeterConfig,
    /// How it may be paid: `session`, `charge`, or both. Unless given, by sessions, and where `charge.enabled` is set one
    /// by one as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<Intent>,
}

/// A way to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// Through a channel.
    Session,
    /// By a transfer for each request.
    Charge,
}

/// The header that clients of a route send credentials in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialHeader {
    /// `Authorization`.
    #[default]
    Authorization,
    /// `Payment-Authorization`.
    PaymentAuthorization,
}

impl From<CredentialHeader> for CredentialField {
    fn from(header: CredentialHeader) -> Self {
        match header {
            CredentialHeader::Authorization => Self::Authorization,
            CredentialHeader::PaymentAuthorization => Self::PaymentAuthorization,
        }
    }
}

/// Who signs the vouchers of the sessions on a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteSigner {
    /// The payer, for each request.
    #[default]
    Client,
    /// The gateway, with the operator's key.
    Operator,
}

/// Longest description, in characters: it is part of a header.
const LONGEST_DESCRIPTION: usize = 200;

fn default_unit_type() -> String {
    "request".to_owned()
}

/// The table that prices requests, from `[[routes]]` in the order of the file.
pub fn route_table(
    routes: &[RouteConfig],
    terms: &Terms,
    unpriced: Unpriced,
) -> Result<RouteTable, ConfigError> {
    if routes.is_empty() {
        return Err(invalid("routes", "must price at least one route"));
    }
    let routes = routes.iter().map(|route| route.build(terms)).collect::<Result<_, _>>()?;
    RouteTable::new(routes, unpriced).map_err(|error| invalid("routes", error.to_string()))
}

impl RouteConfig {
    /// How a request is charged after it was served; `None` where its price is charged before.
    fn metering(&self, price: Amount, terms: &Terms) -> Result<Option<Metering>, String> {
        let meter = Some(&self.meter).filter(|meter| !meter.is_unset());
        let unless_said = if meter.is_some() { FailureCharge::Free } else { FailureCharge::Full };
        let client_errors = self.on_client_error.unwrap_or(unless_said);
        let server_errors = self.on_server_error.unwrap_or(unless_said);
        let (tariff, voucher_wait) = match meter {
            Some(meter) => (meter.tariff(terms)?, meter.voucher_wait_seconds),
            None if (client_errors, server_errors) == (FailureCharge::Full, FailureCharge::Full) => {
                return Ok(None);
            }
            None => (Tariff::fixed(price), self.meter.voucher_wait_seconds),
        };
        Ok(Some(Metering { tariff, client_errors, server_errors, voucher_wait }))
    }

    fn build(&self, terms: &Terms) -> Result<Route, ConfigError> {
        let fail = |reason: String| ConfigError::Route { path: self.path.clone(), reason };
        let tokens = |text: &str| {
            parse_tokens(text, terms.decimals).map_err(|reason| fail(format!("{text:?}: {reason}")))
        };
        if !self.path.starts_with('/') {
            return Err(fail("path must start with `/`".to_owned()));
        }
        let method = match &self.method {
            None => None,
            Some(name) if name.bytes().all(|byte| byte.is_ascii_uppercase()) && !name.is_empty() => {
                Some(name.parse().map_err(|_| fail(format!("method {name:?} is no HTTP method")))?)
            }
            Some(name) => return Err(fail(format!("method {name:?} must be in capitals"))),
        };
        let amount = tokens(&self.price)?;
        if amount.is_zero() {
            return Err(fail(
                "price must not be zero; leave the route out and set unpriced = \"free\"".to_owned(),
            ));
        }
        let is_printable = |text: &String| {
            (1..=LONGEST_DESCRIPTION).contains(&text.len())
                && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        if !self.description.as_ref().is_none_or(is_printable) {
            return Err(fail(format!(
                "description must be 1 to {LONGEST_DESCRIPTION} characters of printable ASCII"
            )));
        }
        let headroom = self.headroom.as_deref().map(tokens).transpose()?.unwrap_or(Amount::ZERO);
        let route = format!("{} {}", self.method.as_deref().unwrap_or("*"), self.path);
        let unit_type = Some(self.unit_type.clone());
        let operator_signed = self.voucher_signer == RouteSigner::Operator;
        if operator_signed && terms.operator.is_none() {
            return Err(fail("voucher_signer = \"operator\" needs session.operator".to_owned()));
        }
        if operator_signed && self.bind_body {
            let reason = "bind_body does not go with voucher_signer = \"operator\": its one challenge is for all bodies";
            return Err(fail(reason.to_owned()));
        }
        if operator_signed && !headroom.is_zero() {
            let reason =
                "headroom does not go with voucher_signer = \"operator\": nothing is signed ahead of use";
            return Err(fail(reason.to_owned()));
        }
        let metering = self.metering(amount, terms).map_err(fail)?.map(Arc::new);
        if operator_signed && metering.is_some() {
            let reason =
                "a meter, and failures that are free, do not go with voucher_signer = \"operator\" yet";
            return Err(fail(reason.to_owned()));
        }
        let accepts = self.accepts(terms, amount, metering.is_some()).map_err(fail)?;
        let (bind_body, description) = (self.bind_body, self.description.clone());
        let field = self.credential_header.into();
        let price = Price {
            amount,
            unit_type,
            description,
            headroom,
            route,
            bind_body,
            operator_signed,
            accepts,
            field,
            metering,
            asks_hook: self.price_hook,
        };
        Route::new(method, &self.path, price).map_err(|error| fail(error.to_string()))
    }

    /// The ways to pay for it. A transfer pays a price that is known before, in full.
    fn accepts(&self, terms: &Terms, amount: Amount, is_metered: bool) -> Result<Accepts, String> {
        let is_fixed = !is_metered && !self.price_hook;
        if self.accept.contains(&Intent::Charge) && !is_fixed {
            return Err("accept = \"charge\" does not go with a meter, with failures that are free, or with price_hook".to_owned());
        }
        let accepts = match self.accept.as_slice() {
            [] => Accepts { session: true, charge: terms.charge.is_some() && is_fixed },
            ways => {
                Accepts { session: ways.contains(&Intent::Session), charge: ways.contains(&Intent::Charge) }
            }
        };
        let Some(charge) = terms.charge.as_ref().filter(|_| accepts.charge) else {
            return if accepts.charge {
                Err("accept = \"charge\" needs charge.enabled".to_owned())
            } else {
                Ok(accepts)
            };
        };
        match charge.splits.iter().find(|split| split.of(amount).is_zero()) {
            Some(split) => {
                Err(format!("its price leaves nothing of the share of {} in charge.splits", split.recipient))
            }
            None => Ok(accepts),
        }
    }
}
