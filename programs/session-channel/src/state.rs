//! What the program keeps and what it is told.

mod account;
mod channel;
mod split;

pub use account::{ChannelAccount, UnloadedChannel};
pub use channel::Channel;
pub use split::{check as check_splits, PodU16, Split};
