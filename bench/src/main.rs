//! `toll-bench`: prints what things cost, and fails when they cost more than they may.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use toll_bench::paid_path::{self, Failure, Plan};

#[cfg(feature = "chain")]
mod on_chain;

/// As in `toll`: what a request takes and gives back is small and much, and glibc's allocator was a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "toll-bench", about = "What the product costs")]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Compute units of the channel program's instructions, whole transactions, on the committed ELF.
    #[cfg(feature = "chain")]
    Program(on_chain::Program),
    /// Open channels that are watched for forced closes while vouchers are accepted on them.
    #[cfg(feature = "chain")]
    Watch(on_chain::Watch),
    /// Sessions of many channels from open to reclaim, many channels in a transaction and one.
    #[cfg(feature = "chain")]
    Settle(on_chain::Settle),
    /// What payment costs a request, from the bare signature check to the proxy before an upstream.
    PaidPath(PaidPath),
}

#[derive(Args)]
struct PaidPath {
    /// Requests of a round.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Rounds behind each figure.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Channels in the ledger, the fewest first.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    channels: Vec<u64>,
    /// Connections of the load generator.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    connections: Vec<usize>,
    /// Channels that pay once, for the memory they take.
    #[arg(long, default_value_t = 50_000)]
    idle_channels: u64,
    /// Also pays with a ledger on a PostgreSQL server, started for this and synced; it must be installed.
    #[arg(long)]
    postgres: bool,
    /// Another server that is driven the same way.
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// The interpreter that has what bench/peer/server.py asks for.
    #[arg(long, value_name = "PATH", default_value = "python3", requires = "peer")]
    python: PathBuf,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    /// The server of solana-pay-kit 0.10.0 (PyPI).
    Python,
}

fn main() -> ExitCode {
    // Silent unless `RUST_LOG` asks.
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let outcome = match Arguments::parse().benchmark {
        #[cfg(feature = "chain")]
        Benchmark::Program(arguments) => arguments.run(),
        #[cfg(feature = "chain")]
        Benchmark::Watch(arguments) => arguments.run(),
        #[cfg(feature = "chain")]
        Benchmark::Settle(arguments) => arguments.run(),
        Benchmark::PaidPath(arguments) => arguments.run(),
    };
    match outcome {
        Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
        Ok(complaints) => {
            for complaint in complaints {
                eprintln!("toll-bench: {complaint}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("toll-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl PaidPath {
    /// Measures the paid path, and returns what is wrong with the figures.
    fn run(self) -> Result<Vec<String>, Failure> {
        let Self { requests, rounds, mut channels, connections, idle_channels, postgres, peer, python, json } =
            self;
        channels.sort_unstable();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let python = peer.map(|Peer::Python| python);
        let plan = Plan { requests, rounds, channels, connections, idle_channels, postgres, python, cores };
        let report = paid_path::paid_path(&plan)?;
        println!("{}", if json { report.to_json() } else { report.to_string() });
        Ok(report.complaints())
    }
}
