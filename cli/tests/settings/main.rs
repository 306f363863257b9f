//! `toll.toml`: every setting is in the schema, in the example, and acts.

#[path = "../support/mod.rs"]
mod support;

mod act;
mod check;
mod effect;
mod example;
mod rotation;
mod shop;
