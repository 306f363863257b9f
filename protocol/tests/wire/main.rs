//! What the readers and writers of the wire accept, and the exact reason for everything they refuse.

mod account;
mod batch;
mod ceiling;
mod challenge;
mod charge;
mod charge_transaction;
mod credential;
mod digest;
mod event;
mod header;
mod instruction;
mod json;
mod problem;
mod receipt;
mod refusal;
mod request;
mod sample;
mod splits;
mod transaction;
mod voucher;
