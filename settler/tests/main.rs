//! The settler against the real program: an in-process cluster with a clock that stands still.
#![allow(unreachable_pub, reason = "nothing is above a test binary")]

mod batch;
mod chain;
mod close;
mod crash;
mod fate;
mod finality;
mod flaky;
mod forced;
mod isolation;
mod kept;
mod open;
mod packing;
mod payout;
mod purse;
mod reclaim;
mod renewal;
mod running;
mod shutdown;
mod startup;
mod tokens;
mod top_up;
mod watching;
mod world;
