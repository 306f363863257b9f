//! A subscription as a hint: something may have happened, go and look.
//!
//! It is never the record. A connection breaks without a word, and a node may skip a notification; whoever listens
//! reads the state on a timer as well, and again after every connection.

use std::time::Duration;

use futures::StreamExt;
use solana_pubsub_client::nonblocking::pubsub_client::PubsubClient;
use solana_rpc_client_api::config::RpcProgramAccountsConfig;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::debug;

use crate::endpoints::origin;
use crate::program_accounts::ChannelFilter;

/// Pause before a broken connection is made again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long connecting and subscribing may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Wakes whenever a channel may have come to match a filter.
#[derive(Debug)]
pub struct Hints {
    seen: watch::Receiver<u64>,
    task: Option<JoinHandle<()>>,
}

impl Hints {
    /// Listens at the first of `urls` (`ws://` or `wss://`) that takes a subscription, until dropped, connecting as
    /// often as it takes. Needs a running tokio runtime.
    pub fn subscribe(urls: Vec<String>, filter: ChannelFilter) -> Self {
        let (hint, seen) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            while !hint.is_closed() {
                let told = listen_to_any(&urls, &filter, &hint).await;
                pause = if told { FIRST_PAUSE } else { (2 * pause).min(LONGEST_PAUSE) };
                tokio::time::sleep(pause).await;
            }
        });
        Self { seen, task: Some(task) }
    }

    /// Hints from somebody else: one whenever the value changes.
    pub fn from_changes(seen: watch::Receiver<u64>) -> Self {
        Self { seen, task: None }
    }

    /// Waits for a hint since the last one. Never returns when no more can come.
    pub async fn next(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Tries each URL in turn until one connection came about, and ends with that. False when none did.
async fn listen_to_any(urls: &[String], filter: &ChannelFilter, hint: &watch::Sender<u64>) -> bool {
    for url in urls {
        let told = listen(url, filter, hint).await;
        debug!(node = origin(url), told, "subscription ended");
        if told {
            return true;
        }
    }
    false
}

/// One connection, from its first hint to its end. False when it never came about.
async fn listen(url: &str, filter: &ChannelFilter, hint: &watch::Sender<u64>) -> bool {
    // The reasons name the URL, and URLs of nodes have keys in them: nobody is told.
    let Ok(Ok(client)) = tokio::time::timeout(TIMEOUT, PubsubClient::new(url)).await else { return false };
    let config: RpcProgramAccountsConfig = match serde_json::from_value(filter.config("confirmed", None)) {
        Ok(config) => config,
        Err(error) => {
            debug!(%error, "filter");
            return false;
        }
    };
    let subscribed = client.program_subscribe(&filter.program, Some(config));
    let Ok(Ok((mut updates, _))) = tokio::time::timeout(TIMEOUT, subscribed).await else { return false };
    // Nobody tells what happened before.
    hint.send_modify(|hints| *hints += 1);
    while updates.next().await.is_some() {
        hint.send_modify(|hints| *hints += 1);
    }
    true
}

/// Where the node that answers at `rpc` (`http://` or `https://`) takes subscriptions by custom: the next port where
/// one is named, else the same address.
pub fn websocket_url(rpc: &str) -> Option<String> {
    let mut url = rpc.parse::<reqwest::Url>().ok()?;
    let scheme = match url.scheme() {
        "http" => "ws",
        "https" => "wss",
        _ => return None,
    };
    if let Some(port) = url.port() {
        url.set_port(Some(port.checked_add(1)?)).ok()?;
    }
    url.set_scheme(scheme).ok()?;
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn websocket_is_at_the_next_port_or_at_the_same_name() {
        let cases = [
            ("http://127.0.0.1:8899", Some("ws://127.0.0.1:8900/")),
            ("https://api.example.com", Some("wss://api.example.com/")),
            ("https://rpc.example.com/?api-key=k", Some("wss://rpc.example.com/?api-key=k")),
            ("http://127.0.0.1:65535", None),
            ("ftp://example.com", None),
            ("nonsense", None),
        ];
        for (rpc, expected) in cases {
            assert_eq!(websocket_url(rpc).as_deref(), expected, "{rpc}");
        }
    }
}
