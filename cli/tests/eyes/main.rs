//! What those who run a server see of it: metrics, probes, traces.

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod monitoring;
mod shop;
mod traces;
