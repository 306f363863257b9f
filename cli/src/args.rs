//! Flags that several commands share.

use std::path::PathBuf;

use clap::{Args, Parser};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use toll_protocol::{ChannelId, Network, ProgramProfile};

use crate::command::Command;
use crate::error::{CliError, Exit, Result};
use crate::keys;
use crate::money::Quantity;
use toll_chain::Cluster;

/// Pay for HTTP requests, or get paid for them, through payment channels on Solana.
#[derive(Debug, Parser)]
#[command(name = "toll", version, after_help = exit_codes(), max_term_width = 100)]
pub(crate) struct Cli {
    /// Print one JSON document to stdout instead of text; logs stay on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Log more to stderr; twice for everything (RUST_LOG overrides)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The exit codes, as the help text lists them.
pub(crate) fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n   0  success\n");
    for exit in Exit::ALL {
        text.push_str(&format!("  {:>2}  {}\n", exit.code(), exit.meaning()));
    }
    text.push_str("\nAmounts: an integer is base units (25000), a number with a point is tokens (0.025).");
    text
}

/// Which cluster, and how to reach it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterArgs {
    /// The cluster: mainnet, devnet or localnet
    #[arg(long, env = "TOLL_NETWORK", hide_env_values = true, default_value = "localnet")]
    pub(crate) network: Network,

    /// RPC endpoint [default: the network's own; for localnet http://127.0.0.1:8899]
    #[arg(long, env = "TOLL_RPC", hide_env_values = true, value_name = "URL")]
    pub(crate) rpc: Option<String>,
}

impl ClusterArgs {
    /// The endpoint given, or the network's.
    pub(crate) fn url(&self) -> &str {
        self.rpc.as_deref().unwrap_or(match self.network {
            Network::Mainnet => "https://api.mainnet-beta.solana.com",
            Network::Devnet => "https://api.devnet.solana.com",
            Network::Localnet => "http://127.0.0.1:8899",
        })
    }

    /// A client of the cluster.
    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::new(self.url())
    }
}

/// Where channels are remembered when no flag and no environment variable says otherwise.
pub(crate) fn default_state() -> PathBuf {
    std::env::var_os("XDG_STATE_HOME")
        .map_or_else(|| keys::home().join(".local/state"), PathBuf::from)
        .join("toll/channels.json")
}

/// Who pays, and which program the payer trusts.
#[derive(Clone, Debug, Args)]
pub(crate) struct PayerArgs {
    /// The payer's key file [default: ~/.config/toll/id.json]
    #[arg(long, env = "TOLL_KEYPAIR", hide_env_values = true, value_name = "FILE")]
    pub(crate) keypair: Option<PathBuf>,

    /// Where channels are remembered [default: ~/.local/state/toll/channels.json]
    #[arg(long, env = "TOLL_STATE", hide_env_values = true, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,

    /// Trust this channel program instead of the canonical one; repeat for several
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) program: Vec<Pubkey>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) cluster: ClusterArgs,
}

impl PayerArgs {
    /// The payer's key.
    pub(crate) fn key(&self) -> Result<Keypair> {
        keys::read(&self.keypair.clone().unwrap_or_else(keys::default_path))
    }

    /// The state file.
    pub(crate) fn state_path(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(default_state)
    }

    /// The programs trusted on the chosen network: those named, or the one that is known there. On localnet the
    /// committed build is trusted besides.
    pub(crate) fn programs(&self) -> Vec<Pubkey> {
        let known = ProgramProfile::default_on(self.cluster.network).id;
        let mut programs = self.program.clone();
        if programs.is_empty() || (self.cluster.network == Network::Localnet && !programs.contains(&known)) {
            programs.push(known);
        }
        programs
    }
}

/// What the payer agrees to.
#[derive(Clone, Debug, Args)]
pub(crate) struct LimitArgs {
    /// Refuse a price above this, per request
    #[arg(long, value_name = "AMOUNT", default_value = "1.0")]
    pub(crate) max_amount: Quantity,

