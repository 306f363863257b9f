//! The gateway over a real ledger, a manual clock and a stand-in for the settler.

mod binding;
mod bodies;
mod book;
mod challenge;
mod close;
mod config;
mod credential;
mod discovery;
mod example;
mod listener;
mod log;
mod open;
mod open_matrix;
mod opening;
mod operator;
mod outage;
mod proxy;
mod published;
mod renewal;
mod replay;
mod servers;
mod settler;
mod sponsorship;
mod top_up;
mod voucher;
mod world;
