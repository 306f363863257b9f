//! The gateway's part of `toll.toml`: sections `[gateway]`, `[session]` and `[[routes]]`.
//!
//! The structs are plain serde, so that a program with more sections embeds them in its own root struct.
//! Deserializing checks spelling and types; [`GatewayConfig::validate`] and [`SessionConfig::terms`] check
//! what the values mean. Amounts are decimal strings in whole tokens: `price = "0.001"` of a 6-decimal mint
//! is 1000 base units. Keys are base58.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use solana_pubkey::Pubkey;
use toll_protocol::{
    Amount, ChallengeSecret, MAX_IDLE_TIMEOUT, Network, PROGRAM_ID, Realm, SECRET_MIN, Split, Splits,
    TOKEN_2022_PROGRAM, TOKEN_PROGRAM,
};

use crate::error::ConfigError;
use crate::price::Price;
use crate::routes::{Route, RouteTable, Unpriced};
use crate::terms::{Limits, Terms};

mod key;
mod tokens;

pub use tokens::parse_tokens;

/// A whole file for a gateway on its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen and what to guard.
    pub gateway: GatewayConfig,
    /// The terms of every channel.
    pub session: SessionConfig,
    /// What costs how much.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
}

impl Config {
    /// Parses a file with these three sections and nothing else, and validates it.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Syntax(error.to_string()))?;
        config.gateway.validate()?;
        let terms = config.session.terms(&config.gateway)?;
        route_table(&config.routes, &terms, config.gateway.unpriced)?;
        Ok(config)
    }
}

/// `[gateway]`: the listener, the upstream, and how challenges are made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Address to listen on.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Base URL of the guarded service, `http://` or `https://`.
    pub upstream: String,
    /// Protection space named in challenges; the public host name by custom.
    pub realm: String,
    /// File with the secret that authenticates challenges, at least 32 bytes. Absent: a random secret for the
    /// life of the process, so that a restart invalidates challenges (channels and vouchers survive).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The secret before the last rotation: its challenges are still recognized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret_file: Option<PathBuf>,
    /// What happens to requests no route prices.
    #[serde(default)]
    pub unpriced: Unpriced,
    /// A proxy in front terminates TLS, so plain HTTP on any address is fine.
    #[serde(default)]
    pub trusted_proxy: bool,
    /// Allow plain HTTP on a non-loopback address although nothing terminates TLS. For experiments.
    #[serde(default)]
    pub insecure: bool,
    /// How long a challenge may be answered with an `open`, in seconds.
    #[serde(default = "default_challenge_ttl")]
    pub challenge_ttl_seconds: u32,
    /// How long a request waits for its transaction to land before it is told to retry, in seconds.
    #[serde(default = "default_landing_timeout")]
    pub landing_timeout_seconds: u32,
    /// How long the upstream may take to answer with headers, in seconds.
    #[serde(default = "default_upstream_timeout")]
    pub upstream_timeout_seconds: u32,
    /// Largest body of a paid request, in bytes.
    #[serde(default = "default_request_body_limit")]
    pub request_body_limit: usize,
    /// Rate limits, `[gateway.limits]`.
    #[serde(default)]
    pub limits: Limits,
}

/// `[session]`: what a channel to this merchant looks like.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionConfig {
    /// `mainnet`, `devnet` or `localnet`.
    pub network: Network,
    /// The channel program.
    #[serde(default = "default_program", with = "key")]
    pub program: Pubkey,
    /// Key that earns.
    #[serde(with = "key")]
    pub payee: Pubkey,
    /// Key that sponsors fees and rent.
    #[serde(with = "key")]
    pub fee_payer: Pubkey,
    /// Mint of prices and deposits.
    #[serde(with = "key")]
    pub mint: Pubkey,
    /// Every mint a channel may hold. No default: the operator vouches for each of them.
    #[serde(default, with = "key::list")]
    pub allowed_mints: Vec<Pubkey>,
    /// The mint's token program, SPL Token unless given.
    #[serde(default = "default_token_program", with = "key")]
    pub token_program: Pubkey,
    /// The mint's decimals.
    pub decimals: u8,
    /// Time to settle after a payer forces a close.
    #[serde(default = "default_grace_period")]
    pub grace_period_seconds: u32,
    /// Idle timeout of clients that choose none.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout_seconds: u32,
    /// Idle timeouts that clients may choose from, strictly increasing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle_timeout_options_seconds: Vec<u32>,
    /// Smallest deposit, in tokens.
    pub minimum_deposit: String,
    /// Deposit hint, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested_deposit: Option<String>,
    /// Smallest voucher increment, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_voucher_delta: Option<String>,
    /// Shares besides the payee's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<SplitConfig>,
    /// How long a voucher must stay valid to buy service; grace period + 60 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_voucher_life_seconds: Option<u32>,
    /// Clock skew granted to the voucher of a close.
    #[serde(default = "default_clock_tolerance")]
    pub clock_tolerance_seconds: u32,
    /// Oldest chain observation that still allows new vouchers (at most a tenth of the grace period counts).
    #[serde(default = "default_observation_max_age")]
    pub observation_max_age_seconds: u32,
    /// Largest compute-unit limit of a transaction to co-sign.
    #[serde(default = "default_max_compute_unit_limit")]
    pub max_compute_unit_limit: u32,
    /// Highest compute-unit price of a transaction to co-sign, in micro-lamports.
    #[serde(default = "default_max_compute_unit_price")]
    pub max_compute_unit_price: u64,
}

