//! The connection to a cluster: one node or several, asked in turn.
//!
//! A question goes to the first node that is well. One that does not answer, says that it is not ready, or
//! shows the past is passed over for a while. A node is asked nothing before its genesis hash was compared
//! with the network's and with that of the others, at first and whenever it was out of reach.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use solana_rpc_client_api::request::RpcRequest;
use solana_rpc_client_api::response::Response;
use toll_protocol::Network;
use tracing::warn;

use crate::genesis::check_genesis;
use crate::node::Node;
use crate::{ChainError, Endpoints};

type Result<T, E = ChainError> = std::result::Result<T, E>;

/// Pauses before the second, third, … time that all nodes are asked a question.
const BACKOFF: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1_200)];

/// How long an answer for an older slot than the latest seen is refused when nothing newer comes. A cluster
/// that was restarted from a snapshot goes on below the slots it once showed.
const PAST_PATIENCE: Duration = Duration::from_secs(120);

/// Every node of one cluster.
pub(crate) struct Connection {
    nodes: Vec<Arc<Node>>,
    network: Option<Network>,
    /// The genesis hash of the first node that was compared.
    genesis: OnceLock<String>,
    latest: Mutex<Option<(u64, Instant)>>,
}

impl Connection {
    /// The nodes at `endpoints`, which must be of `network` if one is given. Nothing is sent yet.
    pub(crate) fn new(endpoints: &Endpoints, network: Option<Network>) -> Self {
        let nodes = endpoints.urls().iter().map(|url| Arc::new(Node::new(url))).collect();
        Self { nodes, network, genesis: OnceLock::new(), latest: Mutex::default() }
    }

    /// The nodes' origins.
    pub(crate) fn name(&self) -> String {
        self.nodes.iter().map(|node| node.name()).collect::<Vec<_>>().join(", ")
    }

