//! `toll localnet`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use solana_signer::Signer;
use toll_protocol::Amount;

use crate::error::{CliError, Exit, Result};
use crate::money::{self, Quantity};
use crate::output::{Output, table};
use crate::server::interrupted;
use toll_chain::Cluster;
use toll_localnet::program::{ELF, PROGRAM_ID, TREASURY_OWNER};
use toll_localnet::{Actors, DECIMALS, Fixture, LocalnetConfig};

/// Flags of `toll localnet`.
#[derive(Debug, Args)]
pub(crate) struct Localnet {
    /// RPC port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8899)]
    rpc_port: u16,

    /// Websocket port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8900)]
    ws_port: u16,

    /// Length of a slot, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 400, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    slot_ms: u64,

    /// Where keys and a toll.toml are written; keys that are there are used again
    #[arg(long, value_name = "FOLDER", default_value = "localnet")]
    dir: PathBuf,

    /// Test tokens for the payer
    #[arg(long, value_name = "AMOUNT", default_value = "50.0")]
    tokens: Quantity,
}

impl Localnet {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let config = LocalnetConfig { rpc_port: self.rpc_port, ws_port: self.ws_port, slot_ms: self.slot_ms };
        let tokens = crate::args::base_units(self.tokens, DECIMALS)?;
        let spinner = output.spinner("starting a chain");
        let localnet = toll_localnet::Localnet::start(config).await?;
        localnet.deploy(&PROGRAM_ID, ELF).await?;
        let actors = Actors::in_folder(&self.dir)?;
        let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await?;
        fixture.mint_to(&actors.payer.pubkey(), tokens).await?;
        let toml = self.write_config(&localnet, &actors, &fixture.cluster.genesis_hash().await?)?;
        spinner.finish_and_clear();
        let interruption = interrupted();
        self.report(output, &localnet, &actors, tokens, &toml);
        interruption.await;
        output.note("stopping");
        localnet.stop().await;
        Ok(())
    }

    /// A configuration for this very chain. The ledger is named after it: another chain needs another ledger.
    fn write_config(
        &self,
        localnet: &toll_localnet::Localnet,
        actors: &Actors,
        genesis: &str,
    ) -> Result<PathBuf> {
        let path = self.dir.join("toll.toml");
        let mint = actors.mint.pubkey();
        let text = format!(
            r#"# Written by `toll localnet` each time it starts. Copy it before you change it.

[ledger]
path = "ledger-{chain}.db"

[gateway]
listen = "127.0.0.1:8402"
# What to guard: any HTTP service of yours.
upstream = "http://127.0.0.1:8080"
realm = "localhost"

[session]
network = "localnet"
program = "{PROGRAM_ID}"
payee = "{payee}"
fee_payer = "{fee_payer}"
mint = "{mint}"
allowed_mints = ["{mint}"]
decimals = {DECIMALS}
minimum_deposit = "0.01"
suggested_deposit = "0.1"

[settler]
rpc = "{rpc}"
fee_payer = "fee-payer.json"
payee = "payee.json"

[[routes]]
path = "/**"
price = "0.001"
"#,
            chain = &genesis[..genesis.len().min(8)],
            payee = actors.payee.pubkey(),
            fee_payer = actors.fee_payer.pubkey(),
            rpc = localnet.rpc_url,
        );
        std::fs::write(&path, text).map_err(|error| {
            let what = format_args!("cannot write {}: {error}", path.display()).to_string();
            CliError::new(Exit::Config, what, "check the folder's owner and free space")
        })?;
        Ok(path)
    }

    fn report(
        &self,
        output: Output,
        localnet: &toll_localnet::Localnet,
        actors: &Actors,
        tokens: Amount,
        toml: &Path,
    ) {
        let document = json!({
            "rpc": localnet.rpc_url,
            "websocket": localnet.ws_url,
            "program": PROGRAM_ID.to_string(),
            "treasuryOwner": TREASURY_OWNER.to_string(),
            "mint": actors.mint.pubkey().to_string(),
            "decimals": DECIMALS,
            "payer": actors.payer.pubkey().to_string(),
            "payee": actors.payee.pubkey().to_string(),
            "feePayer": actors.fee_payer.pubkey().to_string(),
            "mintAuthority": actors.mint_authority.pubkey().to_string(),
            "folder": self.dir,
            "config": toml,
        });
        output.result(&document, || {
            let mut table = table(["", ""]);
            table.add_row(["RPC", &localnet.rpc_url]);
            table.add_row(["websocket", &localnet.ws_url]);
            table.add_row(["program", &PROGRAM_ID.to_string()]);
            table.add_row(["test mint", &actors.mint.pubkey().to_string()]);
            table.add_row(["keys and config", &self.dir.display().to_string()]);
            format!(
                "{table}\nthe payer has {} test tokens and no SOL; next:\n  toll serve --config {}\n  toll pay --keypair {} http://127.0.0.1:8402/\nctrl-c stops the chain",
                money::tokens(tokens, DECIMALS),
                toml.display(),
                self.dir.join("payer.json").display(),
            )
        });
    }
}
