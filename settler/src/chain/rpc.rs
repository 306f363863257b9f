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

use super::{Accounts, Chain, ChainTip, Cost, Fate, Simulation};
use crate::SettlerError;

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
}

impl RpcChain {
    /// The node that answers at `url` (`http://` or `https://`). Connects on first use.
    pub fn new(url: impl Into<String>) -> Self {
        Self { client: RpcClient::new_with_timeout(url.into(), TIMEOUT) }
    }

    /// One call, repeated while the node cannot be reached or says that it is not ready.
    async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        request: RpcRequest,
        params: Value,
    ) -> Result<T, SettlerError> {
        let mut pauses = BACKOFF.iter();
        loop {
            let error = match self.client.send(request, params.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => refusal(method, error),
            };
            match pauses.next() {
                Some(pause) if error.is_transient() => tokio::time::sleep(*pause).await,
                _ => return Err(error),
            }
        }
    }
}

/// Sorts a client error: no answer, a refusal, or an answer that makes no sense.
fn refusal(method: &'static str, error: ClientError) -> SettlerError {
    match error.kind() {
        ErrorKind::RpcError(RpcError::RpcResponseError { code, message, .. }) => {
            SettlerError::Refused { method, code: *code, message: message.clone() }
        }
        ErrorKind::SerdeJson(error) => SettlerError::Malformed { what: method, reason: error.to_string() },
        _ => SettlerError::Unreachable { method, reason: error.to_string() },
    }
}

fn malformed(what: &'static str, reason: impl Into<String>) -> SettlerError {
    SettlerError::Malformed { what, reason: reason.into() }
}

fn number(value: &Value, what: &'static str, pointer: &str) -> Result<u64, SettlerError> {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .ok_or_else(|| malformed(what, format!("no number at {pointer}")))
}

fn text<'a>(value: &'a Value, what: &'static str, pointer: &str) -> Result<&'a str, SettlerError> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| malformed(what, format!("no text at {pointer}")))
}

fn list<'a>(value: &'a Value, what: &'static str, expected: usize) -> Result<&'a [Value], SettlerError> {
    match value.pointer("/value").and_then(Value::as_array) {
        Some(list) if list.len() == expected => Ok(list),
        _ => Err(malformed(what, format!("expected a list of {expected}"))),
    }
}

fn account(value: &Value) -> Result<Option<Account>, SettlerError> {
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

fn fate(value: &Value) -> Result<Fate, SettlerError> {
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
    async fn genesis_hash(&self) -> Result<String, SettlerError> {
        self.call("getGenesisHash", RpcRequest::GetGenesisHash, json!([])).await
    }

    async fn tip(&self) -> Result<ChainTip, SettlerError> {
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

    async fn accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, SettlerError> {
        const WHAT: &str = "getMultipleAccounts";
        let config = json!({ "commitment": "confirmed", "encoding": "base64" });
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

    async fn is_blockhash_valid(&self, blockhash: &Hash) -> Result<bool, SettlerError> {
        const WHAT: &str = "isBlockhashValid";
        let params = json!([blockhash.to_string(), confirmed()]);
        let answer: Value = self.call(WHAT, RpcRequest::IsBlockhashValid, params).await?;
        answer.get("value").and_then(Value::as_bool).ok_or_else(|| malformed(WHAT, "no verdict"))
    }

    async fn simulate(&self, transaction: &[u8]) -> Result<Simulation, SettlerError> {
        const WHAT: &str = "simulateTransaction";
        let config = json!({ "commitment": "confirmed", "encoding": "base64", "sigVerify": false });
        let params = json!([STANDARD.encode(transaction), config]);
        let answer: Value = self.call(WHAT, RpcRequest::SimulateTransaction, params).await?;
        let error = answer.pointer("/value/err").filter(|error| !error.is_null()).map(Value::to_string);
        let compute_units = answer.pointer("/value/unitsConsumed").and_then(Value::as_u64).unwrap_or(0);
        Ok(Simulation { error, compute_units })
    }

    async fn submit(&self, transaction: &[u8]) -> Result<(), SettlerError> {
        // Simulated already, and a resend after landing must not be refused for it.
        let config =
            json!({ "encoding": "base64", "skipPreflight": true, "preflightCommitment": "confirmed" });
        let params = json!([STANDARD.encode(transaction), config]);
        self.call::<Value>("sendTransaction", RpcRequest::SendTransaction, params).await.map(drop)
    }

    async fn statuses(&self, signatures: &[Signature]) -> Result<Vec<Fate>, SettlerError> {
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

    async fn cost(&self, signature: &Signature) -> Result<Option<Cost>, SettlerError> {
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
        assert!(matches!(list(&answer, "x", 2), Err(SettlerError::Malformed { .. })));
    }

    #[tokio::test]
    async fn node_that_does_not_answer_is_unreachable() {
        // Port 9 is the discard service: nobody listens there.
        let chain = RpcChain::new("http://127.0.0.1:9");
        assert!(matches!(chain.genesis_hash().await, Err(SettlerError::Unreachable { .. })));
    }
}
