//! What needs a chain, or the program alone.

use clap::{Args, ValueEnum};
use toll_bench::program::{Figures, measure, table};
use toll_bench::settle;
use toll_bench::watch::{self, Failure, Report};
use toll_settler::TransactionVersion;

#[derive(Args)]
pub(crate) struct Program {
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
pub(crate) struct Watch {
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
pub(crate) struct Settle {
    /// Channels that are opened, closed and reclaimed.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    channels: u64,
    /// Format of the settler's transactions.
    #[arg(long, value_enum, default_value_t = Version::Auto)]
    version: Version,
    /// Prints JSON instead of sentences.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Version {
    Auto,
    V0,
    V1,
}

/// Most channels in a transaction of the packed run: as many as fit.
const AS_MANY_AS_FIT: usize = 64;

impl Program {
    /// Measures and prints, and returns what is wrong with the result.
    pub(crate) fn run(&self) -> Result<Vec<String>, Failure> {
        let rows = measure();
        let measured = Figures::of(&rows);
        println!("{}", if self.json { measured.to_json() } else { table(&rows) });
        if self.write {
            measured.write()?;
        }
        if !self.check {
            return Ok(Vec::new());
        }
        Ok(measured.compare(&Figures::committed()?).iter().map(ToString::to_string).collect())
    }
}

impl Watch {
    /// Watches few channels, then many, and returns what is wrong with the figures.
    pub(crate) fn run(&self) -> Result<Vec<String>, Failure> {
        let runtime = tokio::runtime::Runtime::new()?;
        let baseline = runtime.block_on(watch::watch(self.baseline))?;
        let many = runtime.block_on(watch::watch(self.channels))?;
        let report = Report::of(baseline, many);
        if self.json {
            println!("{}", report.to_json());
        } else {
            println!("{report}");
        }
        Ok(report.complaints())
    }
}

impl Settle {
    /// Runs sessions with one channel in a transaction, then with many, and returns what is wrong with the figures.
    pub(crate) fn run(&self) -> Result<Vec<String>, Failure> {
        let version = match self.version {
            Version::Auto => TransactionVersion::Auto,
            Version::V0 => TransactionVersion::V0,
            Version::V1 => TransactionVersion::V1,
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let single = runtime.block_on(settle::settle(self.channels, 1, version))?;
        let packed = runtime.block_on(settle::settle(self.channels, AS_MANY_AS_FIT, version))?;
        let operated = runtime.block_on(settle::operated(self.channels, AS_MANY_AS_FIT, version))?;
        let renewed = runtime.block_on(settle::renew(self.channels, AS_MANY_AS_FIT, version))?;
        let report = settle::Report::of(self.channels, version, packed, single, operated, renewed);
        if self.json {
            println!("{}", report.to_json());
        } else {
            println!("{report}");
        }
        Ok(report.complaints())
    }
}
