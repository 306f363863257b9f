//! The chains that scenarios run on.

use toll_localnet::program::ELF;
use toll_localnet::{Localnet, LocalnetConfig};
use toll_protocol::PROGRAM_ID;

use crate::validator::Validator;

/// A chain with the channel program on it.
pub enum TestChain {
    /// In this process; its clock can be moved.
    Embedded(Localnet),
    /// `solana-test-validator` in a process of its own; its clock is everybody's.
    Validator(Validator),
}

impl TestChain {
    /// The embedded chain, with slots of 50 ms.
    pub async fn embedded() -> Self {
        let config = LocalnetConfig { slot_ms: 50, ..LocalnetConfig::default() };
        let localnet = Localnet::start(config).await.expect("an embedded chain starts");
        localnet.deploy(&PROGRAM_ID, ELF).await.expect("the program loads");
        Self::Embedded(localnet)
    }

    /// A real validator, or `None` when there is no binary: see [`Validator::binary`].
    pub async fn validator() -> Option<Self> {
        let binary = Validator::binary()?;
        Some(Self::Validator(Validator::start(&binary).await))
    }

    /// Where its RPC listens.
    pub fn rpc_url(&self) -> &str {
        match self {
            Self::Embedded(localnet) => &localnet.rpc_url,
            Self::Validator(validator) => validator.rpc_url(),
        }
    }

    /// Lets `seconds` pass: at once where the clock can be moved.
    pub async fn wait(&self, seconds: u64) {
        match self {
            Self::Embedded(localnet) => {
                localnet.advance_seconds(seconds).await.expect("the clock moves");
            }
            Self::Validator(validator) => validator.wait(seconds).await,
        }
    }

    /// Lets the chain come to `slot`. Keep the way short: a validator takes its time.
    pub async fn wait_for_slot(&self, slot: u64) {
        match self {
            Self::Embedded(localnet) => localnet.advance_to_slot(slot).await.expect("the clock moves"),
            Self::Validator(validator) => validator.wait_for_slot(slot).await,
        }
    }
}
