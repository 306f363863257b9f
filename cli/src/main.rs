//! The `toll` command.

use std::process::ExitCode;

/// What a request takes and gives back is small and much, and glibc's allocator was a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(toll_cli::run())
}
