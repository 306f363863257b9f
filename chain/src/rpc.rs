//! The production answer: a node's JSON-RPC.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use solana_account::Account;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_api::client_error::{Error as ClientError, ErrorKind};
use solana_rpc_client_api::request::{RpcError, RpcRequest};
use solana_signature::Signature;

use crate::ChainError;
use crate::chain::{Accounts, Chain, ChainTip, Cost, Fate, Simulation};
use crate::hints::Hints;
use crate::program_accounts::{self, ChannelFilter, FoundChannels};

/// Most addresses one `getMultipleAccounts` takes.
const ACCOUNTS_PER_CALL: usize = 100;

/// Most signatures one `getSignatureStatuses` takes.
const SIGNATURES_PER_CALL: usize = 256;

/// Pauses before the second, third, … attempt of a call that got no answer.
const BACKOFF: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1_200)];

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A node at a URL.
pub struct RpcChain {
    client: RpcClient,
    node: String,
    websocket: Option<String>,
}

impl RpcChain {
    /// The node that answers at `url` (`http://` or `https://`). Connects on first use.
    pub fn new(url: impl Into<String>) -> Self {
        let url = url.into();
        let node = node_name(&url);
        Self { client: RpcClient::new_with_timeout(url, TIMEOUT), node, websocket: None }
    }

    /// Takes hints from the node's subscriptions at `url` (`ws://` or `wss://`).
    pub fn with_websocket(self, url: impl Into<String>) -> Self {
        Self { websocket: Some(url.into()), ..self }
    }

    /// One call, repeated while the node cannot be reached or says that it is not ready.
    async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        request: RpcRequest,
        params: Value,
    ) -> Result<T, ChainError> {
        let mut pauses = BACKOFF.iter();
        loop {
            let error = match self.client.send(request, params.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => refusal(method, &self.node, error),
            };
            match pauses.next() {
                Some(pause) if error.is_transient() => tokio::time::sleep(*pause).await,
                _ => return Err(error),
            }
        }
    }

    async fn accounts_at(
        &self,
        commitment: &'static str,
        addresses: &[Pubkey],
    ) -> Result<Accounts, ChainError> {
        const WHAT: &str = "getMultipleAccounts";
        let config = json!({ "commitment": commitment, "encoding": "base64" });
        let mut all = Accounts { slot: u64::MAX, accounts: Vec::with_capacity(addresses.len()) };
        for chunk in addresses.chunks(ACCOUNTS_PER_CALL) {
            let keys: Vec<_> = chunk.iter().map(Pubkey::to_string).collect();
            let answer: Value =
                self.call(WHAT, RpcRequest::GetMultipleAccounts, json!([keys, config])).await?;
            all.slot = all.slot.min(number(&answer, WHAT, "/context/slot")?);
            for value in list(&answer, WHAT, chunk.len())? {
                all.accounts.push(account(value)?);
            }
        }
        Ok(all)
    }
}

/// A node as messages name it: without the path and query that providers hide an access key in.
pub(crate) fn node_name(url: &str) -> String {
    let parsed = url.parse::<reqwest::Url>();
    parsed.map_or_else(|_| "its URL".to_owned(), |url| url.origin().ascii_serialization())
}

/// Sorts a client error: no answer, a refusal, or an answer that makes no sense.
fn refusal(method: &'static str, node: &str, error: ClientError) -> ChainError {
    match error.kind() {
        ErrorKind::RpcError(RpcError::RpcResponseError { code, message, .. }) => {
            ChainError::Refused { method, code: *code, message: message.clone() }
        }
        ErrorKind::SerdeJson(error) => ChainError::Malformed { what: method, reason: error.to_string() },
        _ => ChainError::Unreachable { method, node: node.to_owned(), reason: without_url(*error.kind) },
    }
}

/// The transport's reason. It names the URL, and URLs of nodes have keys in them.
fn without_url(error: ErrorKind) -> String {
    match error {
        ErrorKind::Reqwest(error) => error.without_url().to_string(),
        error => error.to_string(),
    }
}

fn malformed(what: &'static str, reason: impl Into<String>) -> ChainError {
    ChainError::Malformed { what, reason: reason.into() }
}

fn number(value: &Value, what: &'static str, pointer: &str) -> Result<u64, ChainError> {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .ok_or_else(|| malformed(what, format!("no number at {pointer}")))
}

fn text<'a>(value: &'a Value, what: &'static str, pointer: &str) -> Result<&'a str, ChainError> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| malformed(what, format!("no text at {pointer}")))
}

