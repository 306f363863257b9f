//! An axum service that charges for a route: `cargo run --example guarded -- TOLL_TOML LEDGER`.
//!
//! A settler on the same ledger opens, settles and closes what the payers ask for.

use std::{error::Error, sync::Arc};

use axum::{Router, routing::get};
use toll_gateway::{Config, FixedPrice, Gateway, Paid, PaymentLayer};
use toll_ledger::{Ledger, SystemClock};
use toll_protocol::Amount;

/// A greeting for 1,000 base units, and a page about it for nothing.
pub fn service(config: &Config, ledger: Ledger) -> Result<Router, Box<dyn Error>> {
    let terms = config.session.terms(&config.gateway)?;
    let gateway = Gateway::new(ledger, terms, config.gateway.challenge_secret()?);
    let price = FixedPrice::new(Amount::new(1_000));
    Ok(Router::new()
        .route("/greeting", get(|paid: Paid| async move { format!("hello, {}", paid.payer) }))
        .layer(PaymentLayer::new(Arc::new(gateway), Arc::new(price)))
        .route("/", get(|| async { "a greeting costs 1000 base units" })))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().collect();
    let [_, config, ledger] = words.as_slice() else { return Err("give TOLL_TOML and LEDGER".into()) };
    let config = Config::parse(&std::fs::read_to_string(config)?)?;
    let listener = tokio::net::TcpListener::bind(config.gateway.listen).await?;
    Ok(axum::serve(listener, service(&config, Ledger::open(ledger, SystemClock)?)?).await?)
}
