//! The whole product in one process: a real chain, a real ledger, real HTTP, real clients.
//!
//! A [`World`] is one server on one chain with everybody it deals with. The [`scenario`]s are written once and
//! run on the embedded chain and on a real validator.

pub mod chain;
pub mod scenario;
pub mod upstream;
mod validator;
pub mod world;

pub use chain::TestChain;
pub use world::World;
