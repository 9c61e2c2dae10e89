//! `cargo dev soak`: the long test. compat-tests/soak.py does it; this builds and installs what it needs.

use std::process::Command;

use crate::install;
use crate::process::{build_release, passes, target};

/// Options of `cargo dev soak`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long clients produce and consume
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How often the broker is killed (kill -9) and started again in that time
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// How many nodes; of several one after the other of the faults befalls them
    #[arg(long, default_value_t = 1)]
    nodes: u32,
    /// Which faults befall several nodes: by default those of processes; all of network, disks and power too (as root); or
    /// their names
    #[arg(long)]
    faults: Option<String>,
    /// Repeats the order of faults, and what of them is left to chance
    #[arg(long)]
    seed: Option<u64>,
    /// Which server
    #[arg(long, default_value = "ottla", value_parser = ["ottla", "kafka"])]
    against: String,
}

/// -> whether nothing was lost, doubled or out of order
pub(crate) fn run(args: &Args) -> bool {
    install::all();
    if args.against == "ottla" && !build_release() {
        return false;
    }
    let mut soak = Command::new(install::python());
    soak.args([
        "compat-tests/soak.py",
        "--minutes",
        &args.minutes.to_string(),
        "--kills",
        &args.kills.to_string(),
    ]);
    soak.args(["--nodes", &args.nodes.to_string()]);
    if let Some(seed) = args.seed {
        soak.args(["--seed", &seed.to_string()]);
    }
    if let Some(faults) = &args.faults {
        soak.args(["--faults", faults]);
    }
    soak.args(["--against", &args.against]).env("OTTLA_BIN", target().join("release/ottla"));
    passes(soak)
}
