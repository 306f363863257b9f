//! `[gateway.price_hook]`: who is asked for prices.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RouteConfig, invalid};
use crate::error::{ConfigError, GatewayError};
use crate::hook::{HookFailure, Hooked, HttpHook};

/// Shortest secret, in bytes.
const SHORTEST_SECRET: usize = 16;

const SECRET: &str = "gateway.price_hook.secret_file";
const URL: &str = "gateway.price_hook.url";

/// `[gateway.price_hook]`: a URL that is asked for the price of each request to routes with `price_hook = true`, and told
/// afterwards what it was charged and what it used.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceHookConfig {
    /// Where questions and reports are posted, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// File with a secret of at least 16 bytes that the hook knows us by: it is in `X-Toll-Hook-Secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Milliseconds that an answer may take.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u32,
    /// What happens to a request when the hook does not say its price: `refuse` it with 503, or charge the `price` of its
    /// route.
    #[serde(default)]
    pub on_failure: HookFailure,
}

fn default_timeout() -> u32 {
    500
}

impl Default for PriceHookConfig {
    fn default() -> Self {
        Self {
            url: None,
            secret_file: None,
            timeout_ms: default_timeout(),
            on_failure: HookFailure::default(),
        }
    }
}

impl PriceHookConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.timeout_ms == 0 {
            return Err(invalid("gateway.price_hook.timeout_ms", "must not be zero"));
        }
        if self.url.is_none() && self.secret_file.is_some() {
            return Err(invalid(SECRET, "has no effect without gateway.price_hook.url"));
        }
        self.parsed_url().map(drop)
    }

    /// Checks that there is a hook where `routes` ask one.
    pub fn validate_for(&self, routes: &[RouteConfig]) -> Result<(), ConfigError> {
        match routes.iter().find(|route| route.price_hook) {
            Some(route) if self.url.is_none() => Err(ConfigError::Route {
                path: route.path.clone(),
                reason: "price_hook = true needs gateway.price_hook.url".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn parsed_url(&self) -> Result<Option<reqwest::Url>, ConfigError> {
        let Some(url) = &self.url else { return Ok(None) };
        let parsed = reqwest::Url::parse(url).map_err(|error| invalid(URL, format!("{url:?}: {error}")))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
            return Err(invalid(URL, "must be an http:// or https:// URL with a host"));
        }
        Ok(Some(parsed))
    }

    /// The hook, if there is one.
    pub(crate) fn hook(&self) -> Result<Option<Hooked>, GatewayError> {
        let Some(url) = self.parsed_url()? else { return Ok(None) };
        let hook = HttpHook::new(url, self.secret()?).map_err(GatewayError::Upstream)?;
        Ok(Some(Hooked {
            hook: Arc::new(hook),
            patience: Duration::from_millis(self.timeout_ms.into()),
            on_failure: self.on_failure,
        }))
    }

    fn secret(&self) -> Result<Option<HeaderValue>, ConfigError> {
        let Some(path) = &self.secret_file else { return Ok(None) };
        let bytes = std::fs::read(path).map_err(|error| ConfigError::Unreadable {
            setting: SECRET,
            path: path.clone(),
            error: error.to_string(),
        })?;
        let secret = bytes.trim_ascii();
        if secret.len() < SHORTEST_SECRET {
            return Err(invalid(SECRET, format!("must hold at least {SHORTEST_SECRET} bytes")));
        }
        HeaderValue::from_bytes(secret).map(Some).map_err(|_| invalid(SECRET, "must be one line of text"))
    }
}
