//! `toll-bench`: prints what things cost, and fails when they cost more than they may.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use toll_bench::paid_path::{self, Plan};
use toll_bench::program::{Figures, measure, table};
use toll_bench::settle;
use toll_bench::watch::{self, Failure, Report};
use toll_settler::TransactionVersion;

#[derive(Parser)]
#[command(name = "toll-bench", about = "What the product costs")]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Compute units of the channel program's instructions, whole transactions, on the committed ELF.
    Program(Program),
    /// Open channels that are watched for forced closes while vouchers are accepted on them.
    Watch(Watch),
    /// Sessions of many channels from open to reclaim, many channels in a transaction and one.
    Settle(Settle),
    /// What payment costs a request, from the bare signature check to the proxy before an upstream.
    PaidPath(PaidPath),
}

#[derive(Args)]
struct Program {
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Fails when a row is above its limit, or more than 2% above the committed figures.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Writes the committed figures anew.
    #[arg(long)]
    write: bool,
}

#[derive(Args)]
struct Watch {
    /// Open channels.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    channels: u64,
    /// Open channels of the run that it is compared with.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    baseline: u64,
    /// Prints JSON instead of sentences.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Settle {
    /// Channels that are opened, closed and reclaimed.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    channels: u64,
    /// Format of the settler's transactions.
    #[arg(long, value_enum, default_value_t = Version::V0)]
    version: Version,
    /// Prints JSON instead of sentences.
    #[arg(long)]
    json: bool,
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
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Version {
    V0,
    V1,
}

/// Most channels in a transaction of the packed run: as many as fit.
const AS_MANY_AS_FIT: usize = 64;

fn main() -> ExitCode {
    // Silent unless `RUST_LOG` asks.
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let outcome = match Arguments::parse().benchmark {
        Benchmark::Program(arguments) => program(&arguments),
        Benchmark::Watch(arguments) => watch(&arguments),
        Benchmark::Settle(arguments) => settle(&arguments),
        Benchmark::PaidPath(arguments) => paid_path(arguments),
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

/// Measures and prints, and returns what is wrong with the result.
fn program(arguments: &Program) -> Result<Vec<String>, Failure> {
    let rows = measure();
    let measured = Figures::of(&rows);
    println!("{}", if arguments.json { measured.to_json() } else { table(&rows) });
    if arguments.write {
        measured.write()?;
    }
    if !arguments.check {
        return Ok(Vec::new());
    }
    Ok(measured.compare(&Figures::committed()?).iter().map(ToString::to_string).collect())
}

/// Watches few channels, then many, and returns what is wrong with the figures.
fn watch(arguments: &Watch) -> Result<Vec<String>, Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let baseline = runtime.block_on(watch::watch(arguments.baseline))?;
    let many = runtime.block_on(watch::watch(arguments.channels))?;
    let report = Report::of(baseline, many);
    if arguments.json {
        println!("{}", report.to_json());
    } else {
        println!("{report}");
    }
    Ok(report.complaints())
}

/// Runs sessions with one channel in a transaction, then with many, and returns what is wrong with the figures.
fn settle(arguments: &Settle) -> Result<Vec<String>, Failure> {
    let version = match arguments.version {
        Version::V0 => TransactionVersion::V0,
        Version::V1 => TransactionVersion::V1,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let single = runtime.block_on(settle::settle(arguments.channels, 1, version))?;
    let packed = runtime.block_on(settle::settle(arguments.channels, AS_MANY_AS_FIT, version))?;
    let renewed = runtime.block_on(settle::renew(arguments.channels, AS_MANY_AS_FIT, version))?;
    let report = settle::Report::of(arguments.channels, version, packed, single, renewed);
    if arguments.json {
        println!("{}", report.to_json());
    } else {
        println!("{report}");
    }
    Ok(report.complaints())
}

/// Measures the paid path, and returns what is wrong with the figures.
fn paid_path(arguments: PaidPath) -> Result<Vec<String>, Failure> {
    let PaidPath { requests, rounds, mut channels, connections, idle_channels, json } = arguments;
    channels.sort_unstable();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let plan = Plan { requests, rounds, channels, connections, idle_channels, cores };
    let report = paid_path::paid_path(&plan)?;
    println!("{}", if json { report.to_json() } else { report.to_string() });
    Ok(report.complaints())
}
