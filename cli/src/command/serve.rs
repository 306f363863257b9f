//! `toll serve`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::settle::summary;
use crate::config::Config;
use crate::error::Result;
use crate::output::Output;
use crate::server::{Role, Server, interrupted};

/// One half of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Half {
    /// HTTP
    Gateway,
    /// The chain
    Settler,
}

/// Flags of `toll serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "toll.toml")]
    config: PathBuf,

    /// Run one half; the other runs elsewhere on the same ledger
    #[arg(long, value_name = "HALF")]
    only: Option<Half>,
}

impl Serve {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let role = match self.only {
            None => Role::Both,
            Some(Half::Gateway) => Role::Gateway,
            Some(Half::Settler) => Role::Settler,
        };
        run(&Config::read(&self.config)?, role, output).await
    }
}

/// Serves until interrupted, then stops in order and says what was done.
pub(super) async fn run(config: &Config, role: Role, output: Output) -> Result<()> {
    let mut server = Server::start(config, role).await?;
    let address = server.address.map(|address| format!("http://{address}"));
    let ready = json!({ "ready": true, "address": address, "settler": role != Role::Gateway });
    output.result(&ready, || match &address {
        Some(address) => format!("guarding {} at {address}; ctrl-c stops", config.gateway.upstream),
        None => "settling; ctrl-c stops".into(),
    });
    tokio::select! {
        () = interrupted() => {}
        error = server.failed() => return Err(error),
    }
    output.note("stopping; again to stop at once");
    let done = tokio::select! {
        done = server.stop() => done?,
        // What was sent is on record, and the next start goes on from there.
        () = interrupted() => return Ok(()),
    };
    if role != Role::Gateway {
        output.result(&summary(&done).0, || summary(&done).1);
    }
    Ok(())
}
