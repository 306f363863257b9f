//! `toll fund`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::mint_to;
use toll_protocol::{Network, TOKEN_PROGRAM};

use crate::args::{self, ClusterArgs, base_units};
use crate::error::{CliError, Exit, Result};
use crate::keys;
use crate::money::{self, Quantity};
use crate::output::Output;

/// What one signature costs, in lamports.
const SIGNATURE_FEE: u64 = 5_000;

/// Flags of `toll fund`.
#[derive(Debug, Args)]
pub(crate) struct Fund {
    /// An address or a key file [default: ~/.config/toll/id.json]
    #[arg(value_parser = keys::parse_address, env = "TOLL_KEYPAIR", hide_env_values = true)]
    address: Option<Pubkey>,

    /// SOL to ask the cluster for
    #[arg(long, value_name = "AMOUNT")]
    sol: Option<Quantity>,

    /// Test tokens to mint
    #[arg(long, value_name = "AMOUNT", requires_all = ["mint", "mint_authority"])]
    tokens: Option<Quantity>,

    /// The test mint
    #[arg(long, value_name = "ADDRESS", value_parser = args::address)]
    mint: Option<Pubkey>,

    /// Key file of the test mint's authority, which also pays the fee
    #[arg(long, value_name = "FILE")]
    mint_authority: Option<PathBuf>,

    #[command(flatten)]
    cluster: ClusterArgs,
}

impl Fund {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        if self.cluster.network == Network::Mainnet {
            return Err(CliError::new(
                Exit::WrongCluster,
                "nothing is free on mainnet",
                "send SOL and tokens from a wallet or an exchange",
            ));
        }
        if self.sol.is_none() && self.tokens.is_none() {
            return Err(CliError::new(Exit::Usage, "nothing to fund", "give --sol, --tokens, or both"));
        }
        let address = match self.address {
            Some(address) => address,
            None => keys::read(&keys::default_path())?.pubkey(),
        };
        let cluster = self.cluster.cluster();
        let mut lamports = 0;
        if let Some(sol) = self.sol {
            lamports = base_units(sol, 9)?.get();
            // The cluster knows what an account must hold today; what pays for no signature is too little anywhere.
            if lamports < SIGNATURE_FEE || lamports < cluster.rent().await?.minimum(0) {
                let what = format!("{lamports} lamports are too few for an account to exist");
                return Err(CliError::new(Exit::Usage, what, "write one SOL as 1.0: an integer is lamports"));
            }
            cluster.airdrop(&address, lamports).await?;
        }
        let mut minted = None;
        if let (Some(tokens), Some(mint), Some(authority)) = (self.tokens, self.mint, &self.mint_authority) {
            let (token_program, decimals) = cluster.mint(&mint).await?;
            if token_program != TOKEN_PROGRAM {
                return Err(CliError::new(
                    Exit::Unsupported,
                    format_args!("mint {mint} is of token program {token_program}"),
                    "mint it with that program's own tools",
                ));
            }
            let amount = base_units(tokens, decimals)?;
            let landed = mint_to(&cluster, &keys::read(authority)?, &mint, &address, amount).await?;
            minted = Some((mint, amount, decimals, landed.signature));
        }
        let document = json!({
            "address": address.to_string(),
            "lamports": lamports,
            "tokens": minted.map(|(mint, amount, _, signature)| json!({
                "mint": mint.to_string(),
                "amount": amount.to_string(),
                "signature": signature.to_string(),
            })),
        });
        output.result(&document, || {
            let sol = money::tokens(toll_protocol::Amount::new(lamports), 9);
            let tokens = minted.map_or(String::new(), |(mint, amount, decimals, _)| {
                format!(" and {} of {mint}", money::tokens(amount, decimals))
            });
            format!("{address} got {sol} SOL{tokens}")
        });
        Ok(())
    }
}
