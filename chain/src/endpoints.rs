//! The setting that names nodes: one URL, or several in the order they are preferred in.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// RPC endpoints of one cluster, the preferred one first. In a file: a string, or a list of strings.
///
/// Providers hide access keys in paths and queries, so `Debug` names origins only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Endpoints {
    /// One node.
    One(String),
    /// Several nodes; the later ones are asked while the earlier ones fail.
    Several(Vec<String>),
}

impl Endpoints {
    /// The URLs, the preferred one first.
    pub fn urls(&self) -> &[String] {
        match self {
            Self::One(url) => std::slice::from_ref(url),
            Self::Several(urls) => urls,
        }
    }

    /// What keeps these from being asked: none at all, one that is no HTTP URL, one that is there twice.
    pub fn check(&self) -> Result<(), String> {
        self.check_schemes(["http", "https"])
    }

    /// The same of URLs where nodes take subscriptions: `ws://` or `wss://`.
    pub fn check_websockets(&self) -> Result<(), String> {
        self.check_schemes(["ws", "wss"])
    }

    fn check_schemes(&self, schemes: [&str; 2]) -> Result<(), String> {
        let urls = self.urls();
        if urls.is_empty() {
            return Err("names no node".to_owned());
        }
        for (at, url) in urls.iter().enumerate() {
            let parsed = url.parse::<reqwest::Url>().ok();
            if !parsed.is_some_and(|url| schemes.contains(&url.scheme()) && url.has_host()) {
                // Not repeated: what is mistyped may still hold a key.
                return Err(format!("entry {} is no {}:// or {}:// URL", at + 1, schemes[0], schemes[1]));
            }
            if urls[..at].contains(url) {
                return Err(format!("entry {} is there twice", at + 1));
            }
        }
        Ok(())
    }
}

impl From<String> for Endpoints {
    fn from(url: String) -> Self {
        Self::One(url)
    }
}

impl From<&String> for Endpoints {
    fn from(url: &String) -> Self {
        Self::One(url.clone())
    }
}

impl From<&str> for Endpoints {
    fn from(url: &str) -> Self {
        Self::One(url.to_owned())
    }
}

impl From<&Endpoints> for Endpoints {
    fn from(endpoints: &Endpoints) -> Self {
        endpoints.clone()
    }
}

impl From<Vec<String>> for Endpoints {
    fn from(urls: Vec<String>) -> Self {
        Self::Several(urls)
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.urls().iter().map(|url| origin(url))).finish()
    }
}

/// A node as messages name it: without the path and query that providers hide an access key in.
pub(crate) fn origin(url: &str) -> String {
    let parsed = url.parse::<reqwest::Url>();
    parsed.map_or_else(|_| "its URL".to_owned(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Endpoints {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn one_url_or_a_list_is_read_and_written_as_it_was() {
        for text in [json!("http://a"), json!(["http://a", "https://b/key"])] {
            let endpoints = read(text.clone());
            assert_eq!(endpoints.check(), Ok(()));
            assert_eq!(serde_json::to_value(&endpoints).unwrap(), text);
        }
        assert_eq!(read(json!(["http://a", "https://b"])).urls(), ["http://a", "https://b"]);
    }

    #[test]
    fn what_is_no_url_or_there_twice_is_refused_by_its_place() {
        let refusal = |value| read(value).check().unwrap_err();
        assert!(refusal(json!([])).contains("no node"));
        assert!(refusal(json!(["http://a", "ftp://b/hunter2"])).contains("entry 2"));
        assert!(!refusal(json!(["ftp://b/hunter2"])).contains("hunter2"));
        assert!(refusal(json!("127.0.0.1:8899")).contains("http"));
        assert!(refusal(json!(["http://a", "http://a"])).contains("twice"));
        assert_eq!(read(json!(["ws://a", "wss://b"])).check_websockets(), Ok(()));
        assert!(read(json!("http://a")).check_websockets().unwrap_err().contains("wss://"));
    }

    #[test]
    fn a_key_in_a_url_is_not_shown() {
        let shown = format!("{:?}", read(json!(["https://node.example/?key=hunter2", "https://x/hunter2"])));
        assert!(!shown.contains("hunter2") && shown.contains("https://node.example"), "{shown}");
    }
}
