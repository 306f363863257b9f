//! The bytes and words of a payment channel: vouchers, splits, channel accounts, and (with `std`) the
//! HTTP headers that carry them.
//!
//! Nothing here does I/O, reads a clock or knows a database. Without `std` the crate has no dependencies
//! and is what the on-chain program shares with everyone else.
#![cfg_attr(not(feature = "std"), no_std)]

mod amount;
mod channel;
mod splits;
mod voucher;

pub use amount::{Amount, ParseAmountError, parse_u64};
pub use channel::*;
pub use splits::{
    BPS_DENOMINATOR, MAX_RECIPIENTS, SPLIT_SIZE, SplitsError, SplitsPreimage, share, share_between,
};
pub use voucher::{BadMagic, VOUCHER_MAGIC, VOUCHER_SIZE, Voucher};
