//! A cluster of which some questions fail, hang or take their time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_chain::{
    Accounts, Chain, ChainError, ChainTip, ChannelFilter, Cost, Fate, FoundChannels, ListedChannels,
    Simulation,
};
use toll_settler::{Settler, SettlerConfig};

use crate::chain::TestChain;
use crate::world::World;

/// What is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// These questions fail.
    pub fails: &'static [&'static str],
    /// These are never answered.
    pub hangs: &'static [&'static str],
    /// Every question about this account fails, whatever else it asks for.
    pub hidden: Option<Pubkey>,
    /// How long every answer takes.
    pub latency: Duration,
}

/// The chain of a [`World`], with trouble. Clones are the same one.
#[derive(Clone)]
pub struct FlakyChain {
    inner: TestChain,
    trouble: Arc<Mutex<Trouble>>,
}

impl FlakyChain {
    pub fn of(world: &World) -> Self {
        Self { inner: world.chain.clone(), trouble: Arc::default() }
    }

    /// Sets what goes wrong from here on.
    pub fn trouble(&self, trouble: Trouble) {
        *self.lock() = trouble;
    }

    /// A settler that works on this chain.
    pub async fn settler(&self, world: &World, config: SettlerConfig) -> Settler {
        let chain = Arc::new(self.clone());
        Settler::start(world.ledger.clone(), chain, world.keys(), config).await.expect("the settler starts")
    }

    fn lock(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, method: &'static str) -> Result<(), ChainError> {
        let Trouble { fails, hangs, latency, .. } = self.lock().clone();
        if hangs.contains(&method) {
            std::future::pending::<()>().await;
        }
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        if fails.contains(&method) { Err(unreachable(method)) } else { Ok(()) }
    }
}

fn unreachable(method: &'static str) -> ChainError {
    ChainError::Unreachable { method, node: "test".to_owned(), reason: "unreachable".to_owned() }
}

#[async_trait]
impl Chain for FlakyChain {
    async fn genesis_hash(&self) -> Result<String, ChainError> {
        self.ask("genesis_hash").await?;
        self.inner.genesis_hash().await
    }

    async fn tip(&self) -> Result<ChainTip, ChainError> {
        self.ask("tip").await?;
        self.inner.tip().await
    }

    async fn accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError> {
        self.ask("accounts").await?;
        let hidden = self.lock().hidden;
        if hidden.is_some_and(|hidden| addresses.contains(&hidden)) {
            return Err(unreachable("accounts"));
        }
        self.inner.accounts(addresses).await
    }

    async fn finalized_accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError> {
        self.inner.finalized_accounts(addresses).await
    }

    async fn find_channels(&self, filter: &ChannelFilter, slot: u64) -> Result<FoundChannels, ChainError> {
        self.ask("find_channels").await?;
        self.inner.find_channels(filter, slot).await
    }

    async fn list_channels(
        &self,
        program: &Pubkey,
        payee: &Pubkey,
        slot: u64,
    ) -> Result<ListedChannels, ChainError> {
        self.ask("list_channels").await?;
        self.inner.list_channels(program, payee, slot).await
    }

    async fn is_blockhash_valid(&self, blockhash: &Hash) -> Result<bool, ChainError> {
        self.ask("is_blockhash_valid").await?;
        self.inner.is_blockhash_valid(blockhash).await
    }

    async fn simulate(&self, transaction: &[u8]) -> Result<Simulation, ChainError> {
        self.ask("simulate").await?;
        self.inner.simulate(transaction).await
    }

    async fn submit(&self, transaction: &[u8]) -> Result<(), ChainError> {
        self.ask("submit").await?;
        self.inner.submit(transaction).await
    }

    async fn statuses(&self, signatures: &[Signature]) -> Result<Vec<Fate>, ChainError> {
        self.ask("statuses").await?;
        self.inner.statuses(signatures).await
    }

    async fn cost(&self, signature: &Signature) -> Result<Option<Cost>, ChainError> {
        self.ask("cost").await?;
        self.inner.cost(signature).await
    }
}
