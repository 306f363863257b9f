//! A cluster as the payer and the operator see it: balances, channels, and transactions of their own.
//!
//! Everything here works on any cluster, the embedded one included.

use std::fmt::Display;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_rpc_client_api::request::RpcRequest;
use solana_rpc_client_api::response::{Response, RpcKeyedAccount};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{Amount, ChannelAccount, ChannelId, Network, associated_token_address};

use crate::genesis::check_genesis;
use crate::program_accounts;
use crate::{Chain, ChainError, ChainRent, Endpoints, Fate, RENT, RpcChain};

type Result<T, E = ChainError> = std::result::Result<T, E>;

/// How long a transaction may take to be confirmed before we say that its fate is unknown.
const CONFIRMATION_PATIENCE: Duration = Duration::from_secs(60);

/// How often a confirmed transaction's cost is asked for before we go on without it.
const COST_TRIES: u32 = 50;

/// A cluster, read at `confirmed`.
pub struct Cluster {
    chain: RpcChain,
    endpoints: Endpoints,
}

/// A transaction that is on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Its first signature.
    pub signature: Signature,
    /// What the fee payer paid, in lamports.
    pub fee_lamports: u64,
    /// What it used, in compute units.
    pub compute_units: u64,
}

impl Cluster {
    /// A cluster behind `endpoints`: a URL, or several. Nothing is sent yet.
    pub fn new(endpoints: impl Into<Endpoints>) -> Self {
        let endpoints = endpoints.into();
        Self { chain: RpcChain::new(endpoints.clone()), endpoints }
    }

    fn name(&self) -> String {
        self.chain.connection().name()
    }

    /// The preferred RPC endpoint. It may hold a key.
    pub fn url(&self) -> &str {
        self.endpoints.urls().first().map_or("", String::as_str)
    }

    /// The same cluster, as a settler asks it.
    pub fn chain(&self) -> &RpcChain {
        &self.chain
    }

    /// The current slot.
    pub async fn slot(&self) -> Result<u64> {
        let params = json!([{ "commitment": "confirmed" }]);
        self.chain.connection().call("getSlot", RpcRequest::GetSlot, params).await
    }

    /// The hash that tells one cluster from another.
    pub async fn genesis_hash(&self) -> Result<String> {
        self.chain.genesis_hash().await
    }

    /// Refuses a cluster that is not the one named: public networks are known by their genesis hash.
    pub async fn check_network(&self, network: Network) -> Result<()> {
        check_genesis(network, &self.genesis_hash().await?, &self.name())
    }

    /// Lamports of `address`; nothing for an account that does not exist.
    pub async fn lamports(&self, address: &Pubkey) -> Result<u64> {
        let params = json!([address.to_string(), { "commitment": "confirmed" }]);
        let connection = self.chain.connection();
        let floor = connection.floor();
        let balance: Response<u64> =
            connection.call_at("getBalance", RpcRequest::GetBalance, params, floor).await?;
        Ok(balance.value)
    }

    /// The rent that the cluster asks for at present.
    pub async fn rent(&self) -> Result<ChainRent> {
        ChainRent::decode(self.chain.account(&RENT).await?.as_ref())
    }

    /// An account's owner and data, or `None`.
    pub async fn account(&self, address: &Pubkey) -> Result<Option<(Pubkey, Vec<u8>)>> {
        Ok(self.chain.account(address).await?.map(|account| (account.owner, account.data)))
    }

    /// Tokens in `owner`'s associated account, or `None` when there is no such account.
    pub async fn tokens(
        &self,
        owner: &Pubkey,
        mint: &Pubkey,
        token_program: &Pubkey,
    ) -> Result<Option<Amount>> {
        let address = associated_token_address(owner, mint, token_program);
        // Mint 0..32, owner 32..64, amount 64..72: the same in both token programs.
        Ok(self.account(&address).await?.filter(|(program, _)| program == token_program).and_then(
            |(_, data)| {
                data.get(64..72)
                    .map(|bytes| Amount::new(u64::from_le_bytes(bytes.try_into().expect("8 bytes"))))
            },
        ))
    }

    /// The program that owns `mint`, and the mint's decimals.
    pub async fn mint(&self, mint: &Pubkey) -> Result<(Pubkey, u8)> {
        let (owner, data) = self.account(mint).await?.ok_or_else(|| self.no_mint(mint))?;
        data.get(44).map(|decimals| (owner, *decimals)).ok_or_else(|| self.no_mint(mint))
    }

