//! `cargo dev verify`: what must hold before a push. It writes nothing but build outputs.

use crate::process::{cargo, passes, root};

/// Options of `cargo dev verify`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many seeds of the simulator to run, when it is there
    #[arg(long, default_value_t = 5)]
    seeds: u32,
}

/// Every step, until one fails.
pub(crate) fn run(args: &Args) -> bool {
    let seeds = args.seeds.to_string();
    let mut steps: Vec<Vec<&str>> = vec![
        vec!["fmt", "--check"],
        vec!["test", "--quiet", "--test", "tidy"],
        vec!["clippy", "--quiet", "--all-targets", "--all-features", "--", "-D", "warnings"],
        vec!["test", "--quiet", "--all-features"],
    ];
    if root().join("src/bin/sim.rs").exists() {
        steps.push(vec!["run", "--quiet", "--features", "sim", "--bin", "sim", "--", "--runs", &seeds]);
    }
    steps.iter().all(|step| passes(cargo(step)))
}
