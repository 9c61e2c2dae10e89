//! `cargo dev fuzz`: every decoder that meets foreign bytes, fuzzed for a bounded time.
//!
//! The targets are those of `fuzz/`. Coverage comes from LLVM's own pass, which the stable compiler has as well, so
//! that this needs neither nightly nor another tool. What was found new stays in `target/fuzz/corpus` for the next time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use ottla::wire::batch::batches;
use ottla::wire::records::Records;

use crate::process::{cargo, passes, root, target};

/// The most memory that one target may take, in MiB.
const MEMORY_MAX: u32 = 1024;
/// The most time that one input may take, in seconds.
const INPUT_SECONDS_MAX: u32 = 10;

/// Options of `cargo dev fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these targets
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// How many targets run side by side; as many as there are processors if it is not given
    #[arg(long)]
    jobs: Option<usize>,
}

/// How a target's run went.
struct Ended {
    name: String,
    good: bool,
    /// What the fuzzer said of itself: runs and coverage.
    said: String,
    /// Where the whole output is.
    log: PathBuf,
}

/// -> whether no target found anything
pub(crate) fn run(args: &Args) -> bool {
    match fuzz(args) {
        Ok((_, failed)) => failed == 0,
        Err(why) => {
            println!("{why}");
            false
        }
    }
}

/// Every target for half a minute: together some minutes on each push. -> how many targets were clean, and how many found something
pub(crate) fn briefly() -> Result<(u64, u64), String> {
    fuzz(&Args { targets: Vec::new(), seconds: 30, jobs: None })
}

fn fuzz(args: &Args) -> Result<(u64, u64), String> {
    let all = targets()?;
    let wanted = if args.targets.is_empty() { all.clone() } else { args.targets.clone() };
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        return Err(format!("there is no target {unknown}, only {}", all.join(", ")));
    }
    let programs = build()?;
    for name in &wanted {
        plant_seeds(name).map_err(|e| format!("seeds of {name}: {e}"))?;
    }
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().map(usize::from).ok()).unwrap_or(1);
    println!("\n--- {} targets, {} s each, {jobs} at a time", wanted.len(), args.seconds);
    let begun = Instant::now();
    let queue = std::sync::Mutex::new(wanted.iter());
    let ended: Vec<Ended> = std::thread::scope(|scope| {
        let lane = || {
            let next = || queue.lock().expect("no lane panics").next();
            let mut ended = Vec::new();
            while let Some(name) = next() {
                ended.push(one(&programs.join(name), name, args.seconds));
                println!("{}", line(ended.last().expect("just pushed")));
            }
            ended
        };
        let lanes: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("no lane panics")).collect()
    });
    for bad in ended.iter().filter(|ended| !ended.good) {
        let text = fs::read_to_string(&bad.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        println!(
            "\n--- {} found something\n{}",
            bad.name,
            lines[lines.len().saturating_sub(60)..].join("\n")
        );
    }
    let failed = ended.iter().filter(|ended| !ended.good).count() as u64;
    println!("{} targets in {:.0} s, {failed} found something", ended.len(), begun.elapsed().as_secs_f64());
    Ok((ended.len() as u64 - failed, failed))
}

fn line(ended: &Ended) -> String {
    format!("{:<28} {:<6} {}", ended.name, if ended.good { "clean" } else { "FAILED" }, ended.said)
}

