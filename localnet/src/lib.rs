//! A chain of one's own: the embedded cluster, the channel program's ELF, a test mint, keys with funds.
//!
//! Nothing here is needed to get paid or to pay on a public cluster.

mod error;
mod fixture;
mod localnet;
pub mod program;

pub use error::LocalnetError;
pub use fixture::{Actors, DECIMALS, Fixture, test_mint};
pub use localnet::{Localnet, LocalnetConfig};