    /// Asks every node for its genesis hash and compares them. One of another cluster is an error that names
    /// it; one that does not answer is compared when it does, as long as any answers.
    pub(crate) async fn genesis_hash(&self) -> Result<String> {
        let mut pauses = BACKOFF.iter();
        loop {
            let answers = join_all(self.nodes.iter().map(|node| self.compare(node))).await;
            let mut last = ChainError::NoNode;
            for (node, answer) in self.nodes.iter().zip(answers) {
                match answer {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => {
                        node.failed(&error);
                        last = error;
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(genesis) =
                self.genesis.get().filter(|_| self.nodes.iter().any(|node| node.is_compared()))
            {
                return Ok(genesis.clone());
            }
            match pauses.next() {
                Some(pause) if last.is_transient() => tokio::time::sleep(*pause).await,
                _ => return Err(last),
            }
        }
    }

    /// One call, asked of the nodes in turn.
    pub(crate) async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        request: RpcRequest,
        params: Value,
    ) -> Result<T> {
        self.ask(|node| {
            let params = params.clone();
            Box::pin(async move { node.ask(method, request, params).await })
        })
        .await
    }

    /// A call whose answer has a slot, which is not below `floor`.
    pub(crate) async fn call_at<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        request: RpcRequest,
        params: Value,
        floor: u64,
    ) -> Result<Response<T>> {
        self.ask(|node| {
            let params = params.clone();
            Box::pin(async move {
                let answer: Response<T> = node.ask(method, request, params).await?;
                not_past(node, answer.context.slot, floor)?;
                Ok(answer)
            })
        })
        .await
    }

    /// Puts a question of one or several calls to one node, and to the next when that one fails.
    pub(crate) async fn ask<T>(
        &self,
        question: impl for<'a> Fn(&'a Node) -> BoxFuture<'a, Result<T>> + Sync,
    ) -> Result<T> {
        let mut pauses = BACKOFF.iter();
        loop {
            let mut told = ChainError::NoNode;
            for node in self.by_preference() {
                match self.ask_one(&node, question(&node)).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if is_of_the_node(&error) => told = more_telling(told, error),
                    Err(refusal) => return Err(refusal),
                }
            }
            match pauses.next() {
                Some(pause) if told.is_transient() => tokio::time::sleep(*pause).await,
                _ => return Err(told),
            }
        }
    }

    /// The first answer that is something, asking one node after the other; `None` where those that answered have nothing.
    pub(crate) async fn first_found<T>(
        &self,
        question: impl for<'a> Fn(&'a Node) -> BoxFuture<'a, Result<Option<T>>> + Sync,
    ) -> Result<Option<T>> {
        let (mut told, mut answered) = (ChainError::NoNode, false);
        for node in self.by_preference() {
            match self.ask_one(&node, question(&node)).await {
                Ok(Some(answer)) => return Ok(Some(answer)),
                Ok(None) => answered = true,
                Err(error) => told = more_telling(told, error),
            }
        }
        if answered { Ok(None) } else { Err(told) }
    }

    /// One call, put to every node at once. The first good answer is enough; the other nodes are asked all the
    /// same. A refusal counts when no node does better.
    pub(crate) async fn call_all<T: DeserializeOwned + Send + 'static>(
        self: &Arc<Self>,
        method: &'static str,
        request: RpcRequest,
        params: Value,
    ) -> Result<T> {
        let mut pauses = BACKOFF.iter();
        loop {
            let mut asked: FuturesUnordered<_> = self
                .nodes
                .iter()
                .map(|node| {
                    let (this, node, params) = (Arc::clone(self), Arc::clone(node), params.clone());
                    tokio::spawn(async move { this.ask_one(&node, node.ask(method, request, params)).await })
                })
                .collect();
            let mut told = ChainError::NoNode;
            while let Some(answer) = asked.next().await {
                match answer {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(error)) => told = more_telling(told, error),
                    // A task that ended without an answer; the others have theirs.
                    Err(_) => {}
                }
            }
            match pauses.next() {
                Some(pause) if told.is_transient() => tokio::time::sleep(*pause).await,
                _ => return Err(told),
            }
        }
    }

    /// Asks one node, once it is known to be on our cluster. `question` does nothing before it is polled.
    async fn ask_one<T>(&self, node: &Node, question: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = match self.compare_if_due(node).await {
            Ok(()) => question.await,
            Err(error) => Err(error),
        };
        match &answer {
            Err(error) if is_of_the_node(error) => node.failed(error),
            // A refusal is an answer: another node would give the same.
            Ok(_) | Err(_) => node.answered(),
        }
        answer
    }

    /// The nodes, those that are well first, each group in the order of the setting.
    fn by_preference(&self) -> Vec<Arc<Node>> {
        let mut nodes = self.nodes.clone();
        nodes.sort_by_key(|node| node.resting_until());
        nodes
    }

    /// Compares a node's cluster, unless there is nothing to compare with or it was done.
    async fn compare_if_due(&self, node: &Node) -> Result<()> {
        let alone = self.nodes.len() == 1 && self.network.is_none() && self.genesis.get().is_none();
        if alone || node.is_compared() { Ok(()) } else { self.compare(node).await }
    }

    async fn compare(&self, node: &Node) -> Result<()> {
        let found: String = node.ask("getGenesisHash", RpcRequest::GetGenesisHash, json!([])).await?;
        if let Some(network) = self.network {
            check_genesis(network, &found, node.name())?;
        }
        let expected = self.genesis.get_or_init(|| found.clone());
        if *expected != found {
            let node = node.name().to_owned();
            return Err(ChainError::StrayNode { node, expected: expected.clone(), found });
        }
        node.compared();
        Ok(())
    }

    /// The slot below which an answer to a question asked now shows the past.
    pub(crate) fn floor(&self) -> u64 {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((slot, at)) = *latest
            && at.elapsed() >= PAST_PATIENCE
        {
            warn!(slot, "no node answers for this slot or a later one any more; taking older answers");
            *latest = None;
        }
        latest.map_or(0, |(slot, _)| slot)
    }

    /// Notes a slot that the cluster has reached at the commitment we read at.
    pub(crate) fn reached(&self, slot: u64) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.is_none_or(|(seen, _)| slot >= seen) {
            *latest = Some((slot, Instant::now()));
        }
    }
}

/// Refuses an answer for a slot below `floor`.
pub(crate) fn not_past(node: &Node, slot: u64, floor: u64) -> Result<()> {
    if slot >= floor {
        return Ok(());
    }
    Err(ChainError::Behind { node: node.name().to_owned(), slot, seen: floor })
}

/// Whether an error is about the node asked, so that another one may know better.
fn is_of_the_node(error: &ChainError) -> bool {
    error.is_transient() || matches!(error, ChainError::WrongCluster { .. } | ChainError::StrayNode { .. })
}

/// Which of two nodes' errors to go by: a refusal before what may pass, and that before a stray node.
fn more_telling(one: ChainError, other: ChainError) -> ChainError {
    let rank = |error: &ChainError| match error {
        ChainError::NoNode => 0,
        _ if !is_of_the_node(error) => 3,
        _ if error.is_transient() => 2,
        _ => 1,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

#[cfg(test)]
mod tests;
