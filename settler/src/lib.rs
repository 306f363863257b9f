//! The settler: the one process that signs and sends transactions for the payee.
//!
//! It meets the gateway only in the ledger. The gateway records opens, top-ups and the wish to close; the
//! settler puts them on chain and copies the chain's answers back. Every transaction is on disk before it is
//! sent, so a settler that dies at any point is finished by the next one, exactly once ([`Step`]).

mod config;
mod confirm;
mod driver;
mod error;
mod inspect;
mod memory;
mod payout;
mod plan;
mod requested;
mod startup;
mod step;
mod summary;
mod transaction;
mod watch;
mod work;

pub use config::{ListedMint, SettlerConfig, SettlerKeys};
pub use driver::{Pass, Settler};
pub use error::SettlerError;
pub use plan::{Action, Hold, PartialSettle, Plan, Snapshot, plan};
pub use step::Step;
pub use summary::{Report, Summary};
