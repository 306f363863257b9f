//! Benchmarks: what is measured, what it may cost, and what it cost when it was last written down.

mod memory;
pub mod paid_path;
#[cfg(feature = "chain")]
pub mod program;
#[cfg(feature = "chain")]
pub mod settle;
#[cfg(feature = "chain")]
pub mod watch;
