//! Why a chain of one's own does not run.

use thiserror::Error;
use toll_chain::ChainError;
use toll_chain::key_file::KeyFileError;

/// Anything that keeps the embedded chain or its fixture from working.
#[derive(Debug, Error)]
pub enum LocalnetError {
    /// A port is in use.
    #[error("cannot listen on 127.0.0.1:{port}: {reason}")]
    Port {
        /// The port asked for.
        port: u16,
        /// The system's reason.
        reason: String,
    },
    /// The chain does not do what it should.
    #[error("{0}")]
    Broken(String),
    /// The chain refused what the fixture asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A key file of an actor.
    #[error(transparent)]
    Key(#[from] KeyFileError),
}
