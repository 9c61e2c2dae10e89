//! What is measured: latencies in a histogram, CPU seconds by whom, memory of a process.
//!
//! CPU comes from /proc in ticks of 10 ms, so windows are seconds long. "Other" is what the machine spent on
//! neither broker nor client: kernel threads such as writeback, and whatever else runs here.

use std::io;
use std::time::{Duration, Instant};

/// `USER_HZ`, which Linux has fixed at 100 for what /proc shows.
const TICKS_PER_SECOND: f64 = 100.0;
/// Buckets per power of two: a quantile is right within 1/128.
const STEPS: usize = 128;
/// Share of the machine that others may use before a run is marked noisy.
const NOISY_SHARE: f64 = 0.10;

/// Durations, counted in buckets whose width grows with their value.
#[derive(Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_ns: u64,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram { buckets: vec![0; STEPS * 58], count: 0, max_ns: 0 }
    }

    /// Below [`STEPS`] a bucket per nanosecond; above, the top seven bits after the leading one choose.
    fn bucket(ns: u64) -> usize {
        let power = ns.max(STEPS as u64).ilog2() as usize - STEPS.ilog2() as usize;
        power * STEPS + (ns >> power) as usize
    }

    /// The middle of a bucket, in nanoseconds.
    fn value(bucket: usize) -> u64 {
        let power = (bucket / STEPS).saturating_sub(1);
        let low = ((bucket - power * STEPS) as u64) << power;
        low + (1 << power) / 2
    }

    pub(crate) fn add(&mut self, took: Duration) {
        let ns = took.as_nanos() as u64;
        self.buckets[Histogram::bucket(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    pub(crate) fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// In milliseconds; NaN when nothing was counted.
    pub(crate) fn max_ms(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.max_ns as f64 / 1e6 }
    }

    /// The value that `share` of the counted do not exceed, in milliseconds; NaN when nothing was counted.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = ((share * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Histogram::value(bucket).min(self.max_ns) as f64 / 1e6;
            }
        }
        f64::NAN
    }
}

/// CPU seconds that a process has used, user and system together. Nothing for one that is gone.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; fields are counted after it.
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    match fields.get(11..13) {
        Some(times) => times.iter().sum::<f64>() / TICKS_PER_SECOND,
        None => 0.0,
    }
}

/// CPU seconds that all processors were busy: user, nice, system, interrupts.
fn machine_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    [0, 1, 2, 5, 6].iter().filter_map(|i| fields.get(*i)).sum::<f64>() / TICKS_PER_SECOND
}

/// A stretch of time over which CPU is counted.
pub(crate) struct Window {
    broker: u32,
    began: Instant,
    broker_s: f64,
    client_s: f64,
    machine_s: f64,
}

impl Window {
    /// Begins now. `broker` is a process id; the client is this process.
    pub(crate) fn begin(broker: u32) -> Window {
        Window {
            broker,
            began: Instant::now(),
            broker_s: cpu_seconds(broker),
            client_s: cpu_seconds(std::process::id()),
            machine_s: machine_seconds(),
        }
    }

    /// What was used since.
    pub(crate) fn end(&self) -> Usage {
        let broker_s = cpu_seconds(self.broker) - self.broker_s;
        let client_s = cpu_seconds(std::process::id()) - self.client_s;
        let other_s = (machine_seconds() - self.machine_s - broker_s - client_s).max(0.0);
        Usage { wall_s: self.began.elapsed().as_secs_f64(), broker_s, client_s, other_s }
    }
}

/// Seconds: of the clock, and of processors by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) wall_s: f64,
    pub(crate) broker_s: f64,
    pub(crate) client_s: f64,
    pub(crate) other_s: f64,
}

impl Usage {
    /// Whether others disturbed the measurement.
    pub(crate) fn is_noisy(&self) -> bool {
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        self.other_s > NOISY_SHARE * self.wall_s * processors
    }
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident, mapped files included.
    pub(crate) rss: f64,
    /// The most that was ever resident.
    pub(crate) peak: f64,
    /// Private memory alone: what the process itself asked for.
    pub(crate) anonymous: f64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> io::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
        };
        Ok(Memory { rss: field("VmRSS"), peak: field("VmHWM"), anonymous: field("RssAnon") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_step() {
        let mut histogram = Histogram::new();
        for us in 1..=10_000 {
            histogram.add(Duration::from_micros(us));
        }
        for (share, ms) in [(0.5, 5.0), (0.99, 9.9), (0.999, 9.99)] {
            let found = histogram.quantile_ms(share);
            assert!((found / ms - 1.0).abs() < 0.01, "{share}: {found} for {ms}");
        }
        assert_eq!(histogram.max_ms(), 10.0);
        assert_eq!(histogram.count(), 10_000);
    }

    #[test]
    fn every_duration_has_a_bucket_near_it() {
        for ns in (0..300).chain((8..63).flat_map(|p| [(1 << p) - 1, 1 << p, (1 << p) + 1])) {
            let value = Histogram::value(Histogram::bucket(ns));
            assert!(value.abs_diff(ns) <= ns / 100, "{ns}: {value}");
        }
        let mut histogram = Histogram::new();
        histogram.add(Duration::from_nanos(u64::MAX));
        assert!(histogram.quantile_ms(0.5) > 1.0);
    }

    #[test]
    fn nothing_counted_is_no_number() {
        assert!(Histogram::new().quantile_ms(0.5).is_nan());
        assert!(Histogram::new().max_ms().is_nan());
    }

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.rss > 0.0 && memory.peak >= memory.anonymous);
        let usage = Window::begin(std::process::id()).end();
        assert!(usage.wall_s >= 0.0 && usage.broker_s >= 0.0);
    }
}
