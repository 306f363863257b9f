//! Requests whose price is known only when they are served.
//!
//! Before such a request runs, what it may cost is earmarked in the ledger. A [`Tariff`] makes a price of what was used,
//! that is charged before the last of it leaves, and the rest is free for the next request. A stream of events is
//! charged event by event and pauses when what is authorized is used up; any other answer costs no more than was
//! earmarked for it.

mod body;
mod paused;
mod serve;
mod stream;
mod tab;
mod tariff;
mod usage;

use toll_protocol::Amount;

pub(crate) use self::paused::Paused;
pub(crate) use self::serve::{MeteredSale, serve};
pub(crate) use self::tab::Tab;
pub use self::tariff::{Rate, Tariff, Tier, Unit, Usage};

/// How a route is metered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metering {
    /// What is charged for what was used.
    pub tariff: Tariff,
    /// What an answer of 400 to 499 costs.
    pub client_errors: FailureCharge,
    /// What an answer of 500 or above costs, and none at all.
    pub server_errors: FailureCharge,
    /// How long a stream waits for a voucher when what is authorized is used up, in seconds.
    pub voucher_wait: u32,
}

/// What an answer costs that is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailureCharge {
    /// The price of the route.
    Full,
    /// Nothing.
    Free,
}

impl FailureCharge {
    fn of(self, price: Amount) -> Amount {
        match self {
            Self::Full => price,
            Self::Free => Amount::ZERO,
        }
    }
}
