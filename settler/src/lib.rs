//! The settler: the one process that signs and sends transactions for the payee.
//!
//! It meets the gateway only in the ledger. The gateway records opens, top-ups and the wish to close; the
//! settler puts them on chain and copies the chain's answers back. Every transaction is on disk before it is
//! sent, so a settler that dies at any point is finished by the next one, exactly once ([`Step`]).
//!
//! ```text
//! watch    chain → ledger: what channels look like now
//! plan     a channel and the chain's clock → what to do (pure; `planner` fetches what it asks for)
//! launch   a plan, or a payer's request → a transaction that is recorded, then sent
//! resolve  every recorded transaction → landed, failed or expired, once
//! driver   runs the four
//! ```

mod claims;
mod config;
mod driver;
mod error;
mod in_flight;
mod launch;
mod metrics;
mod pauses;
mod plan;
mod planner;
mod purse;
mod resolve;
mod startup;
mod step;
mod summary;
mod tips;
mod watch;

pub use config::{
    InvalidSetting, ListedMint, Renew, SettlerConfig, SettlerKeys, SettlerSettings, Surroundings,
    TransactionVersion,
};
pub use driver::{Pass, Settler, TAKEOVER};
pub use error::SettlerError;
pub use metrics::{Float, FloatWatch, Metrics};
pub use plan::{Action, Hold, PartialSettle, Plan, Snapshot, plan};
pub use purse::{Prices, PurseError, PurseSettings};
pub use step::Step;
pub use summary::{Report, Summary};
