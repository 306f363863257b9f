//! The `toll` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(toll_cli::run())
}
