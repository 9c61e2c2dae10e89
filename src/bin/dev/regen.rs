//! `cargo dev regen`: tests that hold an expected output or a generated table rewrite it.

use crate::process::{cargo, passes};

/// Options of `cargo dev regen`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name has this in it
    pub(crate) filter: Option<String>,
}

/// Runs the tests with `UPDATE_EXPECT=1`; the difference is for `git diff` to show.
pub(crate) fn run(args: &Args) -> bool {
    let mut tests = cargo(&["test", "--quiet", "--all-features"]);
    tests.args(&args.filter).env("UPDATE_EXPECT", "1");
    passes(tests)
}
