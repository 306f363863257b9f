//! One file per instruction: its accounts, then what it does.

mod checkpoint;
mod distribute;
mod emit_event;
mod open;
mod rearm;
mod reclaim;
mod request_close;
mod seal;
mod settle;
mod settle_and_seal;
mod settle_batch;
mod settle_closing;
mod settle_up_to;
mod top_up;
mod withdraw_payer;

pub use checkpoint::*;
pub use distribute::*;
pub use emit_event::*;
pub use open::*;
pub use rearm::*;
pub use reclaim::*;
pub use request_close::*;
pub use seal::*;
pub use settle::*;
pub use settle_and_seal::*;
pub use settle_batch::*;
pub use settle_closing::*;
pub use settle_up_to::*;
pub use top_up::*;
pub use withdraw_payer::*;
