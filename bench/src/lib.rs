//! Benchmarks: what is measured, what it may cost, and what it cost when it was last written down.

pub mod program;
pub mod settle;
pub mod watch;
