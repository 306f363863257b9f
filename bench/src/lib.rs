//! Benchmarks: what is measured, what it may cost, and what it cost when it was last written down.

mod memory;
pub mod paid_path;
pub mod program;
pub mod settle;
pub mod watch;
