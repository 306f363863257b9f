//! How a cluster agrees, and which commitment that makes good enough.
//!
//! Under Tower a block that is `confirmed` can be given up in theory, though it never was; waiting for `finalized`
//! takes some thirteen seconds. Alpenglow (SIMD-0326) finalizes in less than one, and makes both words mean the same.
//! A cluster changes from one to the other while we run, so it is asked again now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use solana_rpc_client_api::request::RpcRequest;
use toll_protocol::Network;
use tracing::{debug, info};

use crate::ChainError;
use crate::connection::Connection;

/// The call that shows the certificate of Alpenglow's first block.
const METHOD: &str = "getAgGenesisCert";

/// JSON-RPC's code for a method that a node does not know.
const UNKNOWN_METHOD: i64 = -32_601;

/// How often a cluster is asked.
const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How the validators of a cluster agree on blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consensus {
    /// Votes in blocks, locked out ever longer.
    #[default]
    Tower,
    /// Certificates of votes beside the blocks.
    Alpenglow,
}

impl Consensus {
    /// The commitment at which we believe what a node shows.
    pub(crate) fn commitment(self) -> &'static str {
        match self {
            Self::Tower => "confirmed",
            Self::Alpenglow => "finalized",
        }
    }
}

/// What is known of a cluster's consensus.
pub(crate) struct Detection {
    known: Mutex<(Consensus, Option<Instant>)>,
    asks: bool,
}

impl Detection {
    /// Public clusters are asked; on a chain of one's own `confirmed` is as good as it gets.
    pub(crate) fn on(network: Option<Network>) -> Self {
        let asks = matches!(network, Some(Network::Mainnet | Network::Devnet));
        Self { known: Mutex::default(), asks }
    }

    /// What was found last.
    pub(crate) fn consensus(&self) -> Consensus {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Asks the cluster if that is due. Without an answer everything stays as it was.
    pub(crate) async fn refresh(&self, connection: &Connection) {
        let before = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.asks || before.1.is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        match ask(connection).await {
            Ok(found) => {
                if found != before.0 {
                    info!(consensus = ?found, commitment = found.commitment(), "the cluster's consensus");
                }
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = (found, Some(Instant::now()));
            }
            Err(error) => debug!(%error, "consensus unknown"),
        }
    }
}

async fn ask(connection: &Connection) -> Result<Consensus, ChainError> {
    sort(connection.call(METHOD, RpcRequest::Custom { method: METHOD }, json!([])).await)
}

/// A certificate is Alpenglow's; none, or a node that knows of no such thing, is Tower.
fn sort(certificate: Result<Value, ChainError>) -> Result<Consensus, ChainError> {
    match certificate {
        Ok(certificate) if certificate.is_object() => Ok(Consensus::Alpenglow),
        Ok(Value::Null) | Err(ChainError::Refused { code: UNKNOWN_METHOD, .. }) => Ok(Consensus::Tower),
        Ok(_) => {
            Err(ChainError::Malformed { what: METHOD, reason: "neither certificate nor null".to_owned() })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use solana_pubkey::Pubkey;
    use solana_signature::Signature;

    use super::*;
    use crate::stub_node::node;
    use crate::{Chain, DEVNET_GENESIS, Fate, RpcChain};

    fn certificate() -> Value {
        json!({ "slot": 504_148_999u64 })
    }

    #[test]
    fn certificate_is_alpenglow_and_none_or_an_unknown_method_is_tower() {
        let refused = |code| Err(ChainError::Refused { method: METHOD, code, message: String::new() });
        assert_eq!(sort(Ok(certificate())).unwrap(), Consensus::Alpenglow);
        assert_eq!(sort(Ok(Value::Null)).unwrap(), Consensus::Tower);
        assert_eq!(sort(refused(UNKNOWN_METHOD)).unwrap(), Consensus::Tower);
        assert!(sort(refused(-32_600)).is_err() && sort(Ok(json!("nonsense"))).is_err());
    }

    /// At what commitment a chain of devnet reads accounts after a node gave this answer, and what it makes of a
    /// transaction that is confirmed.
    async fn after(answer: Value) -> (Value, Vec<Fate>) {
        let accounts = json!({ "context": { "slot": 7 }, "value": [null] });
        let status = json!({ "context": { "slot": 7 }, "value": [{ "slot": 6, "confirmations": 1,
            "confirmationStatus": "confirmed", "err": null }] });
        let (url, seen) = node(vec![json!(DEVNET_GENESIS), answer, accounts, status]).await;
        let chain = RpcChain::on(Network::Devnet, url);
        chain.detect_consensus().await;
        chain.accounts(&[Pubkey::default()]).await.unwrap();
        let fates = chain.statuses(&[Signature::default()]).await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen[1]["method"], METHOD);
        (seen[2]["params"][1]["commitment"].clone(), fates)
    }

    #[tokio::test]
    async fn what_is_confirmed_counts_under_tower_and_only_what_is_final_under_alpenglow() {
        let unknown = json!({ "code": UNKNOWN_METHOD, "message": "Method not found" });
        assert_eq!(after(unknown).await, (json!("confirmed"), vec![Fate::Landed { slot: 6 }]));
        assert_eq!(after(certificate()).await, (json!("finalized"), vec![Fate::Pending]));
    }
}