/// The names of the targets: those of their files.
fn targets() -> Result<Vec<String>, String> {
    let dir = root().join("fuzz/fuzz_targets");
    let files = fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.ok()?.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn work_dir() -> PathBuf {
    target().join("fuzz")
}

/// Builds all targets with coverage. -> where they are
fn build() -> Result<PathBuf, String> {
    let version = Command::new("rustc").arg("-vV").output().map_err(|e| format!("rustc: {e}"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc does not tell its host")?;
    // A target that is named keeps the flags away from build scripts and macros.
    let mut build = cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", host]);
    let coverage = ["level=4", "inline-8bit-counters", "pc-table", "trace-compares"];
    let coverage = coverage.map(|what| format!("-Cllvm-args=-sanitizer-coverage-{what}")).join(" ");
    let flags = format!("--cfg fuzzing --cfg tokio_unstable -Cpasses=sancov-module {coverage}");
    build.env("RUSTFLAGS", flags).env("CARGO_TARGET_DIR", work_dir());
    if !passes(build) {
        return Err("the fuzz targets do not build".to_owned());
    }
    Ok(work_dir().join(host).join("release"))
}

fn one(program: &Path, name: &str, seconds: u32) -> Ended {
    let log = work_dir().join(format!("{name}.log"));
    let failed = |said: String| Ended { name: name.to_owned(), good: false, said, log: log.clone() };
    let good = match start(program, name, seconds, &log).and_then(|mut child| child.wait()) {
        Ok(status) => status.success(),
        Err(e) => return failed(format!("{}: {e}", program.display())),
    };
    let text = fs::read_to_string(&log).unwrap_or_default();
    let last = |what: &str| text.lines().rev().find(|line| line.contains(what));
    let runs = last("stat::number_of_executed_units:").and_then(|line| line.split_whitespace().last());
    let covered = last(" cov: ").and_then(|line| line.split(" cov: ").nth(1)?.split_whitespace().next());
    // A target that never ran has shown nothing.
    let Some(runs) = runs else { return failed("ended before it ran".to_owned()) };
    let said = format!("{runs} runs, {} edges covered", covered.unwrap_or("unknown"));
    Ended { name: name.to_owned(), good, said, log }
}

fn start(program: &Path, name: &str, seconds: u32, log: &Path) -> std::io::Result<Child> {
    let artifacts = work_dir().join("artifacts").join(name);
    fs::create_dir_all(&artifacts)?;
    let out = File::create(log)?;
    let mut fuzzer = Command::new(program);
    fuzzer.arg(corpus(name)).arg(format!("-artifact_prefix={}/", artifacts.display()));
    fuzzer.args([format!("-max_total_time={seconds}"), format!("-rss_limit_mb={MEMORY_MAX}")]);
    fuzzer.args([format!("-timeout={INPUT_SECONDS_MAX}"), "-print_final_stats=1".to_owned()]);
    fuzzer.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()
}

fn corpus(name: &str) -> PathBuf {
    work_dir().join("corpus").join(name)
}

/// Real input to begin with, out of the fixtures that Kafka wrote, in the form that the target takes it.
fn plant_seeds(name: &str) -> std::io::Result<()> {
    let fixtures = root().join("tests/fixtures");
    let mut seeds = Vec::new();
    match name {
        "record_batch" => {
            for bytes in files(&fixtures.join("batches"), "bin")? {
                seeds.push([&[1, 0][..], &bytes].concat());
            }
        }
        "decompress" => {
            for bytes in files(&fixtures.join("batches"), "bin")? {
                for batch in batches(&bytes).flatten() {
                    let codec = (batch.header().attributes() & 7) as u8;
                    seeds.push([&[codec][..], batch.payload()].concat());
                }
            }
        }
        "metadata_record" => {
            for bytes in files(&fixtures.join("metadata-log"), "log")? {
                records(&bytes, |_key, value| seeds.extend(value.map(<[u8]>::to_vec)));
            }
        }
        "group_record" => {
            for bytes in files(&fixtures.join("consumer-offsets"), "log")? {
                records(&bytes, |key, value| {
                    let key = key.unwrap_or_default();
                    let lead = [key.len() as u8, u8::from(value.is_some())];
                    seeds.push([&lead[..], key, value.unwrap_or_default()].concat());
                });
            }
        }
        "producer_snapshot" => {
            // Version, checksum and count lead a snapshot; the target makes them itself.
            const HEADER_BYTES: usize = 10;
            for bytes in files(&fixtures.join("kafka-data/clean/fixture-0"), "snapshot")? {
                seeds.push(bytes[HEADER_BYTES..].to_vec());
            }
        }
        // The others find their way from nothing.
        _ => {}
    }
    fs::create_dir_all(corpus(name))?;
    for (n, seed) in seeds.iter().enumerate() {
        fs::write(corpus(name).join(format!("fixture-{n}")), seed)?;
    }
    Ok(())
}

fn files(dir: &Path, extension: &str) -> std::io::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|of| of == extension) {
            found.push(fs::read(path)?);
        }
    }
    Ok(found)
}

fn records(log: &[u8], mut each: impl FnMut(Option<&[u8]>, Option<&[u8]>)) {
    for batch in batches(log).flatten() {
        for record in Records::new(batch.payload(), batch.header().records_count()).flatten() {
            each(record.key, record.value);
        }
    }
}
