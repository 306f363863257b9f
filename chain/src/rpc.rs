//! The production answer: JSON-RPC.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use solana_account::Account;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_rpc_client_api::request::RpcRequest;
use solana_rpc_client_api::response::{
    Response, RpcBlockhash, RpcKeyedAccount, TransactionConfirmationStatus, UiAccount,
};
use solana_signature::Signature;
use toll_protocol::Network;

use crate::chain::{Accounts, Chain, ChainTip, Cost, Fate, Simulation};
use crate::connection::{Connection, not_past};
use crate::consensus::{Consensus, Detection};
use crate::hints::Hints;
use crate::program_accounts::{self, ChannelFilter, FoundChannels, Listed, ListedChannels};
use crate::{ChainError, Endpoints, Failure};

/// Most addresses one `getMultipleAccounts` takes.
const ACCOUNTS_PER_CALL: usize = 100;

/// Most signatures one `getSignatureStatuses` takes.
const SIGNATURES_PER_CALL: usize = 256;

/// The newest transaction format that is understood: without it a node refuses to tell of a transaction, ours
/// or anybody's, that is newer than it believes us to be.
pub(crate) const TRANSACTION_VERSION: u8 = 1;

/// The nodes of a cluster, at the commitment that its consensus makes good enough.
pub struct RpcChain {
    connection: Arc<Connection>,
    detection: Detection,
    websockets: Vec<String>,
}

impl RpcChain {
    /// The cluster that answers at `endpoints`. Connects on first use.
    ///
    /// With several, a question goes to the first that is well; a node whose genesis hash differs from that of
    /// the others is asked nothing.
    pub fn new(endpoints: impl Into<Endpoints>) -> Self {
        Self::with(&endpoints.into(), None)
    }

    /// The same, for nodes that must be on `network`.
    pub fn on(network: Network, endpoints: impl Into<Endpoints>) -> Self {
        Self::with(&endpoints.into(), Some(network))
    }

    fn with(endpoints: &Endpoints, network: Option<Network>) -> Self {
        let connection = Arc::new(Connection::new(endpoints, network));
        Self { connection, detection: Detection::on(network), websockets: Vec::new() }
    }

    /// Asks a public cluster how it agrees on blocks, if that is due, and reads accordingly from here on.
    pub(crate) async fn detect_consensus(&self) {
        self.detection.refresh(&self.connection).await;
    }

    fn commitment(&self) -> &'static str {
        self.detection.consensus().commitment()
    }

    /// Takes hints from a node's subscriptions at the first of `urls` (`ws://` or `wss://`) that gives them.
    pub fn with_websockets(self, urls: Vec<String>) -> Self {
        Self { websockets: urls, ..self }
    }

    /// The nodes behind it.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// One account, and the slot at which it looked so.
    pub(crate) async fn account(&self, address: &Pubkey) -> Result<Option<Account>, ChainError> {
        const WHAT: &str = "getAccountInfo";
        let params = json!([address.to_string(), { "commitment": self.commitment(), "encoding": "base64" }]);
        let floor = self.connection.floor();
        let found: Response<Option<UiAccount>> =
            self.connection.call_at(WHAT, RpcRequest::GetAccountInfo, params, floor).await?;
        self.connection.reached(found.context.slot);
        found.value.as_ref().map(|found| account(WHAT, found)).transpose()
    }

    async fn accounts_at(
        &self,
        commitment: &'static str,
        addresses: &[Pubkey],
        floor: u64,
    ) -> Result<Accounts, ChainError> {
        const WHAT: &str = "getMultipleAccounts";
        let config = json!({ "commitment": commitment, "encoding": "base64" });
        let mut all = Accounts { slot: u64::MAX, accounts: Vec::with_capacity(addresses.len()) };
        for chunk in addresses.chunks(ACCOUNTS_PER_CALL) {
            let keys: Vec<_> = chunk.iter().map(Pubkey::to_string).collect();
            let answer: Response<Vec<Option<UiAccount>>> = self
                .connection
                .call_at(WHAT, RpcRequest::GetMultipleAccounts, json!([keys, config]), floor)
                .await?;
            all.slot = all.slot.min(answer.context.slot);
            for found in list(answer.value, WHAT, chunk.len())? {
                all.accounts.push(found.as_ref().map(|found| account(WHAT, found)).transpose()?);
            }
        }
        Ok(all)
    }
}

/// A transaction's status, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    slot: u64,
    /// Blocks since, and `None` when it is rooted.
    confirmations: Option<u64>,
    confirmation_status: Option<TransactionConfirmationStatus>,
    err: Option<Failure>,
}

