//! What the `toll` command is made of: a paying client, an embedded chain, the server that gets paid, and a
//! demo that runs all three and counts the money afterwards.
//!
//! [`payer`] and [`localnet`] never write to a terminal, so that other programs can use them.

pub mod cluster;
pub mod error;
pub mod keys;
pub mod localnet;
pub mod money;
pub mod payer;
pub mod state;

pub use error::{CliError, Exit, Result};