/// One share of `[session] splits`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Owner key that receives the share.
    #[serde(with = "key")]
    pub recipient: Pubkey,
    /// The share, in ten-thousandths.
    pub share_bps: u16,
}

/// One of `[[routes]]`; the first that matches prices a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// HTTP method; every method unless given. `GET` covers `HEAD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path or glob: `*` stays within a segment, `**` crosses segments.
    pub path: String,
    /// Price of one request, in tokens.
    pub price: String,
    /// What one unit is called.
    #[serde(default = "default_unit_type")]
    pub unit_type: String,
    /// How far a voucher may run ahead of the charge, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<String>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8402)
}
fn default_challenge_ttl() -> u32 {
    300
}
fn default_landing_timeout() -> u32 {
    30
}
fn default_upstream_timeout() -> u32 {
    60
}
fn default_request_body_limit() -> usize {
    2 * 1024 * 1024
}
fn default_program() -> Pubkey {
    PROGRAM_ID
}
fn default_token_program() -> Pubkey {
    TOKEN_PROGRAM
}
fn default_grace_period() -> u32 {
    900
}
fn default_idle_timeout() -> u32 {
    600
}
fn default_clock_tolerance() -> u32 {
    30
}
fn default_observation_max_age() -> u32 {
    30
}
fn default_max_compute_unit_limit() -> u32 {
    400_000
}
fn default_max_compute_unit_price() -> u64 {
    1_000_000
}
fn default_unit_type() -> String {
    "request".to_owned()
}

fn invalid(setting: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { setting, reason: reason.into() }
}

impl GatewayConfig {
    /// Checks what the values mean: transport, upstream, realm, durations.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.listen.ip().is_loopback() && !self.trusted_proxy && !self.insecure {
            return Err(ConfigError::PlainHttp(self.listen));
        }
        let upstream = reqwest::Url::parse(&self.upstream)
            .map_err(|error| invalid("gateway.upstream", format!("{:?}: {error}", self.upstream)))?;
        if !matches!(upstream.scheme(), "http" | "https") || upstream.host().is_none() {
            return Err(invalid("gateway.upstream", "must be an http:// or https:// URL with a host"));
        }
        if upstream.query().is_some() || upstream.fragment().is_some() {
            return Err(invalid("gateway.upstream", "must have no query and no fragment"));
        }
        self.realm()?;
        if self.challenge_ttl_seconds == 0 || self.landing_timeout_seconds == 0 {
            return Err(invalid(
                "gateway.challenge_ttl_seconds, landing_timeout_seconds",
                "must not be zero",
            ));
        }
        Ok(())
    }

    /// Reads the secret files, or draws a random secret when none is configured.
    pub fn challenge_secret(&self) -> Result<ChallengeSecret, ConfigError> {
        let current = match &self.secret_file {
            Some(path) => read_secret(path)?,
            None => rand::random::<[u8; 32]>().to_vec(),
        };
        let secret = ChallengeSecret::new(current).map_err(secret_error)?;
        match &self.previous_secret_file {
            Some(path) => secret.with_previous(read_secret(path)?).map_err(secret_error),
            None => Ok(secret),
        }
    }

    fn realm(&self) -> Result<Realm, ConfigError> {
        Realm::new(&self.realm).map_err(|error| invalid("gateway.realm", error.to_string()))
    }
}

fn secret_error(error: toll_protocol::ChallengeError) -> ConfigError {
    invalid("gateway.secret_file", error.to_string())
}

fn read_secret(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let bytes = std::fs::read(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error: error.to_string() })?;
    let secret = bytes.trim_ascii().to_vec();
    if secret.len() < SECRET_MIN {
        return Err(ConfigError::ShortSecret { path: path.to_owned(), length: secret.len() });
    }
    Ok(secret)
}