impl Status {
    fn fate(self, consensus: Consensus) -> Fate {
        use TransactionConfirmationStatus::{Confirmed, Finalized, Processed};
        let confirmed = match self.confirmation_status {
            Some(Processed) => false,
            Some(Confirmed) => consensus == Consensus::Tower,
            Some(Finalized) => true,
            // Nodes that leave the status out mark rooted transactions with `confirmations: null`.
            None => self.confirmations.is_none(),
        };
        match self.err {
            _ if !confirmed => Fate::Pending,
            None => Fate::Landed { slot: self.slot },
            Some(Failure::PayerCannotPay(reason)) => Fate::DidNotRun { slot: self.slot, reason },
            Some(reason) => Fate::Failed { slot: self.slot, error: reason.to_string() },
        }
    }
}

/// How a simulation went, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Simulated {
    err: Option<Failure>,
    units_consumed: Option<u64>,
}

/// What a node keeps of a landed transaction, as far as it is read.
#[derive(Deserialize)]
struct Indexed {
    meta: Option<Meta>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    fee: u64,
    compute_units_consumed: Option<u64>,
}

fn malformed(what: &'static str, reason: impl Into<String>) -> ChainError {
    ChainError::Malformed { what, reason: reason.into() }
}

/// What an answer says of one account.
pub(crate) fn account(what: &'static str, found: &UiAccount) -> Result<Account, ChainError> {
    found.to_account().ok_or_else(|| malformed(what, "an account's owner or data cannot be decoded"))
}

/// A list that has as many entries as were asked for.
fn list<T>(list: Vec<T>, what: &'static str, expected: usize) -> Result<Vec<T>, ChainError> {
    if list.len() != expected {
        return Err(malformed(what, format!("expected a list of {expected}")));
    }
    Ok(list)
}

#[async_trait]
impl Chain for RpcChain {
    async fn genesis_hash(&self) -> Result<String, ChainError> {
        self.connection.genesis_hash().await
    }

    async fn tip(&self) -> Result<ChainTip, ChainError> {
        const WHAT: &str = "getLatestBlockhash";
        self.detect_consensus().await;
        let commitment = self.commitment();
        let floor = self.connection.floor();
        // One node for both: a height has no slot to compare.
        let (latest, block_height) = self
            .connection
            .ask(|node| {
                Box::pin(async move {
                    let (latest, height) = futures::try_join!(
                        node.ask::<Response<RpcBlockhash>>(
                            WHAT,
                            RpcRequest::GetLatestBlockhash,
                            json!([{ "commitment": commitment }])
                        ),
                        node.ask::<u64>(
                            "getBlockHeight",
                            RpcRequest::GetBlockHeight,
                            json!([{ "commitment": commitment }])
                        ),
                    )?;
                    not_past(node, latest.context.slot, floor)?;
                    Ok((latest, height))
                })
            })
            .await?;
        let (slot, latest) = (latest.context.slot, latest.value);
        self.connection.reached(slot);
        let blockhash = latest.blockhash.parse();
        Ok(ChainTip {
            blockhash: blockhash.map_err(|_| malformed(WHAT, format!("blockhash {}", latest.blockhash)))?,
            slot,
            block_height,
            last_valid_block_height: latest.last_valid_block_height,
        })
    }

    async fn accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError> {
        let floor = self.connection.floor();
        let found = self.accounts_at(self.commitment(), addresses, floor).await?;
        if !addresses.is_empty() {
            self.connection.reached(found.slot);
        }
        Ok(found)
    }

    async fn finalized_accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError> {
        // What is final is of an older slot than what is confirmed.
        self.accounts_at("finalized", addresses, 0).await
    }

    async fn find_channels(
        &self,
        filter: &ChannelFilter,
        min_slot: u64,
    ) -> Result<FoundChannels, ChainError> {
        let floor = min_slot.max(self.connection.floor());
        let params = filter.params(self.commitment(), floor);
        // Not every node honours the slot it is asked for.
        let answer: Response<Vec<RpcKeyedAccount>> = self
            .connection
            .call_at(program_accounts::METHOD, RpcRequest::GetProgramAccounts, params, floor)
            .await?;
        program_accounts::addresses(&answer)
    }

