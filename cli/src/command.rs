//! The subcommands.

use clap::Subcommand;

use crate::error::Result;
use crate::output::Output;

mod archive;
mod balance;
mod channels;
mod close;
#[cfg(feature = "localnet")]
mod demo;
mod fund;
mod inspect;
mod keygen;
mod ledger;
#[cfg(feature = "localnet")]
mod localnet;
mod pay;
mod request_close;
mod serve;
mod settle;
mod show;
mod top_up;
mod withdraw;

pub(crate) use self::show::on_chain;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything once, on a chain in this process, and check every figure
    #[cfg(feature = "localnet")]
    Demo(demo::Demo),
    /// Run a chain in this process, with the program, a test mint and funded keys
    #[cfg(feature = "localnet")]
    Localnet(localnet::Localnet),
    /// Make a key file
    Keygen(keygen::Keygen),
    /// Show SOL and tokens of an address
    Balance(balance::Balance),
    /// Get SOL and test tokens on a test cluster
    Fund(fund::Fund),
    /// Guard a service: gateway and settler in one process
    ///
    /// Stops in order at ctrl-c: running requests end, and so do channels where
    /// settler.close_on_shutdown says so. With --json, prints one
    /// document when it is ready and one when it has stopped.
    Serve(serve::Serve),
    /// Run the settler alone
    Settler(settle::Daemon),
    /// Settle and close what is due, then end (for cron)
    Settle(settle::Settle),
    /// List channels of the ledger that are over, or show one's history
    Archive(archive::Archive),
    /// What the ledger says of money: for accountants, and held against the chain
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Request a URL and pay for it
    Pay(pay::Pay),
    /// List the channels in the state file, or with --recover those on chain
    Channels(channels::Channels),
    /// Show one channel, on chain and in the state file
    Show(show::Show),
    /// Say what a challenge, credential, receipt, voucher, transaction or channel account says
    Inspect(inspect::Inspect),
    /// Raise a channel's deposit, through its server
    TopUp(top_up::TopUp),
    /// Close a channel together with its server: settle, pay out, refund
    Close(close::Close),
    /// Begin to leave a channel without its server: start the grace period
    RequestClose(request_close::RequestClose),
    /// Take the refund of a channel whose grace period is over
    Withdraw(withdraw::Withdraw),
}

impl Command {
    /// Whether it reads a server's configuration, which says where to tell what happens.
    pub(crate) const fn runs_a_server(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Settler(_) | Self::Settle(_))
    }

    /// Runs it.
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        match self {
            #[cfg(feature = "localnet")]
            Self::Demo(command) => command.run(output).await,
            #[cfg(feature = "localnet")]
            Self::Localnet(command) => command.run(output).await,
            Self::Keygen(command) => command.run(output),
            Self::Balance(command) => command.run(output).await,
            Self::Fund(command) => command.run(output).await,
            Self::Serve(command) => command.run(output).await,
            Self::Settler(command) => command.run(output).await,
            Self::Settle(command) => command.run(output).await,
            Self::Archive(command) => command.run(output).await,
            Self::Ledger(command) => command.run(output).await,
            Self::Pay(command) => command.run(output).await,
            Self::Channels(command) => command.run(output).await,
            Self::Show(command) => command.run(output).await,
            Self::Inspect(command) => command.run(output),
            Self::TopUp(command) => command.run(output).await,
            Self::Close(command) => command.run(output).await,
            Self::RequestClose(command) => command.run(output).await,
            Self::Withdraw(command) => command.run(output).await,
        }
    }
}
