//! `toll balance`

use clap::Args;
use serde_json::json;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_protocol::Amount;

use crate::args::{self, ClusterArgs};
use crate::error::Result;
use crate::output::{Output, table};
use crate::{keys, money};

/// Flags of `toll balance`.
#[derive(Debug, Args)]
pub(crate) struct Balance {
    /// An address or a key file [default: ~/.config/toll/id.json]
    #[arg(value_parser = keys::parse_address, env = "TOLL_KEYPAIR", hide_env_values = true)]
    address: Option<Pubkey>,

    /// Show tokens of this mint as well
    #[arg(long, value_name = "ADDRESS", value_parser = args::address)]
    mint: Option<Pubkey>,

    #[command(flatten)]
    cluster: ClusterArgs,
}

impl Balance {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let address = match self.address {
            Some(address) => address,
            None => keys::read(&keys::default_path())?.pubkey(),
        };
        let cluster = self.cluster.cluster();
        let lamports = cluster.lamports(&address).await?;
        let tokens = match self.mint {
            Some(mint) => {
                let (token_program, decimals) = cluster.mint(&mint).await?;
                let amount = cluster.tokens(&address, &mint, &token_program).await?.unwrap_or(Amount::ZERO);
                Some((mint, amount, decimals))
            }
            None => None,
        };
        let document = json!({
            "address": address.to_string(),
            "lamports": lamports,
            "tokens": tokens.map(|(mint, amount, decimals)| json!({
                "mint": mint.to_string(),
                "amount": amount.to_string(),
                "decimals": decimals,
            })),
        });
        output.result(&document, || {
            let mut table = table(["", ""]);
            table.add_row(["address", &address.to_string()]);
            table.add_row(["SOL", &money::tokens(Amount::new(lamports), 9)]);
            if let Some((mint, amount, decimals)) = tokens {
                table.add_row([&mint.to_string(), &money::tokens(amount, decimals)]);
            }
            table.to_string()
        });
        Ok(())
    }
}
