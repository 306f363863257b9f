//! What the `toll` command is made of: words, tables and exit codes for a paying client and an embedded chain,
//! the server that gets paid, and a demo that runs all three and counts the money afterwards.
//!
//! [`server`] and [`demo`] never write to a terminal, so that other programs can use them. [`run`] is the
//! command itself.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

mod admin;
mod args;
pub mod check;
mod command;
pub mod config;
#[cfg(feature = "localnet")]
pub mod demo;
pub mod error;
mod escape;
mod inspect;
pub mod keys;
mod kind;
mod log;
pub mod money;
mod output;
mod progress;
mod secret;
pub mod server;

pub use error::{CliError, Exit, Result};

use args::Cli;
use output::Output;

/// The command line's definition, for help texts and completions.
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Parses the command line, runs the command, reports. Returns the process's exit code.
pub fn run() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report_usage(&error, std::env::args_os().any(|word| word == "--json")),
    };
    let output = Output::new(cli.json);
    log::be_verbose(cli.verbose);
    if !cli.command.runs_a_server() {
        log::to_stderr();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&CliError::new(Exit::Internal, error, "check the system's limits"));
            return Exit::Internal.code();
        }
    };
    match runtime.block_on(cli.command.run(output)) {
        Ok(()) => 0,
        Err(error) => {
            output.error(&error);
            error.exit.code()
        }
    }
}

/// Help and version go to stdout; a wrong command line is clap's own message on stderr, and with `--json` the
/// document of an error on stdout.
fn report_usage(error: &clap::Error, json: bool) -> u8 {
    let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if json && !asked_for {
        let text = error.to_string();
        let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        Output::new(json).error(&CliError::new(Exit::Usage, what, "try --help"));
        return Exit::Usage.code();
    }
    // Fails only when nobody reads.
    let _ = error.print();
    if asked_for { 0 } else { Exit::Usage.code() }
}
