//! A program that pays for what it requests: `cargo run --example pay -- URL KEY_FILE STATE_FILE`.

use std::{error::Error, path::Path, time::Duration};

use toll_chain::key_file;
use toll_client::{Book, Payer, PaymentMiddleware, Policy};
use toll_protocol::{Amount, Network, PROGRAM_ID};

/// The answer to a GET, for at most a cent: base units of a token with six decimals.
pub async fn get(url: &str, key: &Path, state: &Path) -> Result<String, Box<dyn Error>> {
    let limits = Policy::new(Network::Localnet, vec![PROGRAM_ID]);
    let policy = Policy { max_amount: Amount::new(10_000), ..limits };
    let payer = Payer::new(key_file::read(key)?, policy, None)?;
    let book = Book::open(state, Duration::from_secs(5))?;
    let layer = PaymentMiddleware::new(payer, book);
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(layer).build();
    Ok(client.get(url).send().await?.error_for_status()?.text().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().collect();
    let [_, url, key, state] = words.as_slice() else {
        return Err("give URL, KEY_FILE and STATE_FILE".into());
    };
    println!("{}", get(url, Path::new(key), Path::new(state)).await?);
    Ok(())
}
