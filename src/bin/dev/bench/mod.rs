//! `cargo dev bench`: what ottla does in a second, and what that costs, beside Apache Kafka on the same work.
//!
//! Brokers run one at a time, in turns, each in an empty directory; the load generator is this process, built
//! for release. Numbers of a machine mean little alone: what counts is the ratio out of one run of both.
//! docs/benchmarks.md says what each scenario does and what the columns mean.

mod broker;
mod client;
mod frames;
mod load;
mod measure;
mod parts;
mod report;
mod scenario;

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value, json};

use crate::install;
use crate::process::{build_release, passes, quietly, target};
use broker::{Kind, Site};
use report::Runs;
use scenario::{ALL, Cx, Metrics, Scenario};

/// Seconds until a JVM has compiled what it runs; less flatters whoever has no need of it.
const WARMUP_S: f64 = 30.0;
const QUICK_WARMUP_S: f64 = 2.0;
/// Below the ports that the system gives to clients, so that a broker finds its own again when it is
/// restarted.
const PORT: u16 = 28_092;

/// Options of `cargo dev bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Scenarios, `all` of them, or `parts` for instruction counts; none prints a list
    scenarios: Vec<String>,
    /// Runs Apache Kafka on the same work, in turns, and prints ratios
    #[arg(long, value_parser = ["kafka"])]
    against: Option<String>,
    /// Runs of each broker
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Seconds of load before the clock starts (30, quick: 2)
    #[arg(long)]
    warmup: Option<f64>,
    /// Seconds of the measured window, where a scenario has one
    #[arg(long)]
    seconds: Option<f64>,
    /// Gigabytes of data, where a scenario goes by size
    #[arg(long)]
    gigabytes: Option<f64>,
    /// Little of everything: shows that it works, says nothing about speed
    #[arg(long)]
    quick: bool,
    /// A property for both brokers, or for one: `ottla:acks.all.durability=replicated`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where data goes; on tmpfs produce measures processors instead of the disk
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The first port of loopback to use
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// Writes medians and all runs as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// parts: fails when a count is above the committed one
    #[arg(long)]
    check: bool,
    /// parts: writes the counts to benches/instructions.tsv
    #[arg(long)]
    update: bool,
    /// Loads from this build, whatever it is; for the test of this command
    #[arg(long, hide = true)]
    here: bool,
    /// parts: only does the work of one, so often. What is counted is this process
    #[arg(long, hide = true, value_name = "TIMES")]
    work: Option<u64>,
}

/// Runs what was asked for. -> whether all of it ran and every check of what was acknowledged and read held
pub(crate) fn run(args: &Args) -> bool {
    if args.scenarios.is_empty() {
        list();
        return true;
    }
    if cfg!(debug_assertions) && !args.here {
        return again_for_release();
    }
    if let Some(times) = args.work {
        return args.scenarios.get(1).is_some_and(|part| parts::work(part, times));
    }
    let done =
        if args.scenarios == ["parts"] { parts::run(args.check, args.update) } else { scenarios(args) };
    done.unwrap_or_else(|error| {
        println!("{error}");
        false
    })
}

/// Compares the instruction counts of hot parts with the committed ones, built for release. -> whether none grew;
/// `None`, and a line that says why, where they cannot be counted
pub(crate) fn check_parts() -> Option<bool> {
    if let Some(why) = parts::cannot_compare() {
        println!("\n--- instruction counts: not compared: {why}");
        return None;
    }
    let mut check = Command::new(target().join("release/dev"));
    check.args(["bench", "parts", "--check"]);
    Some(build_release() && passes(check))
}

fn list() {
    println!("cargo dev bench SCENARIO… [--against kafka] [--runs N]\n");
    for scenario in ALL {
        println!("{:16} {}", scenario.name, scenario.about);
    }
    println!("{:16} instructions that hot parts take, under callgrind", "parts");
}

/// A load generator must not be the bottleneck: builds this program and the broker for release, and hands
/// over to it.
fn again_for_release() -> bool {
    let mut again = Command::new(target().join("release/dev"));
    again.args(std::env::args_os().skip(1));
    build_release() && passes(again)
}

fn chosen(names: &[String]) -> io::Result<Vec<&'static Scenario>> {
    if names == ["all"] {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| {
        let found = ALL.iter().find(|scenario| scenario.name == name);
        found.ok_or_else(|| io::Error::other(format!("there is no scenario {name}")))
    };
    names.iter().map(find).collect()
}

