//! Paying for one request by one transfer, where the server offers that (draft-solana-charge).
//!
//! The signed transaction is on disk before anybody else sees it, and the same one is presented again until it is
//! answered. Another one is signed only when the chain shows that the first can never land.

mod check;
mod fate;
mod offer;
mod pay;
mod present;
mod saved;
mod sign;

pub use offer::ChargeOffer;
#[cfg(test)]
pub(crate) use offer::testing;
pub use saved::SavedCharge;
