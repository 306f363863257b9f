//! The gateway's part of `toll.toml`: sections `[gateway]`, `[session]`, `[charge]`, `[discovery]` and `[[routes]]`.
//!
//! The structs are plain serde, so that a program with more sections embeds them in its own root struct.
//! Deserializing checks spelling and types; [`GatewayConfig::validate`] and [`SessionConfig::terms`] check
//! what the values mean. Amounts are decimal strings in whole tokens: `price = "0.001"` of a 6-decimal mint
//! is 1000 base units. Keys are base58.

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

mod charge;
mod discovery;
mod gateway;
mod hook;
mod meter;
mod routes;
mod session;
mod tokens;
mod transport;

pub use charge::{ChargeConfig, ChargeSplitConfig};
pub use discovery::DiscoveryConfig;
pub use gateway::GatewayConfig;
pub use hook::PriceHookConfig;
pub use meter::{MeterConfig, MeterUnit, RateConfig, TierConfig};
pub use routes::{CredentialHeader, RouteConfig, RouteSigner, route_table};
pub use session::{SessionConfig, SplitConfig};
pub use tokens::parse_tokens;
pub use transport::TransportConfig;
pub(crate) use transport::seconds;

/// A whole file for a gateway on its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen and what to guard.
    pub gateway: GatewayConfig,
    /// The terms of every channel.
    pub session: SessionConfig,
    /// Single payments.
    #[serde(default)]
    pub charge: ChargeConfig,
    /// How people and agents find what is sold.
    #[serde(default)]
    pub discovery: DiscoveryConfig,
    /// What costs how much.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
}

impl Config {
    /// Parses a file with these sections and nothing else, and validates it.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Syntax(error.to_string()))?;
        config.gateway.validate()?;
        config.discovery.validate()?;
        let terms = config.charge.add_to(config.session.terms(&config.gateway)?)?;
        route_table(&config.routes, &terms, config.gateway.unpriced)?;
        config.gateway.price_hook.validate_for(&config.routes)?;
        Ok(config)
    }
}

fn invalid(setting: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { setting, reason: reason.into() }
}
