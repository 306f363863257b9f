//! One node: what is asked of it, and how it has been doing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_api::client_error::{Error as ClientError, ErrorKind};
use solana_rpc_client_api::request::{RpcError, RpcRequest};
use tracing::info;

use crate::ChainError;
use crate::endpoints::origin;
use crate::error::cause;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the answer to a question for hundreds of thousands of accounts may take.
const LONG_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest answer that is read, in bytes: some million accounts.
const LONGEST_ANSWER: usize = 256 << 20;

/// How long a node that failed once is asked only when no other answers; it doubles with every failure.
const FIRST_REST: Duration = Duration::from_millis(500);

/// The longest such time.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A node at a URL. Connects when first asked.
pub(crate) struct Node {
    client: RpcClient,
    /// For answers that are too long for `client`, which keeps them as text and as a tree at once.
    long: reqwest::Client,
    url: String,
    name: String,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    /// Failures in a row.
    failures: u32,
    /// Until when others are preferred.
    resting_until: Option<Instant>,
    /// Whether its cluster was compared since it was last out of reach.
    compared: bool,
}

impl Node {
    pub(crate) fn new(url: &str) -> Self {
        let client = RpcClient::new_with_timeout(url.to_owned(), TIMEOUT);
        Self {
            client,
            long: reqwest::Client::new(),
            url: url.to_owned(),
            name: origin(url),
            health: Mutex::default(),
        }
    }

    /// Its origin, which is all that is ever told of its URL.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// One question, asked once.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        request: RpcRequest,
        params: Value,
    ) -> Result<T, ChainError> {
        self.client.send(request, params).await.map_err(|error| self.refusal(method, error))
    }

    /// One question whose answer may be very long: it has more time, and becomes `T` without being copied in between.
    pub(crate) async fn ask_long<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &Value,
    ) -> Result<T, ChainError> {
        #[derive(Deserialize)]
        struct Answer<T> {
            result: Option<T>,
            error: Option<Refusal>,
        }
        #[derive(Deserialize)]
        struct Refusal {
            code: i64,
            message: String,
        }
        let unreachable = |reason| ChainError::Unreachable { method, node: self.name.clone(), reason };
        let lost = |error: reqwest::Error| unreachable(cause(&error.without_url()));
        let malformed = |reason: &str| ChainError::Malformed { what: method, reason: reason.to_owned() };
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let asked = self.long.post(&self.url).json(&question).timeout(LONG_TIMEOUT).send();
        let mut answer = asked.await.map_err(lost)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(lost)? {
            if body.len() + part.len() > LONGEST_ANSWER {
                return Err(malformed("the answer is too long"));
            }
            body.extend_from_slice(&part);
        }
        match serde_json::from_slice(&body) {
            Ok(Answer { error: Some(Refusal { code, message }), .. }) => {
                Err(ChainError::Refused { method, code, message })
            }
            Ok(Answer { result: Some(result), .. }) => Ok(result),
            Ok(_) => Err(malformed("no result")),
            Err(_) if !status.is_success() => Err(unreachable(format!("HTTP status {status}"))),
            Err(error) => Err(malformed(&error.to_string())),
        }
    }

    /// Until when others are preferred, if they are.
    pub(crate) fn resting_until(&self) -> Option<Instant> {
        self.health().resting_until.filter(|until| Instant::now() < *until)
    }

    /// Whether its cluster was compared since it was last out of reach.
    pub(crate) fn is_compared(&self) -> bool {
        self.health().compared
    }

    /// Notes that it is on the right cluster.
    pub(crate) fn compared(&self) {
        self.health().compared = true;
    }

    /// Notes that it answered well.
    pub(crate) fn answered(&self) {
        let mut health = self.health();
        if health.failures > 0 {
            info!(node = self.name, "answers again");
        }
        (health.failures, health.resting_until) = (0, None);
    }

    /// Notes that it failed. What is out of reach may come back as another node, so it is compared again.
    pub(crate) fn failed(&self, error: &ChainError) {
        let mut health = self.health();
        let rest = match error {
            ChainError::WrongCluster { .. } | ChainError::StrayNode { .. } => LONGEST_REST,
            _ => FIRST_REST.saturating_mul(1 << health.failures.min(10)).min(LONGEST_REST),
        };
        if health.failures == 0 {
            // Whoever asked reports what matters; with other nodes nothing does.
            info!(node = self.name, %error, "fails");
        }
        health.failures = health.failures.saturating_add(1);
        health.resting_until = Some(Instant::now() + rest);
        health.compared &= !matches!(error, ChainError::Unreachable { .. });
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // Whatever a panicking holder left is still only an impression.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sorts a client error: no answer, a refusal, or an answer that makes no sense.
    fn refusal(&self, method: &'static str, error: ClientError) -> ChainError {
        match error.kind() {
            ErrorKind::RpcError(RpcError::RpcResponseError { code, message, .. }) => {
                ChainError::Refused { method, code: *code, message: message.clone() }
            }
            ErrorKind::SerdeJson(error) => ChainError::Malformed { what: method, reason: error.to_string() },
            _ => {
                ChainError::Unreachable { method, node: self.name.clone(), reason: without_url(*error.kind) }
            }
        }
    }
}

/// The transport's reason. It names the URL, and URLs of nodes have keys in them.
fn without_url(error: ErrorKind) -> String {
    match error {
        ErrorKind::Reqwest(error) => cause(&error.without_url()),
        error => error.to_string(),
    }
}
