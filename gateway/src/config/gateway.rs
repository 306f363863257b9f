//! `[gateway]`: transport, upstream, challenges.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toll_protocol::{ChallengeSecret, Realm, SECRET_MIN};

use super::{PriceHookConfig, TransportConfig, invalid};
use crate::error::ConfigError;
use crate::routes::Unpriced;
use crate::terms::Limits;

/// `[gateway]`: the listener, the upstream, and how challenges are made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Address to listen on.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Base URL of the guarded service, `http://` or `https://`.
    pub upstream: String,
    /// Protection space named in challenges; the public host name by custom.
    pub realm: String,
    /// File with the secret that authenticates challenges, at least 32 bytes. Unless given, `toll serve` keeps one
    /// beside the ledger (`ledger.path` + `.secret`), made at its first start. Read again on SIGHUP: what the secret
    /// before made is recognized for `challenge_ttl_seconds` more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The secret before the last rotation: its challenges are recognized as long as it is named. Read again on SIGHUP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret_file: Option<PathBuf>,
    /// Key file of the operator, `session.operator`, who signs the vouchers of operator-signed sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_key_file: Option<PathBuf>,
    /// What happens to requests no route prices.
    #[serde(default)]
    pub unpriced: Unpriced,
    /// A proxy in front terminates TLS, so plain HTTP on any address is fine. What it says of the client in
    /// `Forwarded` and `X-Forwarded-*` is passed on; from anyone else these are dropped.
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
    /// Bounds of time and memory, `[gateway.transport]`.
    #[serde(default)]
    pub transport: TransportConfig,
    /// Who is asked for prices, `[gateway.price_hook]`.
    #[serde(default)]
    pub price_hook: PriceHookConfig,
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

const DAY: u32 = 24 * 60 * 60;

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
        self.limits.validate()?;
        let not_zero = [
            ("gateway.challenge_ttl_seconds", self.challenge_ttl_seconds),
            ("gateway.landing_timeout_seconds", self.landing_timeout_seconds),
        ];
        if let Some((setting, _)) = not_zero.into_iter().find(|(_, value)| *value == 0) {
            return Err(invalid(setting, "must not be zero"));
        }
        // The ledger archives a channel, and the use of its challenge with it, after a day at the earliest.
        if self.challenge_ttl_seconds > DAY {
            return Err(invalid("gateway.challenge_ttl_seconds", "must not be above a day"));
        }
        if self.upstream_timeout_seconds == 0 {
            return Err(invalid("gateway.upstream_timeout_seconds", "must not be zero"));
        }
        if self.request_body_limit == 0 {
            return Err(invalid("gateway.request_body_limit", "must not be zero"));
        }
        self.transport.validate(self.request_body_limit)?;
        self.price_hook.validate()?;
        Ok(())
    }

    /// Reads the secret files, or draws a secret for the life of the process when none is named: then a restart
    /// invalidates challenges, while channels and vouchers survive.
    pub fn challenge_secret(&self) -> Result<ChallengeSecret, ConfigError> {
        let current = match &self.secret_file {
            Some(path) => read_secret(SECRET, path)?,
            None => rand::random::<[u8; 32]>().to_vec(),
        };
        let secret = ChallengeSecret::new(current).map_err(|error| invalid(SECRET, error.to_string()))?;
        match &self.previous_secret_file {
            Some(path) => secret
                .with_previous(read_secret(PREVIOUS_SECRET, path)?)
                .map_err(|error| invalid(PREVIOUS_SECRET, error.to_string())),
            None => Ok(secret),
        }
    }

    pub(super) fn realm(&self) -> Result<Realm, ConfigError> {
        Realm::new(&self.realm).map_err(|error| invalid("gateway.realm", error.to_string()))
    }
}

const SECRET: &str = "gateway.secret_file";
const PREVIOUS_SECRET: &str = "gateway.previous_secret_file";

fn read_secret(setting: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let bytes = std::fs::read(path).map_err(|error| ConfigError::Unreadable {
        setting,
        path: path.to_owned(),
        error: error.to_string(),
    })?;
    let secret = bytes.trim_ascii().to_vec();
    if secret.len() < SECRET_MIN {
        return Err(ConfigError::ShortSecret { setting, path: path.to_owned(), length: secret.len() });
    }
    Ok(secret)
}
