//! `cargo dev test`: the README's second command. Builds, installs what real clients need, runs every test,
//! and every fuzz target for half a minute.
//!
//! The last line is the sum, alone: `N passed, N failed, N skipped`. In CI (`CI=true`) a compatibility test that was
//! skipped fails the run: there, everything can be installed.

use std::time::Instant;

use crate::bench;
use crate::fuzz;
use crate::install::{self, Missing};
use crate::process::{build_release, cargo, passes_reading, target};

/// Options of `cargo dev test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the Rust tests
    #[arg(long)]
    rust_only: bool,
    /// Only the compatibility tests
    #[arg(long)]
    compat_only: bool,
    /// Which server the compatibility tests run against; Apache Kafka judges the tests themselves
    #[arg(long, default_value = "ottla", value_parser = ["ottla", "kafka"])]
    against: String,
    /// Handed to pytest, as `-- -k kcat`
    #[arg(last = true)]
    pytest: Vec<String>,
}

/// How many tests went how.
#[derive(Default, Debug, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Count {
    /// Adds one `test result: ok. 5 passed; 1 failed; 2 ignored; …` of Rust's test harness.
    fn read_rust(&mut self, line: &str) {
        if let Some(result) = line.trim().strip_prefix("test result: ") {
            self.add(result.split_once(". ").map_or(result, |(_, counts)| counts), ';');
        }
    }

    /// Adds pytest's last line: `1 failed, 5 passed, 2 skipped in 3.21s`, perhaps between `=` signs.
    fn read_pytest(&mut self, line: &str) {
        let line = line.trim_matches(|c| c == '=' || c == ' ');
        let Some((counts, time)) = line.rsplit_once(" in ") else { return };
        if time.starts_with(|c: char| c.is_ascii_digit()) {
            self.add(counts, ',');
        }
    }

    fn add(&mut self, counts: &str, separator: char) {
        for part in counts.split(separator) {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" | "xpassed" => self.passed += number,
                "failed" | "error" | "errors" => self.failed += number,
                "skipped" | "ignored" | "xfailed" => self.skipped += number,
                _ => {}
            }
        }
    }
}

/// Everything. -> whether all is well
pub(crate) fn run(args: &Args) -> bool {
    let began = Instant::now();
    let ci = std::env::var("CI").is_ok_and(|v| v == "true" || v == "1");
    let (mut rust, mut fuzzed, mut compat) = (Count::default(), Count::default(), Count::default());
    let mut missing = Vec::new();
    let mut good = true;
    if !args.rust_only {
        println!("--- installing what real clients need, under {}", install::compat().display());
        missing = install::all();
        if args.against == "ottla" && !build_release() {
            compat.failed += 1;
            good = false;
        }
    }
    if !args.compat_only {
        let mut tests = cargo(&["test", "--all-features", "--no-fail-fast"]);
        if let Some(classpath) = install::java_messages() {
            tests.env("OTTLA_JAVA_MESSAGES_CP", classpath);
        }
        let ended_well = passes_reading(tests, |line| rust.read_rust(line));
        if !ended_well && rust.failed == 0 {
            rust.failed += 1; // It did not build, or a test brought its process down.
        }
    }
    if !args.rust_only && !args.compat_only {
        // One test more. Where there is no valgrind it is not counted as skipped: nobody needs it to judge a clone.
        match bench::check_parts() {
            Some(true) => rust.passed += 1,
            Some(false) => rust.failed += 1,
            None => {}
        }
        match fuzz::briefly() {
            Ok((clean, failed)) => fuzzed = Count { passed: clean, failed, skipped: 0 },
            Err(why) => {
                println!("{why}");
                fuzzed.failed += 1;
            }
        }
    }
    if !args.rust_only && good {
        if install::python().exists() {
            let mut pytest = std::process::Command::new(install::python());
            pytest.args(["-m", "pytest", "compat-tests", "--against", &args.against]).args(&args.pytest);
            pytest.env("OTTLA_BIN", target().join("release/ottla")).env("PYTHONUNBUFFERED", "1");
            let ended_well = passes_reading(pytest, |line| compat.read_pytest(line));
            if !ended_well && compat.failed == 0 {
                compat.failed += 1;
            }
        } else {
            compat.skipped += 1;
        }
    }
    println!("\n--- all of it, in {} s", began.elapsed().as_secs());
    for (what, count) in [("Rust tests", &rust), ("fuzz targets", &fuzzed), ("compatibility tests", &compat)]
    {
        println!("{what}: {} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    }
    for Missing { what, why } in &missing {
        println!("not installed, and what needs it skipped: {what}: {why}");
    }
    if ci && args.against == "ottla" && (compat.skipped > 0 || !missing.is_empty()) {
        println!("in CI nothing may be skipped: {} compatibility test(s) were", compat.skipped);
        good = false;
    }
    let sum = |of: fn(&Count) -> u64| of(&rust) + of(&fuzzed) + of(&compat);
    let failed = sum(|count| count.failed);
    println!("{} passed, {failed} failed, {} skipped", sum(|count| count.passed), sum(|count| count.skipped));
    good && failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read() {
        let mut count = Count::default();
        count.read_rust("test result: FAILED. 5 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.1s");
        count.read_rust("running 5 tests");
        assert_eq!(count, Count { passed: 5, failed: 1, skipped: 2 });
        let mut count = Count::default();
        count.read_pytest(
            "===== 2 failed, 47 passed, 7 skipped, 68 deselected, 1 error in 101.14s (0:01:41) =====",
        );
        count.read_pytest("5 passed words in a log line");
        assert_eq!(count, Count { passed: 47, failed: 3, skipped: 7 });
        count.read_pytest("1 passed in 0.01s");
        assert_eq!(count.passed, 48);
    }
}
