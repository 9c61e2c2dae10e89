//! The benchmark counts honestly: what it says was acknowledged is what the broker stored and what is read
//! back.
//!
//! The command checks that itself in every run (offsets, end offsets, records read) and fails where it does
//! not hold; this runs it for a moment, against the broker as it was built for tests.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // Tests are outside of `Env`.

use std::process::Command;

#[test]
fn a_short_run_of_the_benchmark_passes_its_own_checks() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    let done = Command::new(env!("CARGO_BIN_EXE_dev"))
        .args(["bench", "produce-max", "produce-small", "fetch", "--quick", "--here"])
        .args(["--warmup", "0.1", "--seconds", "0.4", "--gigabytes", "0.01", "--port", "28592", "--dir"])
        .arg(&dir)
        .env("OTTLA_BIN", env!("CARGO_BIN_EXE_ottla"))
        .env_remove("BENCH_LOCK")
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let checked: Vec<f64> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("checked_records"))
        .filter_map(|count| count.trim().replace(',', "").parse().ok())
        .collect();
    assert_eq!(checked.len(), 3, "{said}");
    assert!(checked.iter().all(|count| *count > 0.0), "{said}");
    let left: Vec<_> = std::fs::read_dir(&dir).map(|d| d.flatten().collect()).unwrap_or_default();
    assert!(left.is_empty(), "brokers leave nothing behind: {left:?}");
}
