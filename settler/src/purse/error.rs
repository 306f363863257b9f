//! Settings that cannot work.

use thiserror::Error;

/// A setting of the purse that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PurseError {
    /// A limit of nothing.
    #[error("{setting}: must be above zero; leave it out for the default")]
    Zero {
        /// The setting's path in the file.
        setting: &'static str,
    },
    /// A budget that no open fits.
    #[error("{setting}: {budget} lamports are less than the {needed} that one open may cost")]
    BudgetBelowOneOpen {
        /// The setting's path in the file.
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
