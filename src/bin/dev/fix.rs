//! `cargo dev fix`: what a machine can mend.

use crate::process::{cargo, passes};
use crate::regen;

/// Options of `cargo dev fix`.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Lints first, then format what they left, then what is derived.
pub(crate) fn run(_: &Args) -> bool {
    let lints = ["clippy", "--fix", "--allow-dirty", "--allow-staged", "--all-targets", "--all-features"];
    passes(cargo(&lints)) && passes(cargo(&["fmt"])) && regen::run(&regen::Args { filter: None })
}
