//! `toll keygen`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::error::Result;
use crate::keys;
use crate::output::Output;

/// Flags of `toll keygen`.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Where to write it [default: ~/.config/toll/id.json]
    #[arg(value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace an existing key, and with it access to its funds
    #[arg(long)]
    force: bool,
}

impl Keygen {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let path = self.out.unwrap_or_else(keys::default_path);
        let key = Keypair::new();
        keys::write(&path, &key, self.force)?;
        let address = key.pubkey().to_string();
        output.result(&json!({ "address": address, "file": path }), || {
            format!("{address}\nkept in {}", path.display())
        });
        Ok(())
    }
}