fn list<'a>(value: &'a Value, what: &'static str, expected: usize) -> Result<&'a [Value], ChainError> {
    match value.pointer("/value").and_then(Value::as_array) {
        Some(list) if list.len() == expected => Ok(list),
        _ => Err(malformed(what, format!("expected a list of {expected}"))),
    }
}

fn account(value: &Value) -> Result<Option<Account>, ChainError> {
    const WHAT: &str = "getMultipleAccounts";
    if value.is_null() {
        return Ok(None);
    }
    let data = text(value, WHAT, "/data/0")?;
    let owner = text(value, WHAT, "/owner")?;
    Ok(Some(Account {
        lamports: number(value, WHAT, "/lamports")?,
        data: STANDARD.decode(data).map_err(|error| malformed(WHAT, error.to_string()))?,
        owner: owner.parse().map_err(|_| malformed(WHAT, format!("owner {owner}")))?,
        executable: value.get("executable").and_then(Value::as_bool).unwrap_or(false),
        rent_epoch: u64::MAX,
    }))
}

fn fate(value: &Value) -> Result<Fate, ChainError> {
    const WHAT: &str = "getSignatureStatuses";
    if value.is_null() {
        return Ok(Fate::Unknown);
    }
    let slot = number(value, WHAT, "/slot")?;
    let confirmed = match value.get("confirmationStatus").and_then(Value::as_str) {
        Some(status) => status != "processed",
        // Nodes that leave the status out mark rooted transactions with `confirmations: null`.
        None => value.get("confirmations").is_none_or(Value::is_null),
    };
    Ok(match value.get("err") {
        _ if !confirmed => Fate::Pending,
        None | Some(Value::Null) => Fate::Landed { slot },
        Some(error) => Fate::Failed { slot, error: error.to_string() },
    })
}

fn confirmed() -> Value {
    json!({ "commitment": "confirmed" })
}

#[async_trait]
impl Chain for RpcChain {
    async fn genesis_hash(&self) -> Result<String, ChainError> {
        self.call("getGenesisHash", RpcRequest::GetGenesisHash, json!([])).await
    }

    async fn tip(&self) -> Result<ChainTip, ChainError> {
        const WHAT: &str = "getLatestBlockhash";
        let (latest, block_height) = futures::try_join!(
            self.call::<Value>(WHAT, RpcRequest::GetLatestBlockhash, json!([confirmed()])),
            self.call::<u64>("getBlockHeight", RpcRequest::GetBlockHeight, json!([confirmed()])),
        )?;
        let blockhash = text(&latest, WHAT, "/value/blockhash")?;
        Ok(ChainTip {
            blockhash: blockhash.parse().map_err(|_| malformed(WHAT, format!("blockhash {blockhash}")))?,
            slot: number(&latest, WHAT, "/context/slot")?,
            block_height,
            last_valid_block_height: number(&latest, WHAT, "/value/lastValidBlockHeight")?,
        })
    }

    async fn accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError> {
        self.accounts_at("confirmed", addresses).await
    }

    async fn finalized_accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError> {
        self.accounts_at("finalized", addresses).await
    }

    async fn find_channels(
        &self,
        filter: &ChannelFilter,
        min_slot: u64,
    ) -> Result<FoundChannels, ChainError> {
        let params = filter.params("confirmed", min_slot);
        let answer: Value =
            self.call(program_accounts::METHOD, RpcRequest::GetProgramAccounts, params).await?;
        program_accounts::read(&answer)
    }

    fn hints(&self, filter: &ChannelFilter) -> Option<Hints> {
        self.websocket.clone().map(|url| Hints::subscribe(url, *filter))
    }

    async fn is_blockhash_valid(&self, blockhash: &Hash) -> Result<bool, ChainError> {
        const WHAT: &str = "isBlockhashValid";
        let params = json!([blockhash.to_string(), confirmed()]);
        let answer: Value = self.call(WHAT, RpcRequest::IsBlockhashValid, params).await?;
        answer.get("value").and_then(Value::as_bool).ok_or_else(|| malformed(WHAT, "no verdict"))
    }

    async fn simulate(&self, transaction: &[u8]) -> Result<Simulation, ChainError> {
        const WHAT: &str = "simulateTransaction";
        let config = json!({ "commitment": "confirmed", "encoding": "base64", "sigVerify": false });
        let params = json!([STANDARD.encode(transaction), config]);
        let answer: Value = self.call(WHAT, RpcRequest::SimulateTransaction, params).await?;
        let error = answer.pointer("/value/err").filter(|error| !error.is_null()).map(Value::to_string);
        let compute_units = answer.pointer("/value/unitsConsumed").and_then(Value::as_u64).unwrap_or(0);
        Ok(Simulation { error, compute_units })
    }

