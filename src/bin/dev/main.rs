//! `cargo dev`: the developer's commands, one file each.
//!
//! A command is a module with `Args` (its options) and `run` (whether all went well); it gets a line in [`Command`] and
//! one in `main`. Nothing here is part of the product: it starts processes, prints, and knows the tree.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Those bans keep the product replayable.

mod bench;
mod fix;
mod fuzz;
mod install;
mod process;
mod regen;
#[cfg(feature = "sim")]
mod sim;
mod soak;
mod test;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The developer's commands.
#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Format, lints, tidiness, tests: everything that must hold before a push. Writes nothing
    Verify(verify::Args),
    /// Formats, applies what clippy knows how to mend, regenerates what is derived
    Fix(fix::Args),
    /// Rewrites expected outputs and generated tables (UPDATE_EXPECT=1)
    Regen(regen::Args),
    /// Installs real clients, builds the release binary, runs every test there is
    Test(test::Args),
    /// A real node on simulated clock, disk and network: power loss, kills, full disks, from one seed
    #[cfg(feature = "sim")]
    Sim(sim::Args),
    /// Mixed clients while the broker is killed and restarted; a checker looks for what was lost or doubled
    Soak(soak::Args),
    /// Decoders of foreign bytes, under LLVM's fuzzer for a bounded time
    Fuzz(fuzz::Args),
    /// Throughput, latency and cost of the broker, beside Apache Kafka's
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let good = match Cli::parse().command {
        Command::Verify(args) => verify::run(&args),
        Command::Fix(args) => fix::run(&args),
        Command::Regen(args) => regen::run(&args),
        Command::Test(args) => test::run(&args),
        #[cfg(feature = "sim")]
        Command::Sim(args) => sim::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
