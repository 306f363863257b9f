//! A settler that stands still at one step of a close, so that a test can kill it there.
//!
//! `stoppable-settler FOLDER [STEP]`: works on `FOLDER/toll.toml`. With `STEP`, a number in [`Step::ALL`], it prints
//! a line when it gets there and does nothing more.

use std::path::Path;
use std::sync::Arc;

use toll_chain::RpcChain;
use toll_cli::config::Config;
use toll_cli::keys;
use toll_ledger::{Ledger, SubmissionKind, SystemClock};
use toll_settler::{ListedMint, Settler, SettlerKeys, Step};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("a folder");
    let stop_at: Option<Step> =
        arguments.next().map(|index| Step::ALL[index.parse::<usize>().expect("a step's number")]);

    let config = Config::read(&Path::new(&folder).join("toll.toml")).expect("a configuration");
    let ledger = Ledger::open(&config.ledger.path, SystemClock).expect("a ledger");
    let keys = SettlerKeys {
        fee_payer: keys::read(&config.settler.fee_payer).expect("a key"),
        payee: keys::read(&config.settler.payee).expect("a key"),
        operator: None,
    };
    let session = &config.session;
    let mint = ListedMint { mint: session.mint, token_program: session.token_program };
    let mut settings = config.settler_config(vec![mint]).expect("settings");
    settings.close_on_shutdown = false;
    let chain = Arc::new(RpcChain::new(&config.settler.rpc));
    let settler = Settler::start(ledger, chain, keys, settings).await.expect("the settler starts");
    let settler = settler.on_step(move |kind, step| {
        if kind == SubmissionKind::Close && Some(step) == stop_at {
            println!("{step:?}");
            loop {
                std::thread::park();
            }
        }
    });
    settler.run(std::future::pending()).await.expect("the settler runs");
}