    async fn submit(&self, transaction: &[u8]) -> Result<(), ChainError> {
        // Simulated already, and a resend after landing must not be refused for it.
        let config =
            json!({ "encoding": "base64", "skipPreflight": true, "preflightCommitment": "confirmed" });
        let params = json!([STANDARD.encode(transaction), config]);
        self.call::<Value>("sendTransaction", RpcRequest::SendTransaction, params).await.map(drop)
    }

    async fn statuses(&self, signatures: &[Signature]) -> Result<Vec<Fate>, ChainError> {
        const WHAT: &str = "getSignatureStatuses";
        let mut fates = Vec::with_capacity(signatures.len());
        for chunk in signatures.chunks(SIGNATURES_PER_CALL) {
            let texts: Vec<_> = chunk.iter().map(Signature::to_string).collect();
            let params = json!([texts, { "searchTransactionHistory": true }]);
            let answer: Value = self.call(WHAT, RpcRequest::GetSignatureStatuses, params).await?;
            for value in list(&answer, WHAT, chunk.len())? {
                fates.push(fate(value)?);
            }
        }
        Ok(fates)
    }

    async fn cost(&self, signature: &Signature) -> Result<Option<Cost>, ChainError> {
        let config =
            json!({ "commitment": "confirmed", "encoding": "base64", "maxSupportedTransactionVersion": 0 });
        let params = json!([signature.to_string(), config]);
        let answer: Value = self.call("getTransaction", RpcRequest::GetTransaction, params).await?;
        let Some(fee_lamports) = answer.pointer("/meta/fee").and_then(Value::as_u64) else {
            return Ok(None);
        };
        let compute_units = answer.pointer("/meta/computeUnitsConsumed").and_then(Value::as_u64).unwrap_or(0);
        Ok(Some(Cost { fee_lamports, compute_units }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn fate_of_an_absent_status_is_unknown() {
        assert_eq!(fate(&Value::Null).unwrap(), Fate::Unknown);
    }

    #[test]
    fn processed_status_is_pending_even_when_it_failed() {
        let status =
            json!({ "slot": 5, "confirmationStatus": "processed", "err": { "InstructionError": [0, "X"] } });
        assert_eq!(fate(&status).unwrap(), Fate::Pending);
    }

    #[test]
    fn confirmed_and_finalized_statuses_are_landed() {
        for status in ["confirmed", "finalized"] {
            let status = json!({ "slot": 5, "confirmationStatus": status, "err": null });
            assert_eq!(fate(&status).unwrap(), Fate::Landed { slot: 5 });
        }
    }

    #[test]
    fn confirmed_error_is_failed_with_its_reason() {
        let status = json!({ "slot": 9, "confirmationStatus": "confirmed", "err": { "InstructionError": [1, { "Custom": 234 }] } });
        let Fate::Failed { slot: 9, error } = fate(&status).unwrap() else { panic!("not failed") };
        assert!(error.contains("234"), "{error}");
    }

    #[test]
    fn account_is_read_from_base64() {
        let value = json!({ "data": ["AQI=", "base64"], "owner": "11111111111111111111111111111111",
            "lamports": 7, "executable": true, "rentEpoch": 18_446_744_073_709_551_615u64 });
        let account = account(&value).unwrap().unwrap();
        assert_eq!((account.data.as_slice(), account.lamports, account.executable), (&[1, 2][..], 7, true));
    }

    #[test]
    fn list_of_another_length_is_malformed() {
        let answer = json!({ "value": [null] });
        assert!(matches!(list(&answer, "x", 2), Err(ChainError::Malformed { .. })));
    }

    /// A node that answers each call with the next of `answers` (body of `result`, or of `error` when it has
    /// a `code`), and drops the connection on `Value::Null`. Returns its URL and the requests it saw.
    async fn node(answers: Vec<Value>) -> (String, Arc<Mutex<Vec<Value>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let body = loop {
                    let mut chunk = [0; 4_096];
                    let read = stream.read(&mut chunk).await.unwrap();
                    bytes.extend_from_slice(&chunk[..read]);
                    let text = String::from_utf8_lossy(&bytes);
                    let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
                    if let Ok(body) = serde_json::from_str::<Value>(body) {
                        break body;
                    }
                };
                requests.lock().unwrap().push(body);
                if answer.is_null() {
                    continue;
                }
                let member = if answer.get("code").is_some() { "error" } else { "result" };
                let body = json!({ "jsonrpc": "2.0", "id": 0, member: answer }).to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        (url, seen)
    }

    #[tokio::test]
    async fn accounts_are_asked_for_by_the_hundred_and_carry_the_oldest_slot() {
        let page = |slot: u64, count: usize| json!({ "context": { "slot": slot }, "value": vec![Value::Null; count] });
        let (url, seen) = node(vec![page(9, 100), page(7, 100), page(8, 50)]).await;

        let found = RpcChain::new(url).accounts(&vec![Pubkey::default(); 250]).await.unwrap();

        assert_eq!((found.slot, found.accounts.len()), (7, 250));
        let sizes: Vec<_> =
            seen.lock().unwrap().iter().map(|call| call["params"][0].as_array().unwrap().len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[tokio::test]
    async fn statuses_are_asked_for_with_their_history_256_at_a_time() {
        let page = |count: usize| json!({ "context": { "slot": 1 }, "value": vec![Value::Null; count] });
        let (url, seen) = node(vec![page(256), page(1)]).await;

        let fates = RpcChain::new(url).statuses(&vec![Signature::default(); 257]).await.unwrap();

        assert_eq!(fates, vec![Fate::Unknown; 257]);
        for call in seen.lock().unwrap().iter() {
            assert_eq!(call["params"][1], json!({ "searchTransactionHistory": true }));
        }
    }

    #[tokio::test]
    async fn call_is_repeated_when_the_connection_breaks_or_the_node_is_behind() {
        let behind = json!({ "code": -32_005, "message": "Node is behind by 42 slots", "data": { "numSlotsBehind": 42 } });
        let (url, seen) = node(vec![Value::Null, behind, json!("Genesis")]).await;
        assert_eq!(RpcChain::new(url).genesis_hash().await.unwrap(), "Genesis");
        assert_eq!(seen.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn refusal_is_not_repeated() {
        let (url, seen) = node(vec![json!({ "code": -32_602, "message": "invalid" })]).await;
        let refused = RpcChain::new(url).submit(&[1, 2, 3]).await;
        assert!(matches!(refused, Err(ChainError::Refused { code: -32_602, .. })), "{refused:?}");
        assert_eq!(seen.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn transactions_are_sent_without_preflight() {
        let (url, seen) = node(vec![json!("signature")]).await;
        RpcChain::new(url).submit(&[1, 2, 3]).await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0]["params"][0], json!("AQID"));
        assert_eq!(seen[0]["params"][1]["skipPreflight"], json!(true));
    }

    #[tokio::test]
    async fn simulation_checks_no_signatures_and_tells_why_it_failed() {
        let failed = json!({ "context": { "slot": 1 }, "value": { "err": { "InstructionError": [2, { "Custom": 234 }] }, "unitsConsumed": 900, "logs": [] } });
        let (url, seen) = node(vec![failed]).await;
        let simulation = RpcChain::new(url).simulate(&[1]).await.unwrap();
        assert!(simulation.error.unwrap().contains("234"));
        assert_eq!(simulation.compute_units, 900);
        assert_eq!(seen.lock().unwrap()[0]["params"][1]["sigVerify"], json!(false));
    }

    #[tokio::test]
    async fn cost_of_a_transaction_that_is_not_indexed_yet_is_unknown() {
        let indexed =
            json!({ "slot": 3, "meta": { "err": null, "fee": 15_000, "computeUnitsConsumed": 6_366 } });
        let (url, _) = node(vec![json!({ "slot": 3 }), indexed]).await;
        let chain = RpcChain::new(url);
        assert_eq!(chain.cost(&Signature::default()).await.unwrap(), None);
        let cost = Cost { fee_lamports: 15_000, compute_units: 6_366 };
        assert_eq!(chain.cost(&Signature::default()).await.unwrap(), Some(cost));
    }

    #[tokio::test]
    async fn node_that_does_not_answer_is_unreachable() {
        // Port 9 is the discard service: nobody listens there.
        let chain = RpcChain::new("http://127.0.0.1:9");
        assert!(matches!(chain.genesis_hash().await, Err(ChainError::Unreachable { .. })));
    }

    #[tokio::test]
    async fn key_in_the_url_of_a_node_is_never_told() {
        let chain = RpcChain::new("http://127.0.0.1:9/?api-key=hunter2");
        let error = chain.genesis_hash().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
