//! What a settler asks of a cluster, and nothing more.
//!
//! Two answers exist: [`RpcChain`](crate::RpcChain) speaks to a node, and the tests run the real program in process.

use async_trait::async_trait;
use solana_account::Account;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_signature::Signature;

use crate::hints::Hints;
use crate::program_accounts::{ChannelFilter, FoundChannels, ListedChannels};
use crate::{ChainError, Failure};

/// Address of the clock sysvar: the time and slot that programs see.
pub const CLOCK: Pubkey = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");

/// A cluster, as the settler needs it. Everything is answered at `confirmed` commitment unless it says otherwise,
/// and at `finalized` where the cluster runs Alpenglow.
///
/// Any call may fail with [`ChainError::Unreachable`], which says nothing about what happened: the caller
/// asks again later. Implementations retry a few times themselves; each call may be repeated safely.
#[async_trait]
pub trait Chain: Send + Sync {
    /// The cluster's identity, base58.
    async fn genesis_hash(&self) -> Result<String, ChainError>;

    /// The newest blockhash and where the cluster stands.
    async fn tip(&self) -> Result<ChainTip, ChainError>;

    /// The accounts at `addresses`, in their order; `None` where there is none. Any number of addresses.
    ///
    /// Accounts that come from several answers carry the oldest answer's slot.
    async fn accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError>;

    /// Like [`Chain::accounts`], but of finalized blocks: what they show is never taken back.
    async fn finalized_accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError>;

    /// The channels that match `filter`, at `min_slot` or later.
    ///
    /// Many public nodes refuse this query, and some are too slow for it: whoever asks has another way to learn
    /// the same in the end.
    async fn find_channels(&self, filter: &ChannelFilter, min_slot: u64)
    -> Result<FoundChannels, ChainError>;

    /// Every channel of `payee` with what changes of it, at `min_slot` or later: one question, however many there are.
    ///
    /// Fails as [`Chain::find_channels`] does, and where the answer is too long for a node.
    async fn list_channels(
        &self,
        program: &Pubkey,
        payee: &Pubkey,
        min_slot: u64,
    ) -> Result<ListedChannels, ChainError>;

    /// Hints that a channel may have come to match `filter`; `None` where nobody gives any.
    fn hints(&self, filter: &ChannelFilter) -> Option<Hints> {
        let _ = filter;
        None
    }

    /// Whether a transaction with this blockhash could still land.
    async fn is_blockhash_valid(&self, blockhash: &Hash) -> Result<bool, ChainError>;

    /// Runs a transaction without landing it. Signatures are not checked.
    async fn simulate(&self, transaction: &[u8]) -> Result<Simulation, ChainError>;

    /// Hands a signed transaction to the cluster.
    ///
    /// Success means that a node took it, not that it will land; an error does not mean that it won't.
    async fn submit(&self, transaction: &[u8]) -> Result<(), ChainError>;

    /// What became of each signature, searching the whole history. Any number of signatures.
    async fn statuses(&self, signatures: &[Signature]) -> Result<Vec<Fate>, ChainError>;

    /// A transaction that the cluster has taken and confirmed; `None` where no node knows one, though it may know later.
    async fn transaction(&self, signature: &Signature) -> Result<Option<TakenTransaction>, ChainError> {
        let _ = signature;
        Ok(None)
    }

    /// What a landed transaction cost, or `None` while the node has not indexed it.
    async fn cost(&self, signature: &Signature) -> Result<Option<Cost>, ChainError>;
}

/// Where a cluster stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainTip {
    /// The newest blockhash.
    pub blockhash: Hash,
    /// The slot of the answer that carried it.
    pub slot: u64,
    /// The cluster's block height.
    pub block_height: u64,
    /// The last block height at which a transaction with this blockhash can land.
    pub last_valid_block_height: u64,
}

/// Accounts and the slot at which they looked so.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The slot of the answer.
    pub slot: u64,
    /// One entry per address asked for.
    pub accounts: Vec<Option<Account>>,
}

/// A transaction that the cluster has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenTransaction {
    /// The slot it is in.
    pub slot: u64,
    /// Why it failed, if it did.
    pub error: Option<Failure>,
    /// The transaction.
    pub bytes: Vec<u8>,
}

/// How a transaction would have run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// Why it would fail, if it would.
    pub error: Option<Failure>,
    /// Compute units it used.
    pub compute_units: u64,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// No block that the node knows contains it.
    Unknown,
    /// A block contains it, but nobody confirms the block: not yet, or not while the cluster changes its consensus.
    /// It is no failure, however long it takes.
    Pending,
    /// It took effect.
    Landed {
        /// The slot of its block.
        slot: u64,
    },
    /// It is in a block and failed there: fee paid, no other effect.
    Failed {
        /// The slot of its block.
        slot: u64,
        /// The cluster's reason.
        error: String,
    },
    /// It is in a block, but its fee payer could not pay for it: no fee, no effect, and its signature is used up
    /// (SIMD-0290). Once the payer has enough, the same may be signed anew.
    DidNotRun {
        /// The slot of its block.
        slot: u64,
        /// What the payer lacks.
        reason: String,
    },
}

/// What a transaction cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The fee, in lamports.
    pub fee_lamports: u64,
    /// Compute units used.
    pub compute_units: u64,
    /// Lamports that left the fee payer in all, the fee and the rent of new accounts; below zero when more came back.
    pub paid_lamports: i64,
}

/// The slot and time that programs see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainClock {
    /// The slot.
    pub slot: u64,
    /// Unix seconds.
    pub unix_timestamp: i64,
}

impl ChainClock {
    /// Reads the clock sysvar's account.
    pub fn decode(account: Option<&Account>) -> Result<Self, ChainError> {
        let malformed = || ChainError::Malformed { what: "clock sysvar", reason: "not 40 bytes".to_owned() };
        let data = account.ok_or_else(malformed)?.data.first_chunk::<40>().ok_or_else(malformed)?;
        let word = |at: usize| <[u8; 8]>::try_from(&data[at..at + 8]).expect("eight bytes");
        Ok(Self { slot: u64::from_le_bytes(word(0)), unix_timestamp: i64::from_le_bytes(word(32)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_takes_slot_from_the_front_and_time_from_the_back() {
        let mut data = vec![0; 40];
        data[..8].copy_from_slice(&77u64.to_le_bytes());
        data[32..].copy_from_slice(&1_700_000_000i64.to_le_bytes());
        let account = Account { data, ..Account::default() };

        let clock = ChainClock::decode(Some(&account)).unwrap();

        assert_eq!(clock, ChainClock { slot: 77, unix_timestamp: 1_700_000_000 });
    }

    #[test]
    fn missing_or_short_clock_is_malformed() {
        let short = Account { data: vec![0; 39], ..Account::default() };
        assert!(matches!(ChainClock::decode(Some(&short)), Err(ChainError::Malformed { .. })));
        assert!(matches!(ChainClock::decode(None), Err(ChainError::Malformed { .. })));
    }
}
