//! What the program keeps and what it is told.

mod channel;
mod split;

pub use channel::{Channel, ChannelAccount, UnloadedChannel};
pub use split::{check as check_splits, PodU16, Split};
