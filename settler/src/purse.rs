//! The purse: every lamport that leaves the fee payer goes through it.
//!
//! What a transaction may take is held, in the ledger, before the transaction is recorded; what it cost replaces
//! the hold when its fate is known. New exposure is refused when a budget is spent, or when the balance would
//! not cover the closes of all open channels any more: opens first, then top-ups, vouchers last. Closing
//! channels is never refused.

mod book;
mod price;
mod settings;

use thiserror::Error;

pub use book::{Book, Denial, Mark, Outlay};
pub use price::Prices;
pub use settings::PurseSettings;

/// A setting of the purse that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PurseError {
    /// A limit of nothing.
    #[error("settler.purse.{setting}: must be above zero; leave it out for the default")]
    Zero {
        /// The setting.
        setting: &'static str,
    },
    /// A budget that no open fits.
    #[error("settler.purse.{setting}: {budget} lamports are less than the {needed} that one open may cost")]
    BudgetBelowOneOpen {
        /// The setting.
        setting: &'static str,
        /// Its value.
        budget: u64,
        /// Fee of an open and fees of its close.
        needed: u64,
    },
    /// A reserve that no close can be paid from.
    #[error("settler.purse.reserve_per_channel: {reserve} lamports are less than the {needed} of one close")]
    ReserveBelowOneClose {
        /// Its value.
        reserve: u64,
        /// Fees of a close.
        needed: u64,
    },
    /// Nothing could ever be spent.
    #[error(
        "settler.purse.minimum_reserve: {reserve} lamports are kept for one channel, but the fee payer has \
         {balance}; fund it or lower the reserve"
    )]
    ReserveAboveBalance {
        /// What one channel needs to be kept, the minimum included.
        reserve: u64,
        /// What the fee payer has.
        balance: u64,
    },
}
