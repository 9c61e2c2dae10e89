//! `cargo dev sim`: runs of the simulator, one seed after another.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla::sim::cluster_options::ClusterOptions;
use ottla::sim::options::Options;
use ottla::sim::runner::Outcome;
use ottla::sim::sabotage::Sabotage;
use ottla::sim::{cluster, runner};
use ottla::types::Bug;

/// How many lines of the trace of a failed run are shown.
const TRACE_LINES: usize = 60;
/// How many lines before and after the first difference of two traces are shown.
const LINES_AROUND: usize = 12;

/// Options of `cargo dev sim`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The first seed, or the only one; by default it is drawn from the time of day
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds; one if --seed is given
    #[arg(long)]
    runs: Option<u64>,
    /// How long to go on
    #[arg(long, conflicts_with = "runs")]
    minutes: Option<f64>,
    /// Breaks the node on purpose, to see whether it is found
    #[arg(long, value_parser = sabotage)]
    sabotage: Option<Sabotage>,
    /// Runs clusters of several nodes
    #[arg(long, conflicts_with = "sabotage")]
    cluster: bool,
    /// Plants a bug in every node of the cluster, to see whether it is found
    #[arg(long, value_parser = bug, requires = "cluster")]
    bug: Option<Bug>,
    /// Shows all that happened in each run
    #[arg(long)]
    trace: bool,
    /// Shows what the node logs, on stderr
    #[arg(long)]
    log: bool,
    /// Goes on after a failure
    #[arg(long)]
    keep_going: bool,
    /// Runs each seed four times, twice one after the other and then twice at once, to see whether all traces are the same
    #[arg(long)]
    same: bool,
}

fn sabotage(name: &str) -> Result<Sabotage, String> {
    let kinds = Sabotage::ALL.map(|kind| format!("{kind:?}"));
    let at = kinds.iter().position(|kind| kind == name);
    at.map(|at| Sabotage::ALL[at]).ok_or_else(|| format!("one of {}", kinds.join(", ")))
}

fn bug(name: &str) -> Result<Bug, String> {
    let kinds = Bug::ALL.map(|kind| format!("{kind:?}"));
    let at = kinds.iter().position(|kind| kind == name);
    at.map(|at| Bug::ALL[at]).ok_or_else(|| format!("one of {}", kinds.join(", ")))
}

/// Runs the same again, on this thread and on two others at once. -> where a trace differs first, in words
fn difference(first: &Outcome, once: impl Fn() -> Outcome + Sync) -> Option<String> {
    let mut others = vec![once()];
    std::thread::scope(|scope| {
        let running = [scope.spawn(&once), scope.spawn(&once)];
        others.extend(running.into_iter().filter_map(|run| run.join().ok()));
    });
    if others.len() < 3 {
        return Some("a run panics".to_owned());
    }
    others.iter().zip(["second", "third", "fourth"]).find_map(|(other, which)| {
        let at = first.first_difference(other)?;
        let around = |outcome: &Outcome| {
            let from = at.saturating_sub(LINES_AROUND);
            let lines = outcome.trace.iter().skip(from).take(2 * LINES_AROUND);
            lines.map(|line| format!("  {line}\n")).collect::<String>()
        };
        let (one, another) = (around(first), around(other));
        Some(format!("line {at} differs; the first run had\n{one}and the {which}\n{another}"))
    })
}

/// -> whether every run went well
pub(crate) fn run(args: &Args) -> bool {
    if args.log {
        let subscriber = tracing_subscriber::fmt().with_writer(std::io::stderr).without_time();
        subscriber.with_max_level(tracing::Level::INFO).init();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = args.seed.unwrap_or(now.as_secs() * 1000);
    let default_runs = if args.seed.is_some() && args.minutes.is_none() { 1 } else { u64::MAX };
    let runs =
        args.runs.unwrap_or(if args.minutes.is_none() && args.seed.is_none() { 100 } else { default_runs });
    let minutes = args.minutes.map(|minutes| Duration::from_secs_f64(minutes.max(0.0) * 60.0));
    let (begun, mut failed, mut done) = (Instant::now(), 0u64, 0u64);
    let (mut acked, mut read, mut starts) = (0u64, 0u64, 0u64);
    while done < runs && minutes.is_none_or(|minutes| begun.elapsed() < minutes) {
        let seed = first.wrapping_add(done);
        let mut options = Options::from_seed(seed);
        if let Some(sabotage) = args.sabotage {
            options = options.with_sabotage(sabotage);
        }
        let of_cluster =
            args.cluster.then(|| ClusterOptions { bug: args.bug, ..ClusterOptions::from_seed(seed) });
        let shown = of_cluster.as_ref().map_or_else(|| format!("{options:#?}"), |all| format!("{all:#?}"));
        if runs == 1 {
            println!("{shown}");
        }
        let once = || match &of_cluster {
            Some(options) => cluster::run(options),
            None => runner::run(&options),
        };
        let mut outcome = once();
        if args.same
            && let Some(differs) = difference(&outcome, once)
        {
            println!("{differs}");
            outcome.violation.get_or_insert("the same seed does not give the same run".to_owned());
        }
        done += 1;
        acked += outcome.counts.acked.values().sum::<u64>();
        read += outcome.counts.read.values().sum::<u64>();
        starts += outcome.counts.starts;
        if args.trace {
            outcome.trace.iter().for_each(|line| println!("{line}"));
        }
        if let Some(violation) = &outcome.violation {
            failed += 1;
            if !args.trace && !args.keep_going {
                println!("{shown}");
                let from = outcome.trace.len().saturating_sub(TRACE_LINES);
                outcome.trace[from..].iter().for_each(|line| println!("{line}"));
            }
            println!("seed {}: {violation}\n  again: {}", options.seed, outcome.command());
            if !args.keep_going {
                break;
            }
        }
    }
    println!(
        "{done} seeds from {first}, {failed} failed, in {:.0} s: {starts} starts, {acked} batches \
         acknowledged, {read} records read",
        begun.elapsed().as_secs_f64()
    );
    failed == 0
}
