//! One file per instruction: its accounts, then what it does.

mod distribute;
mod emit_event;
mod open;
mod reclaim;
mod request_close;
mod seal;
mod settle;
mod settle_and_seal;
mod top_up;
mod withdraw_payer;

pub use distribute::*;
pub use emit_event::*;
pub use open::*;
pub use reclaim::*;
pub use request_close::*;
pub use seal::*;
pub use settle::*;
pub use settle_and_seal::*;
pub use top_up::*;
pub use withdraw_payer::*;