    /// Deposit this when opening a channel, and when topping it up [default: what the server suggests]
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) deposit: Option<Quantity>,

    /// Never hold more than this in one channel at a time
    #[arg(long, value_name = "AMOUNT", default_value = "10.0")]
    pub(crate) max_deposit: Quantity,

    /// Leave the deposit in escrow between sessions where the server offers it, so that coming back needs no transaction;
    /// `toll request-close` gets it back at any time
    #[arg(long)]
    pub(crate) keep_deposit: bool,

    /// Refuse a grace period longer than this, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    pub(crate) max_grace: u32,

    /// Pay with this mint only [default: USDC of the network; on localnet any]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) mint: Option<Pubkey>,

    /// Decimals of the mint, for amounts with a point; other mints are refused
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub(crate) decimals: u8,

    /// Ask no RPC: neither for the balance before signing a deposit, nor whether a channel that the server calls closed
    /// redeemed the request's voucher, which then counts as redeemed
    #[arg(long)]
    pub(crate) no_balance_check: bool,

    /// Pay fees and rent in SOL where the server sponsors neither
    #[arg(long)]
    pub(crate) pay_fees: bool,

    /// Let a server with this operator key sign the vouchers itself: it is trusted with the whole deposit. Repeatable
    #[arg(long = "operator", value_name = "ADDRESS", value_parser = address)]
    pub(crate) operators: Vec<Pubkey>,

    /// Sign vouchers of new channels with the payer's own key, not with one derived for the channel
    #[arg(long)]
    pub(crate) sign_with_payer_key: bool,

    /// Pay over plain HTTP, which everybody on the way can read, beyond this machine as well
    #[arg(long)]
    pub(crate) allow_http: bool,

    /// Give up on an answer that takes longer than this, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) timeout: u64,

    /// Refuse an answer above this many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    pub(crate) max_body: usize,
}

/// USDC, which Circle issues on both public networks.
const USDC_MAINNET: Pubkey = Pubkey::from_str_const("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v");
const USDC_DEVNET: Pubkey = Pubkey::from_str_const("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU");

impl LimitArgs {
    /// The mint to pay with: a server that may choose would choose the dearest the payer has.
    pub(crate) fn mint(&self, network: Network) -> Option<Pubkey> {
        self.mint.or(match network {
            Network::Mainnet => Some(USDC_MAINNET),
            Network::Devnet => Some(USDC_DEVNET),
            Network::Localnet => None,
        })
    }
}

/// A key that pays network fees when the payer has no SOL.
#[derive(Clone, Debug, Args)]
pub(crate) struct FeePayerArgs {
    /// Key file that pays the network fee, for a payer without SOL [default: the payer]
    #[arg(long, value_name = "FILE")]
    pub(crate) fee_payer: Option<PathBuf>,
}

impl FeePayerArgs {
    /// The fee payer's key, or the payer's.
    pub(crate) fn key(&self, payer: &Keypair) -> Result<Keypair> {
        self.fee_payer.as_deref().map_or_else(|| Ok(payer.insecure_clone()), keys::read)
    }
}

/// Reads an address, and says what is wrong with what is none.
pub(crate) fn address(text: &str) -> Result<Pubkey, String> {
    text.parse().map_err(|_| format!("`{text}` is no address of 32 bytes in base58"))
}

/// Reads a channel's address.
pub(crate) fn channel(text: &str) -> Result<ChannelId, String> {
    address(text).map(ChannelId::from)
}

/// An amount that the mint can hold, or a usage error.
pub(crate) fn base_units(quantity: Quantity, decimals: u8) -> Result<toll_protocol::Amount> {
    quantity.base_units(decimals).map_err(|error| {
        CliError::new(Exit::Usage, error, "give base units, or fewer places after the point")
    })
}
