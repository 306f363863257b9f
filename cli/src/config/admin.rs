//! `[admin]` and `[telemetry]`: what those who run a server see of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[admin]`: a listener of its own for metrics and probes. Off unless it has an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Address for `/metrics`, `/healthz` and `/readyz`. Beyond loopback it needs a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// File with the token that every request must bring as `Authorization: Bearer`, at least 16 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

/// `[telemetry]`: traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// URL of an OTLP collector over HTTP (`http://127.0.0.1:4318/v1/traces`) that gets a trace of every request. Off
    /// unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
}

impl AdminConfig {
    /// Checks what the values mean; says which cannot work.
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        match self.listen {
            Some(listen) if !listen.ip().is_loopback() && self.token_file.is_none() => {
                Err("admin.token_file: is needed when admin.listen is not a loopback address")
            }
            None if self.token_file.is_some() => Err("admin.token_file: does nothing without admin.listen"),
            _ => Ok(()),
        }
    }
}

impl TelemetryConfig {
    /// Checks what the values mean; says which cannot work.
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        let Some(endpoint) = &self.otlp_endpoint else { return Ok(()) };
        let url = reqwest::Url::parse(endpoint).ok();
        let works = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if works { Ok(()) } else { Err("telemetry.otlp_endpoint: must be an http:// or https:// URL") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_listener_beyond_loopback_needs_a_token() {
        let on = |listen: &str, token: bool| AdminConfig {
            listen: Some(listen.parse().unwrap()),
            token_file: token.then(|| PathBuf::from("token")),
        };
        on("127.0.0.1:9402", false).validate().unwrap();
        on("[::1]:9402", false).validate().unwrap();
        on("0.0.0.0:9402", true).validate().unwrap();
        assert!(on("0.0.0.0:9402", false).validate().unwrap_err().starts_with("admin.token_file"));
        AdminConfig::default().validate().unwrap();
        let useless = AdminConfig { token_file: Some(PathBuf::from("token")), ..AdminConfig::default() };
        assert!(useless.validate().unwrap_err().starts_with("admin.token_file"));
    }

    #[test]
    fn a_collector_is_a_url() {
        let at = |endpoint: &str| TelemetryConfig { otlp_endpoint: Some(endpoint.to_owned()) };
        at("http://127.0.0.1:4318/v1/traces").validate().unwrap();
        for endpoint in ["127.0.0.1:4318", "grpc://127.0.0.1:4317", ""] {
            assert!(
                at(endpoint).validate().unwrap_err().starts_with("telemetry.otlp_endpoint"),
                "{endpoint}"
            );
        }
    }
}
