//! `toll serve`

use std::path::PathBuf;
use std::pin::pin;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::settle::summary;
use crate::check::check;
use crate::config::{self, Config};
use crate::error::Result;
use crate::log;
use crate::output::Output;
use crate::server::{Hangups, Role, Server, interrupted};

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

    /// Read the configuration, check it and everything it names on this machine, say what would be done, and end:
    /// code 0, or 3. Nothing is written and no cluster is asked
    #[arg(long)]
    check: bool,

    /// Print the JSON schema of the configuration, with every setting, and end
    #[arg(long, conflicts_with_all = ["check", "config", "only"])]
    schema: bool,
}

impl Serve {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        if self.schema {
            let schema = config::schema();
            output.result(&schema, || format!("{schema:#}"));
            return Ok(());
        }
        let role = match self.only {
            None => Role::Both,
            Some(Half::Gateway) => Role::Gateway,
            Some(Half::Settler) => Role::Settler,
        };
        if self.check {
            let checked = check(&self.config, role)?;
            let document =
                json!({ "config": self.config, "does": checked.does, "settings": checked.settings });
            output.result(&document, || {
                format!("{} works. toll serve\n  {}", self.config.display(), checked.does.join("\n  "))
            });
            return Ok(());
        }
        run(&Config::read(&self.config)?, role, output).await
    }
}

/// Serves until interrupted, then stops in order and says what was done.
pub(super) async fn run(config: &Config, role: Role, output: Output) -> Result<()> {
    let traces = log::with_traces(&config.telemetry)?;
    let ended = serve(config, role, output).await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    ended
}

async fn serve(config: &Config, role: Role, output: Output) -> Result<()> {
    let mut hangups = Hangups::new();
    let mut server = Server::start(config, role).await?;
    let mut interruption = pin!(interrupted());
    let address = server.address.map(|address| format!("http://{address}"));
    let mut ready = json!({ "ready": true, "address": address, "settler": role != Role::Gateway });
    if let Some(admin) = server.admin_address {
        ready["admin"] = format!("http://{admin}").into();
    }
    output.result(&ready, || match &address {
        Some(address) => format!("guarding {} at {address}; ctrl-c stops", config.gateway.upstream),
        None => "settling; ctrl-c stops".into(),
    });
    loop {
        tokio::select! {
            () = &mut interruption => break,
            error = server.failed() => return Err(error),
            () = hangups.next() => reload(&server, output),
        }
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

/// Takes up challenge secrets that were changed. What cannot be read changes nothing.
fn reload(server: &Server, output: Output) {
    match server.reload_secrets() {
        Ok(Some(true)) => {
            tracing::info!("the challenge secret was changed");
            output.note("another challenge secret from now on; the one before is recognized for a while");
        }
        Ok(_) => output.note("no challenge secret was changed"),
        Err(error) => {
            tracing::error!(%error, "the challenge secret stays");
            output.note(format_args!("the challenge secret stays: {error}"));
        }
    }
}
