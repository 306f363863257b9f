//! `toll-bench`: prints what the channel program costs, and fails when it costs more than it did.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use toll_bench::program::{Figures, measure, table};

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

fn main() -> ExitCode {
    let Benchmark::Program(arguments) = Arguments::parse().benchmark;
    match program(&arguments) {
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
fn program(arguments: &Program) -> Result<Vec<String>, Box<dyn std::error::Error>> {
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