    async fn list_channels(
        &self,
        program: &Pubkey,
        payee: &Pubkey,
        min_slot: u64,
    ) -> Result<ListedChannels, ChainError> {
        let floor = min_slot.max(self.connection.floor());
        let params = program_accounts::list_params(program, payee, self.commitment(), floor);
        let answer = self
            .connection
            .ask(|node| {
                let params = params.clone();
                Box::pin(async move {
                    let answer: Response<Vec<Listed>> =
                        node.ask_long(program_accounts::METHOD, &params).await?;
                    not_past(node, answer.context.slot, floor)?;
                    Ok(answer)
                })
            })
            .await?;
        Ok(program_accounts::listed(answer))
    }

    fn hints(&self, filter: &ChannelFilter) -> Option<Hints> {
        (!self.websockets.is_empty()).then(|| Hints::subscribe(self.websockets.clone(), *filter))
    }

    async fn is_blockhash_valid(&self, blockhash: &Hash) -> Result<bool, ChainError> {
        let params = json!([blockhash.to_string(), { "commitment": self.commitment() }]);
        let floor = self.connection.floor();
        let answer: Response<bool> =
            self.connection.call_at("isBlockhashValid", RpcRequest::IsBlockhashValid, params, floor).await?;
        Ok(answer.value)
    }

    async fn simulate(&self, transaction: &[u8]) -> Result<Simulation, ChainError> {
        let config = json!({ "commitment": self.commitment(), "encoding": "base64", "sigVerify": false });
        let params = json!([STANDARD.encode(transaction), config]);
        let floor = self.connection.floor();
        let answer: Response<Simulated> = self
            .connection
            .call_at("simulateTransaction", RpcRequest::SimulateTransaction, params, floor)
            .await?;
        let Simulated { err, units_consumed } = answer.value;
        Ok(Simulation { error: err, compute_units: units_consumed.unwrap_or(0) })
    }

    async fn submit(&self, transaction: &[u8]) -> Result<(), ChainError> {
        // Simulated already, and a resend after landing must not be refused for it.
        let config =
            json!({ "encoding": "base64", "skipPreflight": true, "preflightCommitment": self.commitment() });
        let sent: String = self
            .connection
            .call_all(
                "sendTransaction",
                RpcRequest::SendTransaction,
                json!([STANDARD.encode(transaction), config]),
            )
            .await?;
        drop(sent);
        Ok(())
    }

    async fn statuses(&self, signatures: &[Signature]) -> Result<Vec<Fate>, ChainError> {
        const WHAT: &str = "getSignatureStatuses";
        // A node's own slot is ahead of what is confirmed, so it raises no floor; but one that is below what
        // was seen confirmed would call unknown what has landed.
        let floor = self.connection.floor();
        let consensus = self.detection.consensus();
        let mut fates = Vec::with_capacity(signatures.len());
        for chunk in signatures.chunks(SIGNATURES_PER_CALL) {
            let texts: Vec<_> = chunk.iter().map(Signature::to_string).collect();
            let params = json!([texts, { "searchTransactionHistory": true }]);
            let answer: Response<Vec<Option<Status>>> =
                self.connection.call_at(WHAT, RpcRequest::GetSignatureStatuses, params, floor).await?;
            let statuses = list(answer.value, WHAT, chunk.len())?;
            fates.extend(
                statuses
                    .into_iter()
                    .map(|status| status.map_or(Fate::Unknown, |status| status.fate(consensus))),
            );
        }
        Ok(fates)
    }

