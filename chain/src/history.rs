//! What moved an account's lamports, as the cluster remembers it.

use serde::Deserialize;
use serde_json::json;
use solana_pubkey::Pubkey;
use solana_rpc_client_api::request::RpcRequest;
use solana_signature::Signature;

use crate::rpc::TRANSACTION_VERSION;
use crate::{ChainError, RpcChain};

/// Most signatures that one `getSignaturesForAddress` answers with.
const PER_CALL: usize = 1_000;

/// A transaction that named an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The transaction.
    pub signature: Signature,
    /// The slot of its block.
    pub slot: u64,
}

/// What a transaction did to an account's lamports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceChange {
    /// Lamports before it.
    pub before: u64,
    /// Lamports after it.
    pub after: u64,
}

#[derive(Deserialize)]
struct Listed {
    signature: String,
    slot: u64,
}

#[derive(Deserialize)]
struct Transaction {
    meta: Option<Meta>,
    transaction: Body,
}

#[derive(Deserialize)]
struct Body {
    message: Message,
    #[serde(default)]
    signatures: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    account_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    pre_balances: Vec<u64>,
    post_balances: Vec<u64>,
    #[serde(default)]
    loaded_addresses: Option<Loaded>,
}

#[derive(Default, Deserialize)]
struct Loaded {
    writable: Vec<String>,
    readonly: Vec<String>,
}

impl RpcChain {
    /// Confirmed transactions that name `address`, failed ones included, the newest first: up to a thousand that are
    /// older than `before`. None at the end of what the node remembers.
    pub async fn mentions(
        &self,
        address: &Pubkey,
        before: Option<&Signature>,
    ) -> Result<Vec<Mention>, ChainError> {
        const WHAT: &str = "getSignaturesForAddress";
        let mut config = json!({ "commitment": "confirmed", "limit": PER_CALL });
        if let Some(before) = before {
            config["before"] = before.to_string().into();
        }
        let params = json!([address.to_string(), config]);
        let listed: Vec<Listed> =
            self.connection().call(WHAT, RpcRequest::GetSignaturesForAddress, params).await?;
        let read = |Listed { signature, slot }: Listed| {
            let reason = "a signature that is none".to_owned();
            let signature = signature.parse().map_err(|_| ChainError::Malformed { what: WHAT, reason })?;
            Ok(Mention { signature, slot })
        };
        listed.into_iter().map(read).collect()
    }

    /// What a landed transaction did to the lamports of `address`; `None` while the node has not indexed it, or when it
    /// does not name the address.
    pub async fn balance_change(
        &self,
        signature: &Signature,
        address: &Pubkey,
    ) -> Result<Option<BalanceChange>, ChainError> {
        let found = self.transaction(signature).await?;
        let Some(Transaction { meta: Some(meta), transaction }) = found else { return Ok(None) };
        let loaded = meta.loaded_addresses.unwrap_or_default();
        let named = transaction.message.account_keys.iter().chain(&loaded.writable).chain(&loaded.readonly);
        let address = address.to_string();
        let place = named.into_iter().position(|key| *key == address);
        Ok(place.and_then(|place| {
            let (before, after) = (*meta.pre_balances.get(place)?, *meta.post_balances.get(place)?);
            Some(BalanceChange { before, after })
        }))
    }

    /// Everybody's signatures of a transaction that is in a block, its first one included; `None` while the node has
    /// not indexed it.
    pub async fn signatures(&self, signature: &Signature) -> Result<Option<Vec<Signature>>, ChainError> {
        let Some(Transaction { transaction, .. }) = self.transaction(signature).await? else {
            return Ok(None);
        };
        let read = |text: String| {
            let reason = "a signature that is none".to_owned();
            text.parse().map_err(|_| ChainError::Malformed { what: "getTransaction", reason })
        };
        transaction.signatures.into_iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    async fn transaction(&self, signature: &Signature) -> Result<Option<Transaction>, ChainError> {
        let config = json!({
            "commitment": "confirmed",
            "encoding": "json",
            "maxSupportedTransactionVersion": TRANSACTION_VERSION,
        });
        let params = json!([signature.to_string(), config]);
        self.connection().call("getTransaction", RpcRequest::GetTransaction, params).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub_node::node;

    #[tokio::test]
    async fn balances_are_those_of_the_address_wherever_it_is_named() {
        let [first, second, loaded, other] = [1u8, 2, 3, 4].map(|byte| Pubkey::from([byte; 32]));
        let answer = json!({
            "slot": 3,
            "transaction": { "message": { "accountKeys": [first.to_string(), second.to_string()] } },
            "meta": {
                "err": null, "fee": 5_000,
                "preBalances": [100, 200, 300], "postBalances": [90, 200, 310],
                "loadedAddresses": { "writable": [loaded.to_string()], "readonly": [] },
            },
        });
        let (url, _) = node(vec![answer.clone(), answer.clone(), answer]).await;
        let chain = RpcChain::new(url);
        let signature = Signature::default();
        let change = |before, after| Some(BalanceChange { before, after });
        assert_eq!(chain.balance_change(&signature, &first).await.unwrap(), change(100, 90));
        assert_eq!(chain.balance_change(&signature, &loaded).await.unwrap(), change(300, 310));
        assert_eq!(chain.balance_change(&signature, &other).await.unwrap(), None);
    }

    #[tokio::test]
    async fn mentions_are_asked_for_from_where_the_last_page_ended() {
        let signature = Signature::from([7; 64]);
        let (url, seen) =
            node(vec![json!([{ "signature": signature.to_string(), "slot": 9 }]), json!([])]).await;
        let (chain, address) = (RpcChain::new(url), Pubkey::from([1; 32]));
        let page = chain.mentions(&address, None).await.unwrap();
        assert_eq!(page, [Mention { signature, slot: 9 }]);
        assert_eq!(chain.mentions(&address, Some(&signature)).await.unwrap(), []);
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0]["params"][1].get("before"), None);
        assert_eq!(seen[1]["params"][1]["before"], signature.to_string());
    }
}
