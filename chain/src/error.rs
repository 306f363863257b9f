//! Why a question to a cluster has no good answer.

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use thiserror::Error;
use toll_protocol::{ChannelId, Network};

/// Anything that goes wrong between us and a cluster. Nodes are named without the path and query that
/// providers hide access keys in.
#[derive(Debug, Error)]
pub enum ChainError {
    /// There is nobody to ask.
    #[error("no RPC endpoint is configured")]
    NoNode,
    /// No answer, or none that says what happened.
    #[error("{method}: the RPC at {node} does not answer: {reason}")]
    Unreachable {
        /// The call.
        method: &'static str,
        /// The node.
        node: String,
        /// The transport's reason.
        reason: String,
    },
    /// The node answered with an error.
    #[error("{method}: the node answered {code}: {message}")]
    Refused {
        /// The call.
        method: &'static str,
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// An answer that cannot be read.
    #[error("{what}: unreadable answer: {reason}")]
    Malformed {
        /// The call or account.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The node belongs to another cluster than it should.
    #[error(
        "the RPC at {node} is not on {network}: its genesis hash is {found}, and {network} has {expected}"
    )]
    WrongCluster {
        /// The node.
        node: String,
        /// The network it should be on.
        network: Network,
        /// The genesis hash of that network.
        expected: &'static str,
        /// The genesis hash the node reports.
        found: String,
    },
    /// One of several nodes belongs to another cluster than the others.
    #[error(
        "the RPC at {node} is on another cluster than the others: its genesis hash is {found}, theirs is {expected}"
    )]
    StrayNode {
        /// The node.
        node: String,
        /// The genesis hash of the others.
        expected: String,
        /// The genesis hash it reports.
        found: String,
    },
    /// The node shows the past: another answer was of a later slot.
    #[error("the RPC at {node} is behind: it answers for slot {slot}, and slot {seen} was seen")]
    Behind {
        /// The node.
        node: String,
        /// The slot of its answer.
        slot: u64,
        /// The latest slot seen before it was asked.
        seen: u64,
    },
    /// There is no such mint.
    #[error("there is no mint {mint} on {node}")]
    NoMint {
        /// The address.
        mint: Pubkey,
        /// The node.
        node: String,
    },
    /// An account that is no channel of the program.
    #[error("{channel} is not a channel of program {program}: {reason}")]
    NotAChannel {
        /// The address.
        channel: ChannelId,
        /// The program that should own it.
        program: Pubkey,
        /// What it is instead.
        reason: String,
    },
    /// The node gives no lamports away.
    #[error("{node} gives no SOL away: {reason}")]
    NoAirdrop {
        /// The node.
        node: String,
        /// Its words.
        reason: String,
    },
    /// Lamports that were promised did not come.
    #[error("the airdrop to {to} did not arrive")]
    AirdropLost {
        /// Who asked.
        to: Pubkey,
    },
    /// A transaction of ours lacks a signature.
    #[error("signing: {0}")]
    Signing(String),
    /// The cluster would not take a transaction.
    #[error("the cluster refused the transaction: {0}")]
    NotTaken(String),
    /// A transaction is on chain and had no effect.
    #[error("transaction {signature} failed: {reason}")]
    Failed {
        /// Its signature.
        signature: Signature,
        /// The cluster's reason.
        reason: String,
    },
    /// A transaction is on chain and did not run: its fee payer could not pay for it.
    #[error("transaction {signature} did not run, its fee payer cannot pay: {reason}")]
    DidNotRun {
        /// Its signature.
        signature: Signature,
        /// What the payer lacks.
        reason: String,
    },
    /// A transaction was sent and its fate is unknown.
    #[error("transaction {signature} was sent, but is not confirmed")]
    Unconfirmed {
        /// Its signature.
        signature: Signature,
    },
}

impl ChainError {
    /// Whether asking again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Behind { .. } => true,
            // Node behind, slot skipped, block not available, minimum context slot not reached.
            Self::Refused { code, .. } => matches!(code, -32_004 | -32_005 | -32_014 | -32_016),
            _ => false,
        }
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
