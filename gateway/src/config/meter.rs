//! `[routes.meter]`: the price table of a route.

use std::num::NonZeroU64;

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toll_protocol::Amount;

use super::parse_tokens;
use crate::metering::{Rate, Tariff, Tier, Unit};
use crate::terms::Terms;

/// What a request costs by what it used: the base, and what each rate comes to, rounded up to a base unit each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeterConfig {
    /// For the request itself, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// For what it used.
    #[serde(default)]
    pub rates: Vec<RateConfig>,
    /// The most that one request costs, in tokens, a stream included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<String>,
    /// How long a stream waits for a voucher when what is authorized is used up, in seconds.
    #[serde(default = "default_voucher_wait")]
    pub voucher_wait_seconds: u32,
}

/// The price of one kind of unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateConfig {
    /// What is counted.
    pub unit: MeterUnit,
    /// Where the upstream reports units that it counts: the name of a header or trailer, or the names on the way to a
    /// JSON field, like `usage.completion_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Price of `per` units, in tokens.
    pub price: String,
    /// How many units `price` is for.
    #[serde(default = "one")]
    pub per: u64,
    /// Prices of the units beyond a number, in rising order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierConfig>,
}

/// Another price for the units beyond a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierConfig {
    /// The number of units above which this applies.
    pub above: u64,
    /// Price of `per` units there, in tokens.
    pub price: String,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MeterUnit {
    /// Bytes of the answer's body.
    Byte,
    /// Seconds that the answer took.
    Second,
    /// Events with data of a stream.
    Event,
    /// What the upstream reports in a header.
    Header,
    /// What it reports in a trailer.
    Trailer,
    /// What it reports in JSON: its answer, or an event of its stream.
    Field,
}

fn one() -> u64 {
    1
}

fn default_voucher_wait() -> u32 {
    60
}

impl Default for MeterConfig {
    fn default() -> Self {
        Self { base: None, rates: Vec::new(), cap: None, voucher_wait_seconds: default_voucher_wait() }
    }
}

impl MeterConfig {
    /// Whether the route has none.
    pub(super) fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// The table, its amounts in base units.
    pub(super) fn tariff(&self, terms: &Terms) -> Result<Tariff, String> {
        let tokens = |setting: &str, text: &str| {
            parse_tokens(text, terms.decimals).map_err(|reason| format!("meter.{setting} {text:?}: {reason}"))
        };
        if self.voucher_wait_seconds == 0 {
            return Err("meter.voucher_wait_seconds must not be zero".to_owned());
        }
        let base = self.base.as_deref().map(|base| tokens("base", base)).transpose()?;
        let cap = self.cap.as_deref().map(|cap| tokens("cap", cap)).transpose()?;
        let rates: Vec<Rate> = self.rates.iter().map(|rate| rate.build(&tokens)).collect::<Result<_, _>>()?;
        let base = base.unwrap_or(Amount::ZERO);
        let is_free =
            |rate: &Rate| rate.price.is_zero() && rate.tiers.iter().all(|tier| tier.price.is_zero());
        if base.is_zero() && rates.iter().all(is_free) {
            return Err("meter charges nothing: give it a base or a rate".to_owned());
        }
        if cap.is_some_and(|cap| cap < base || cap.is_zero()) {
            return Err("meter.cap must not be zero, nor below meter.base".to_owned());
        }
        Ok(Tariff { base, rates, cap })
    }
}

impl RateConfig {
    fn build(&self, tokens: &impl Fn(&str, &str) -> Result<Amount, String>) -> Result<Rate, String> {
        let header = |name: &String| {
            name.parse::<HeaderName>().map_err(|_| format!("meter.rates.name {name:?} is no header name"))
        };
        let unit = match (self.unit, &self.name) {
            (MeterUnit::Byte, None) => Unit::Byte,
            (MeterUnit::Second, None) => Unit::Second,
            (MeterUnit::Event, None) => Unit::Event,
            (MeterUnit::Header, Some(name)) => Unit::Header(header(name)?),
            (MeterUnit::Trailer, Some(name)) => Unit::Trailer(header(name)?),
            (MeterUnit::Field, Some(name)) if name.split('.').all(|name| !name.is_empty()) => {
                Unit::Field(name.split('.').map(str::to_owned).collect())
            }
            (MeterUnit::Field, Some(name)) => {
                return Err(format!("meter.rates.name {name:?} must be names with dots between them"));
            }
            (MeterUnit::Byte | MeterUnit::Second | MeterUnit::Event, Some(_)) => {
                return Err("meter.rates.name is for what the upstream reports".to_owned());
            }
            (MeterUnit::Header | MeterUnit::Trailer | MeterUnit::Field, None) => {
                return Err("meter.rates.name must say where the upstream reports".to_owned());
            }
        };
        let per = NonZeroU64::new(self.per).ok_or("meter.rates.per must not be zero")?;
        if !self.tiers.is_sorted_by(|one, next| one.above < next.above) {
            return Err("meter.rates.tiers.above must rise from tier to tier".to_owned());
        }
        let tier = |tier: &TierConfig| {
            let price = tokens("rates.tiers.price", &tier.price)?;
            Ok::<_, String>(Tier { above: tier.above, price })
        };
        let tiers = self.tiers.iter().map(tier).collect::<Result<_, _>>()?;
        Ok(Rate { unit, price: tokens("rates.price", &self.price)?, per, tiers })
    }
}
