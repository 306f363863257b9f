//! What the channel program accepts, what it refuses and with which error, instruction by instruction.

mod open;
mod open_guards;
mod request_close;
mod seal;
mod settle;
mod settle_and_seal;
mod top_up;
mod voucher;