impl SessionConfig {
    /// Validates the section and turns it into [`Terms`] for `gateway`'s realm.
    pub fn terms(&self, gateway: &GatewayConfig) -> Result<Terms, ConfigError> {
        let tokens = |setting, text: &str| {
            parse_tokens(text, self.decimals)
                .map_err(|reason| invalid(setting, format!("{text:?}: {reason}")))
        };
        if self.decimals > 9 {
            return Err(invalid("session.decimals", format!("{} is above 9", self.decimals)));
        }
        if self.allowed_mints.is_empty() {
            return Err(invalid(
                "session.allowed_mints",
                "must list the mints you accept, `mint` among them",
            ));
        }
        if !self.allowed_mints.contains(&self.mint) {
            return Err(invalid("session.mint", format!("{} is not among session.allowed_mints", self.mint)));
        }
        if ![TOKEN_PROGRAM, TOKEN_2022_PROGRAM].contains(&self.token_program) {
            return Err(invalid("session.token_program", "must be SPL Token or Token-2022"));
        }
        if !self.payee.is_on_curve() {
            return Err(invalid(
                "session.payee",
                "must be a key that can sign: a program address cannot seal",
            ));
        }
        if self.grace_period_seconds == 0 {
            return Err(invalid("session.grace_period_seconds", "must not be zero"));
        }
        self.check_idle_timeouts()?;
        let minimum_deposit = tokens("session.minimum_deposit", &self.minimum_deposit)?;
        let suggested_deposit = self
            .suggested_deposit
            .as_deref()
            .map(|text| tokens("session.suggested_deposit", text))
            .transpose()?;
        if suggested_deposit.is_some_and(|suggested| suggested < minimum_deposit) {
            return Err(invalid("session.suggested_deposit", "is below session.minimum_deposit"));
        }
        let min_voucher_delta = self
            .min_voucher_delta
            .as_deref()
            .map(|text| tokens("session.min_voucher_delta", text))
            .transpose()?;
        let splits = self
            .splits
            .iter()
            .map(|split| Split { recipient: split.recipient, share_bps: split.share_bps })
            .collect();
        if self.splits.iter().any(|split| split.recipient == self.payee) {
            return Err(invalid("session.splits", "must not list the payee: it gets what the shares leave"));
        }
        let splits = Splits::new(splits).map_err(|error| invalid("session.splits", error.to_string()))?;
        Ok(Terms {
            realm: gateway.realm()?,
            network: self.network,
            program: self.program,
            mint: self.mint,
            token_program: self.token_program,
            decimals: self.decimals,
            payee: self.payee,
            fee_payer: self.fee_payer,
            grace_period: self.grace_period_seconds,
            idle_timeout_options: self.idle_timeout_options_seconds.clone(),
            idle_timeout: self.idle_timeout_seconds,
            splits,
            minimum_deposit,
            suggested_deposit,
            min_voucher_delta: min_voucher_delta.unwrap_or(Amount::ZERO),
            allowed_mints: self.allowed_mints.iter().copied().collect::<BTreeSet<_>>(),
            challenge_ttl: gateway.challenge_ttl_seconds,
            clock_tolerance: self.clock_tolerance_seconds,
            min_voucher_life: self
                .min_voucher_life_seconds
                .unwrap_or_else(|| self.grace_period_seconds.saturating_add(60)),
            observation_max_age: self.observation_max_age_seconds,
            tip_max_age: 30,
            landing_timeout: gateway.landing_timeout_seconds,
            max_compute_unit_limit: self.max_compute_unit_limit,
            max_compute_unit_price: self.max_compute_unit_price,
            limits: gateway.limits,
        })
    }

    fn check_idle_timeouts(&self) -> Result<(), ConfigError> {
        let options = &self.idle_timeout_options_seconds;
        let within = |timeout: &u32| (1..=MAX_IDLE_TIMEOUT).contains(timeout);
        if !within(&self.idle_timeout_seconds) || !options.iter().all(within) {
            return Err(invalid("session.idle_timeout_seconds", format!("must be 1 to {MAX_IDLE_TIMEOUT}")));
        }
        if !options.is_sorted_by(|earlier, later| earlier < later) {
            return Err(invalid("session.idle_timeout_options_seconds", "must increase strictly"));
        }
        if !options.is_empty() && !options.contains(&self.idle_timeout_seconds) {
            return Err(invalid(
                "session.idle_timeout_seconds",
                "must be one of idle_timeout_options_seconds",
            ));
        }
        Ok(())
    }
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
    Ok(RouteTable::new(routes, unpriced))
}

impl RouteConfig {
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
        let headroom = self.headroom.as_deref().map(tokens).transpose()?.unwrap_or(Amount::ZERO);
        let route = format!("{} {}", self.method.as_deref().unwrap_or("*"), self.path);
        let price = Price { amount, unit_type: Some(self.unit_type.clone()), headroom, route };
        Route::new(method, &self.path, price).map_err(|error| fail(error.to_string()))
    }
}
