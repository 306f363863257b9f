//! The production answer: JSON-RPC.

mod answer;

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use solana_account::Account;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_rpc_client_api::request::RpcRequest;
use solana_rpc_client_api::response::{Response, RpcBlockhash, RpcKeyedAccount, UiAccount};
use solana_signature::Signature;
use toll_protocol::Network;

use crate::chain::{Accounts, Chain, ChainTip, Cost, Fate, Simulation, TakenTransaction};
use crate::connection::{Connection, not_past};
use crate::consensus::Detection;
use crate::hints::Hints;
use crate::program_accounts::{self, ChannelFilter, FoundChannels, Listed, ListedChannels};
use crate::{ChainError, Endpoints};

pub(crate) use self::answer::account;
use self::answer::{Indexed, Kept, Simulated, Status, list, malformed};

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

    async fn transaction(&self, signature: &Signature) -> Result<Option<TakenTransaction>, ChainError> {
        const WHAT: &str = "getTransaction";
        let config = json!({
            "commitment": self.commitment(),
            "encoding": "base64",
            "maxSupportedTransactionVersion": TRANSACTION_VERSION,
        });
        let params = json!([signature.to_string(), config]);
        // A node that has not seen it may be behind: what another one shows counts.
        let found = self
            .connection
            .first_found(|node| {
                let params = params.clone();
                Box::pin(
                    async move { node.ask::<Option<Kept>>(WHAT, RpcRequest::GetTransaction, params).await },
                )
            })
            .await?;
        let Some(Kept { slot, transaction: (text, _), meta }) = found else { return Ok(None) };
        let meta = meta.ok_or_else(|| malformed(WHAT, "a transaction without its outcome"))?;
        let bytes = STANDARD.decode(text).map_err(|_| malformed(WHAT, "a transaction that is not base64"))?;
        Ok(Some(TakenTransaction { slot, error: meta.err, bytes }))
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
            paid_lamports: meta.paid(),
        }))
    }
}

#[cfg(test)]
mod tests;
