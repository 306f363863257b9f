//! A cluster as the payer and the operator see it: balances, channels, and transactions of their own.
//!
//! Everything here works on any cluster, the embedded one included.

use std::fmt::Display;
use std::time::Duration;

use solana_commitment_config::CommitmentConfig;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_api::client_error::Error as ClientError;
use solana_rpc_client_api::config::RpcTransactionConfig;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{Amount, ChannelAccount, ChannelId, Network, associated_token_address};

use crate::ChainError;
use crate::genesis::check_genesis;
use crate::rpc::node_name;

type Result<T, E = ChainError> = std::result::Result<T, E>;

/// How long a transaction may take to be confirmed before we say that its fate is unknown.
const CONFIRMATION_PATIENCE: Duration = Duration::from_secs(60);

/// An RPC endpoint, read at `confirmed`.
pub struct Cluster {
    rpc: RpcClient,
    url: String,
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
    /// A cluster behind `url`. Nothing is sent yet.
    pub fn new(url: impl Into<String>) -> Self {
        let url = url.into();
        Self { rpc: RpcClient::new_with_commitment(url.clone(), CommitmentConfig::confirmed()), url }
    }

    fn name(&self) -> String {
        node_name(&self.url)
    }

    /// The RPC endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The client underneath, for calls this type has no word for.
    pub fn rpc(&self) -> &RpcClient {
        &self.rpc
    }

    /// The current slot.
    pub async fn slot(&self) -> Result<u64> {
        self.rpc.get_slot().await.map_err(|error| self.unreachable(&error))
    }

    /// The hash that tells one cluster from another.
    pub async fn genesis_hash(&self) -> Result<String> {
        self.rpc
            .get_genesis_hash()
            .await
            .map(|hash| hash.to_string())
            .map_err(|error| self.unreachable(&error))
    }

    /// Refuses a cluster that is not the one named: public networks are known by their genesis hash.
    pub async fn check_network(&self, network: Network) -> Result<()> {
        check_genesis(network, &self.genesis_hash().await?, &self.name())
    }

    /// Lamports of `address`; nothing for an account that does not exist.
    pub async fn lamports(&self, address: &Pubkey) -> Result<u64> {
        self.rpc.get_balance(address).await.map_err(|error| self.unreachable(&error))
    }

    /// An account's owner and data, or `None`.
    pub async fn account(&self, address: &Pubkey) -> Result<Option<(Pubkey, Vec<u8>)>> {
        self.rpc
            .get_account_with_commitment(address, CommitmentConfig::confirmed())
            .await
            .map(|answer| answer.value.map(|account| (account.owner, account.data)))
            .map_err(|error| self.unreachable(&error))
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

    /// Asks a test cluster for lamports and waits until they are there.
    pub async fn airdrop(&self, to: &Pubkey, lamports: u64) -> Result<()> {
        let before = self.lamports(to).await?;
        self.rpc
            .request_airdrop(to, lamports)
            .await
            .map_err(|error| ChainError::NoAirdrop { node: self.name(), reason: self.cause(&error) })?;
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
        let blockhash = self.rpc.get_latest_blockhash().await.map_err(|error| self.unreachable(&error))?;
        let message = Message::new_with_blockhash(instructions, Some(&fee_payer.pubkey()), &blockhash);
        let mut keys: Vec<&Keypair> = vec![fee_payer];
        keys.extend(signers.iter().filter(|key| key.pubkey() != fee_payer.pubkey()));
        let transaction = VersionedTransaction::try_new(VersionedMessage::Legacy(message), &keys)
            .map_err(|error| ChainError::Signing(error.to_string()))?;
        let signature =
            self.rpc.send_transaction(&transaction).await.map_err(|error| self.refused(&error))?;
        self.confirm(&signature).await?;
        self.outcome(&signature).await
    }

    /// Waits until `signature` is confirmed; an error when it failed or when patience ran out.
    pub async fn confirm(&self, signature: &Signature) -> Result<()> {
        let deadline = tokio::time::Instant::now() + CONFIRMATION_PATIENCE;
        while tokio::time::Instant::now() < deadline {
            let statuses = self.rpc.get_signature_statuses(&[*signature]).await;
            let status =
                statuses.map_err(|error| self.unreachable(&error))?.value.into_iter().next().flatten();
            if let Some(status) =
                status.filter(|status| status.satisfies_commitment(CommitmentConfig::confirmed()))
            {
                return status.err.map_or(Ok(()), |error| {
                    Err(ChainError::Failed { signature: *signature, reason: error.to_string() })
                });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(ChainError::Unconfirmed { signature: *signature })
    }

    /// Fee and compute units of a confirmed transaction.
    pub async fn outcome(&self, signature: &Signature) -> Result<Landed> {
        let config = RpcTransactionConfig {
            commitment: Some(CommitmentConfig::confirmed()),
            max_supported_transaction_version: Some(0),
            ..RpcTransactionConfig::default()
        };
        // A confirmed status can be visible before the transaction is.
        let mut tries = 0;
        let found = loop {
            tries += 1;
            match self.rpc.get_transaction_with_config(signature, config).await {
                Ok(found) => break found,
                Err(_) if tries < 50 => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => return Err(self.unreachable(&error)),
            }
        };
        let meta = found.transaction.meta;
        Ok(Landed {
            signature: *signature,
            fee_lamports: meta.as_ref().map_or(0, |meta| meta.fee),
            compute_units: meta.and_then(|meta| Option::from(meta.compute_units_consumed)).unwrap_or(0),
        })
    }

    /// Why a call failed. An HTTP error spells the whole URL out.
    fn cause(&self, error: &ClientError) -> String {
        cause(error).replace(self.url.as_str(), &self.name())
    }

    fn unreachable(&self, error: &ClientError) -> ChainError {
        ChainError::Unreachable { method: "RPC", node: self.name(), reason: self.cause(error) }
    }

    fn no_mint(&self, mint: &Pubkey) -> ChainError {
        ChainError::NoMint { mint: *mint, node: self.name() }
    }

    fn refused(&self, error: &ClientError) -> ChainError {
        if error.get_transaction_error().is_some()
            || matches!(error.kind(), solana_rpc_client_api::client_error::ErrorKind::RpcError(_))
        {
            return ChainError::NotTaken(self.cause(error));
        }
        self.unreachable(error)
    }
}

/// The innermost cause, which is what a person wants to read.
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