    /// The channel account, or `None` when it is not there (not yet opened, or already reclaimed).
    pub async fn channel(&self, id: &ChannelId, program: &Pubkey) -> Result<Option<ChannelAccount>> {
        let Some((owner, data)) = self.account(&id.pubkey()).await? else { return Ok(None) };
        let wrong = |why: &dyn Display| ChainError::NotAChannel {
            channel: *id,
            program: *program,
            reason: why.to_string(),
        };
        if owner != *program {
            // A system account that somebody sent lamports to is no channel, and no error either.
            return if data.is_empty() { Ok(None) } else { Err(wrong(&format_args!("owned by {owner}"))) };
        }
        ChannelAccount::decode(&data).map(Some).map_err(|error| wrong(&error))
    }

    /// Every channel of `program` that `payer` opened and that is still there. Many public nodes refuse the query.
    pub async fn channels_of(
        &self,
        payer: &Pubkey,
        program: &Pubkey,
    ) -> Result<Vec<(ChannelId, ChannelAccount)>> {
        let params = program_accounts::of_payer(program, payer, "confirmed");
        let connection = self.chain.connection();
        let answer: Response<Vec<RpcKeyedAccount>> =
            connection.call(program_accounts::METHOD, RpcRequest::GetProgramAccounts, params).await?;
        program_accounts::channels(&answer, program)
    }

    /// Asks a test cluster for lamports and waits until they are there.
    pub async fn airdrop(&self, to: &Pubkey, lamports: u64) -> Result<()> {
        let before = self.lamports(to).await?;
        let params = json!([to.to_string(), lamports]);
        let asked: Result<String> =
            self.chain.connection().call("requestAirdrop", RpcRequest::RequestAirdrop, params).await;
        asked.map_err(|error| match error {
            ChainError::Refused { message, .. } => {
                ChainError::NoAirdrop { node: self.name(), reason: message }
            }
            error => error,
        })?;
        for _ in 0..600 {
            if self.lamports(to).await? >= before + lamports {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(ChainError::AirdropLost { to: *to })
    }

    /// Signs with `fee_payer` and `signers`, sends, and waits until it is confirmed.
    pub async fn send(
        &self,
        instructions: &[Instruction],
        fee_payer: &Keypair,
        signers: &[&Keypair],
    ) -> Result<Landed> {
        let blockhash = self.chain.tip().await?.blockhash;
        let message = Message::new_with_blockhash(instructions, Some(&fee_payer.pubkey()), &blockhash);
        let mut keys: Vec<&Keypair> = vec![fee_payer];
        keys.extend(signers.iter().filter(|key| key.pubkey() != fee_payer.pubkey()));
        let signing = |error: &dyn Display| ChainError::Signing(error.to_string());
        let transaction = VersionedTransaction::try_new(VersionedMessage::Legacy(message), &keys)
            .map_err(|error| signing(&error))?;
        let signature = *transaction.signatures.first().ok_or_else(|| signing(&"nobody signs"))?;
        let bytes = toll_protocol::encode_transaction(&transaction);
        let params =
            json!([STANDARD.encode(bytes), { "encoding": "base64", "preflightCommitment": "confirmed" }]);
        let sent: Result<String> =
            self.chain.connection().call("sendTransaction", RpcRequest::SendTransaction, params).await;
        sent.map_err(|error| match error {
            ChainError::Refused { message, .. } => ChainError::NotTaken(message),
            error => error,
        })?;
        self.confirm(&signature).await?;
        self.outcome(&signature).await
    }

    /// Waits until `signature` is confirmed; an error when it failed or when patience ran out.
    pub async fn confirm(&self, signature: &Signature) -> Result<()> {
        let deadline = tokio::time::Instant::now() + CONFIRMATION_PATIENCE;
        while tokio::time::Instant::now() < deadline {
            match self.chain.statuses(&[*signature]).await?.into_iter().next() {
                Some(Fate::Landed { .. }) => return Ok(()),
                Some(Fate::Failed { error, .. }) => {
                    return Err(ChainError::Failed { signature: *signature, reason: error });
                }
                Some(Fate::DidNotRun { reason, .. }) => {
                    return Err(ChainError::DidNotRun { signature: *signature, reason });
                }
                Some(Fate::Pending | Fate::Unknown) | None => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(ChainError::Unconfirmed { signature: *signature })
    }

    /// Fee and compute units of a confirmed transaction.
    pub async fn outcome(&self, signature: &Signature) -> Result<Landed> {
        // A confirmed status can be visible before the transaction is.
        for _ in 0..COST_TRIES {
            if let Some(cost) = self.chain.cost(signature).await? {
                let (fee_lamports, compute_units) = (cost.fee_lamports, cost.compute_units);
                return Ok(Landed { signature: *signature, fee_lamports, compute_units });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let reason = "no node has indexed a transaction that is confirmed".to_owned();
        Err(ChainError::Malformed { what: "getTransaction", reason })
    }

    fn no_mint(&self, mint: &Pubkey) -> ChainError {
        ChainError::NoMint { mint: *mint, node: self.name() }
    }
}