fn property(text: &str) -> io::Result<(Option<Kind>, String, String)> {
    let (whose, rest) = match text.split_once(':') {
        Some(("kafka", rest)) => (Some(Kind::Kafka), rest),
        Some(("ottla", rest)) => (Some(Kind::Ottla), rest),
        _ => (None, text),
    };
    let (key, value) =
        rest.split_once('=').ok_or_else(|| io::Error::other(format!("--set {text}: no KEY=VALUE")))?;
    Ok((whose, key.to_owned(), value.to_owned()))
}

/// What a reader of the numbers must know.
fn about(args: &Args, warmup: Duration, kinds: &[Kind]) -> Value {
    let says = |program: PathBuf, argument: &str| {
        let mut command = Command::new(program);
        command.arg(argument);
        quietly(command).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
    };
    let mut about = json!({
        "at_unix_s": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "runs": args.runs,
        "warmup_s": warmup.as_secs_f64(),
        "quick": args.quick,
        "set": args.set,
        "ottla": says(broker::ottla_binary(), "--version"),
    });
    if kinds.contains(&Kind::Kafka) {
        about["java"] = json!(says(broker::java(), "--version"));
    }
    about
}

fn scenarios(args: &Args) -> io::Result<bool> {
    let chosen = chosen(&args.scenarios)?;
    let kinds = if args.against.is_some() { vec![Kind::Kafka, Kind::Ottla] } else { vec![Kind::Ottla] };
    let class_path = match kinds.contains(&Kind::Kafka) {
        true => install::kafka_class_path().map_err(io::Error::other)?,
        false => String::new(),
    };
    let site = Site {
        dir: args.dir.clone().unwrap_or_else(|| target().join("bench")),
        port: args.port,
        set: args.set.iter().map(|text| property(text)).collect::<io::Result<_>>()?,
        class_path,
    };
    load::connect::raise_file_limit();
    let usual = if args.quick { QUICK_WARMUP_S } else { WARMUP_S };
    let warmup = Duration::from_secs_f64(args.warmup.unwrap_or(usual));
    let about = about(args, warmup, &kinds);
    println!("{about}");
    let (mut good, mut results) = (true, Map::new());
    for scenario in chosen {
        let mut all: Vec<Runs> = kinds.iter().map(|kind| Runs { kind: *kind, runs: Vec::new() }).collect();
        for turn in 1..=args.runs {
            for of in &mut all {
                let cx = Cx {
                    kind: of.kind,
                    site: &site,
                    warmup,
                    window: args.seconds.map(Duration::from_secs_f64),
                    gigabytes: args.gigabytes,
                    quick: args.quick,
                };
                let line = match once(scenario, &cx) {
                    Ok(metrics) => {
                        let line = report::run_line(scenario, &metrics);
                        of.runs.push(metrics);
                        line
                    }
                    Err(error) => {
                        good = false;
                        format!("FAILED: {error}")
                    }
                };
                println!("{} {} {turn}: {line}", scenario.name, of.kind.name());
            }
        }
        print!("{}", report::table(scenario, &all));
        results.insert(scenario.name.to_owned(), report::json(scenario, &all));
        if let Some(path) = &args.json {
            report::write(path, &about, &results)?;
        }
    }
    if args.quick {
        println!("quick: these numbers say that it works, not how fast it is");
    }
    Ok(good)
}

/// One run, alone on the machine as far as others keep to the same lock.
fn once(scenario: &Scenario, cx: &Cx<'_>) -> io::Result<Metrics> {
    let lock = std::env::var_os("BENCH_LOCK").map(|path| {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        io::Result::Ok(file)
    });
    let _locked = lock.transpose()?;
    (scenario.run)(cx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_for_one_or_both() {
        let read = |text| property(text).unwrap();
        assert_eq!(read("a.b=c=d"), (None, "a.b".to_owned(), "c=d".to_owned()));
        assert_eq!(read("ottla:a=b"), (Some(Kind::Ottla), "a".to_owned(), "b".to_owned()));
        assert_eq!(read("kafka:a="), (Some(Kind::Kafka), "a".to_owned(), String::new()));
        assert_eq!(read("a=b:c"), (None, "a".to_owned(), "b:c".to_owned()));
        assert!(property("a").is_err());
    }

    #[test]
    fn metrics_that_count_are_named_once() {
        for scenario in ALL {
            let names: Vec<_> = scenario.more.iter().chain(scenario.less).collect();
            for name in &names {
                assert_eq!(
                    names.iter().filter(|other| other == &name).count(),
                    1,
                    "{}: {name}",
                    scenario.name
                );
            }
        }
    }
}
