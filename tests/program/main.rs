//! What the channel program accepts, what it refuses and with which error, instruction by instruction.

mod builders;
mod codes;
mod cost;
mod dispatch;
mod distribute;
mod distribute_guards;
mod emit_event;
mod lifecycle;
mod limits;
mod open;
mod open_guards;
mod reclaim;
mod redirect;
mod request_close;
mod seal;
mod sealed;
mod settle;
mod settle_and_seal;
mod token_2022;
mod top_up;
mod voucher;
mod withdraw_payer;
mod wrapped_sol;
