//! `[discovery]`: how people and agents find what is sold.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::invalid;
use crate::error::ConfigError;

/// Categories that a service may name: no more are looked at.
const MOST_CATEGORIES: usize = 5;

/// `[discovery]`: documents about the priced routes, free and open to everybody: `/openapi.json`, `/llms.txt`,
/// `/.well-known/llms.txt`, `/v1/catalog`, `/v1/skills` and `/v1/categories`. A route that spells one of these paths out
/// keeps it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoveryConfig {
    /// Base URL under which clients reach this gateway, `https://api.example`: what is listed has URLs below it. Nothing
    /// is listed without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// What the service is called; `gateway.realm` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is good for, in a sentence or two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it is about, in lower case: `data`, `compute`, `developer-tools`, … Five at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Where people read about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Where the upstream has an OpenAPI 3 document of its own: prices are added to it, and what costs nothing and is
    /// not passed through is left out. Empty: it is not asked for.
    #[serde(default = "default_upstream_document")]
    pub upstream_document: String,
}

fn default_upstream_document() -> String {
    "/openapi.json".to_owned()
}

impl DiscoveryConfig {
    /// Checks what the values mean: URLs, categories, the path.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (setting, url) in
            [("discovery.public_url", &self.public_url), ("discovery.homepage", &self.homepage)]
        {
            let Some(url) = url else { continue };
            let parsed =
                reqwest::Url::parse(url).map_err(|error| invalid(setting, format!("{url:?}: {error}")))?;
            if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
                return Err(invalid(setting, "must be an http:// or https:// URL with a host"));
            }
            if parsed.query().is_some() || parsed.fragment().is_some() {
                return Err(invalid(setting, "must have no query and no fragment"));
            }
        }
        let is_word = |word: &String| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        if self.categories.len() > MOST_CATEGORIES || !self.categories.iter().all(is_word) {
            let reason = "must be five words at most, of lower-case letters and hyphens";
            return Err(invalid("discovery.categories", reason));
        }
        let path = &self.upstream_document;
        if !path.is_empty() && !path.starts_with('/') {
            return Err(invalid("discovery.upstream_document", "must be empty or start with `/`"));
        }
        let named = [
            ("discovery.title", &self.title),
            ("discovery.description", &self.description),
            ("discovery.public_url", &self.public_url),
            ("discovery.homepage", &self.homepage),
        ];
        let has_nothing = self.public_url.is_none();
        match named.into_iter().find(|(_, value)| value.is_some()) {
            Some((setting, _)) if has_nothing => {
                Err(invalid(setting, "has no effect without discovery.public_url"))
            }
            _ if has_nothing && !self.categories.is_empty() => {
                Err(invalid("discovery.categories", "has no effect without discovery.public_url"))
            }
            _ => Ok(()),
        }
    }
}
