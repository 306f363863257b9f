//! What can go wrong besides refusing a request.

use std::net::SocketAddr;
use std::path::PathBuf;

/// A configuration that the gateway does not start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not the expected TOML: a misspelt, missing or mistyped setting.
    #[error("{0}")]
    Syntax(String),
    /// A setting has a value that makes no sense.
    #[error("{setting}: {reason}")]
    Invalid {
        /// Its dotted name.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A route has a value that makes no sense.
    #[error("route {path:?}: {reason}")]
    Route {
        /// The route's pattern.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Credentials would cross a network in clear text.
    #[error(
        "gateway.listen: {0} is reachable from other machines without TLS: listen on loopback behind a proxy that \
         terminates TLS, or set trusted_proxy = true (or insecure = true for an experiment)"
    )]
    PlainHttp(SocketAddr),
    /// A secret file cannot be read.
    #[error("{setting}: cannot read {path}: {error}")]
    Unreadable {
        /// Which one.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: String,
    },
    /// A secret that can be guessed.
    #[error("{setting}: {path} holds {length} bytes, a challenge secret needs at least 32")]
    ShortSecret {
        /// Which one.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Its length without surrounding white space.
        length: usize,
    },
}

/// Why the gateway stops or does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The configuration is unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client for the upstream cannot be built.
    #[error("cannot build the upstream client: {0}")]
    Upstream(#[source] reqwest::Error),
    /// The listener failed.
    #[error("cannot serve: {0}")]
    Serve(#[source] std::io::Error),
}
