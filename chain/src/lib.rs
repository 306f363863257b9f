//! One typed client of a Solana cluster.
//!
//! [`Chain`] is what a settler asks, and [`RpcChain`] the answer of a node; [`Cluster`] is what a person or a
//! payer asks: balances, channels, transactions of their own. Everything here works on any cluster, an embedded
//! one included, and nothing here knows HTTP, vouchers' prices or a ledger.

mod chain;
mod cluster;
mod connection;
mod consensus;
mod endpoints;
mod error;
mod failure;
pub mod feature;
mod genesis;
mod hints;
mod history;
pub mod key_file;
mod mint;
mod node;
mod program_accounts;
mod rent;
mod rpc;
#[cfg(test)]
mod stub_node;

pub use chain::{Accounts, CLOCK, Chain, ChainClock, ChainTip, Cost, Fate, Simulation, TakenTransaction};
pub use cluster::{Cluster, Landed};
pub use consensus::Consensus;
pub use endpoints::Endpoints;
pub use error::{ChainError, cause};
pub use failure::Failure;
pub use genesis::{DEVNET_GENESIS, MAINNET_GENESIS, check_genesis};
pub use hints::{Hints, websocket_url};
pub use history::{BalanceChange, Mention};
pub use mint::mint_to;
pub use program_accounts::{ChannelFilter, FoundChannels, ListedChannels};
pub use rent::{ChainRent, RENT};
pub use rpc::RpcChain;
