//! `cargo dev verify`: what must hold before a push. It writes nothing but build outputs.

use crate::process::{cargo, passes};

/// Options of `cargo dev verify`.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Every step, until one fails.
pub(crate) fn run(_: &Args) -> bool {
    let steps: [&[&str]; 4] = [
        &["fmt", "--check"],
        &["test", "--quiet", "--test", "tidy"],
        &["clippy", "--quiet", "--all-targets", "--all-features", "--", "-D", "warnings"],
        &["test", "--quiet", "--all-features"],
    ];
    steps.iter().all(|step| passes(cargo(step)))
}