    async fn cost(&self, signature: &Signature) -> Result<Option<Cost>, ChainError> {
        let config = json!({
            "commitment": self.commitment(),
            "encoding": "base64",
            "maxSupportedTransactionVersion": TRANSACTION_VERSION,
        });
        let params = json!([signature.to_string(), config]);
        let answer: Option<Indexed> =
            self.connection.call("getTransaction", RpcRequest::GetTransaction, params).await?;
        Ok(answer.and_then(|indexed| indexed.meta).map(|meta| Cost {
            fee_lamports: meta.fee,
            compute_units: meta.compute_units_consumed.unwrap_or(0),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::stub_node::node;

    fn fate(status: &Value) -> Fate {
        serde_json::from_value::<Status>(status.clone()).unwrap().fate(Consensus::Tower)
    }

    #[test]
    fn processed_status_is_pending_even_when_it_failed() {
        let status =
            json!({ "slot": 5, "confirmationStatus": "processed", "err": { "InstructionError": [0, "X"] } });
        assert_eq!(fate(&status), Fate::Pending);
    }

    #[test]
    fn confirmed_and_finalized_statuses_are_landed() {
        for status in ["confirmed", "finalized"] {
            let status = json!({ "slot": 5, "confirmationStatus": status, "err": null });
            assert_eq!(fate(&status), Fate::Landed { slot: 5 });
        }
    }

    #[test]
    fn confirmed_error_is_failed_with_its_reason() {
        let status = json!({ "slot": 9, "confirmationStatus": "confirmed", "err": { "InstructionError": [1, { "Custom": 234 }] } });
        let Fate::Failed { slot: 9, error } = fate(&status) else { panic!("not failed") };
        assert!(error.contains("234"), "{error}");
    }

    #[test]
    fn transaction_of_a_payer_that_cannot_pay_did_not_run() {
        let status =
            json!({ "slot": 9, "confirmationStatus": "confirmed", "err": "InsufficientFundsForFee" });
        assert!(matches!(fate(&status), Fate::DidNotRun { slot: 9, .. }));
        let rent = json!({ "InsufficientFundsForRent": { "account_index": 0 } });
        let status = json!({ "slot": 9, "confirmationStatus": "finalized", "err": rent });
        assert!(matches!(fate(&status), Fate::DidNotRun { slot: 9, .. }));
        let status = json!({ "slot": 9, "confirmationStatus": "processed", "err": "AccountNotFound" });
        assert_eq!(fate(&status), Fate::Pending);
    }

    #[test]
    fn account_is_read_from_base64() {
        let value = json!({ "data": ["AQI=", "base64"], "owner": "11111111111111111111111111111111",
            "lamports": 7, "executable": true, "rentEpoch": 18_446_744_073_709_551_615u64 });
        let account = account("x", &serde_json::from_value(value).unwrap()).unwrap();
        assert_eq!((account.data.as_slice(), account.lamports, account.executable), (&[1, 2][..], 7, true));
    }

    #[test]
    fn list_of_another_length_is_malformed() {
        assert!(matches!(list(vec![0], "x", 2), Err(ChainError::Malformed { .. })));
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
    async fn list_of_channels_is_read_from_one_answer_of_a_node_that_is_not_behind() {
        let answer = |slot: u64| {
            let part = STANDARD.encode([0; toll_protocol::ChannelStanding::SIZE]);
            let entry = |seed: u8| json!({ "pubkey": Pubkey::from([seed; 32]).to_string(), "account": { "data": [part, "base64"] } });
            json!({ "context": { "slot": slot }, "value": (0..250).map(entry).collect::<Vec<_>>() })
        };
        let (url, seen) = node(vec![answer(8), answer(9)]).await;
        let (program, payee) = (Pubkey::from([1; 32]), Pubkey::from([2; 32]));

        let listed = RpcChain::new(url).list_channels(&program, &payee, 9).await.unwrap();

        assert_eq!((listed.slot, listed.channels.len()), (9, 250));
        let asked = seen.lock().unwrap();
        assert_eq!((asked.len(), asked[1]["method"].as_str()), (2, Some("getProgramAccounts")));
        assert_eq!(asked[1]["params"][1]["minContextSlot"], json!(9));
    }

    #[tokio::test]
    async fn node_that_gives_no_list_says_so() {
        let refusal =
            json!({ "code": -32_010, "message": "excluded from account secondary indexes", "data": {} });
        let (url, _) = node(vec![refusal]).await;
        let refused = RpcChain::new(url).list_channels(&Pubkey::default(), &Pubkey::default(), 1).await;
        assert!(matches!(refused, Err(ChainError::Refused { code: -32_010, .. })), "{refused:?}");
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
        assert!(
            matches!(simulation.error, Some(Failure::Ran { instruction: Some(2), words }) if words.contains("234"))
        );
        assert_eq!(simulation.compute_units, 900);
        assert_eq!(seen.lock().unwrap()[0]["params"][1]["sigVerify"], json!(false));
    }

    #[tokio::test]
    async fn cost_of_a_transaction_that_is_not_indexed_yet_is_unknown() {
        let indexed =
            json!({ "slot": 3, "meta": { "err": null, "fee": 15_000, "computeUnitsConsumed": 6_366 } });
        let (url, seen) = node(vec![json!({ "slot": 3 }), indexed]).await;
        let chain = RpcChain::new(url);
        assert_eq!(chain.cost(&Signature::default()).await.unwrap(), None);
        let cost = Cost { fee_lamports: 15_000, compute_units: 6_366 };
        assert_eq!(chain.cost(&Signature::default()).await.unwrap(), Some(cost));
        // Without it a node refuses to tell of what others send in a newer format.
        assert_eq!(seen.lock().unwrap()[0]["params"][1]["maxSupportedTransactionVersion"], json!(1));
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
