//! Stands in for the crate `base2histogram`, with which openraft counts how large its batches are.
//!
//! The original computes, the first time that any histogram is made, the tables of every precision it offers: 26 MB and
//! 30 ms at the start of each process, for figures that nobody here reads. This one has the same names for what
//! openraft calls, and counts in 65 buckets, one for each length of a number in bits.

use std::fmt;
use std::marker::PhantomData;

/// One for 0, and one for each length in bits.
const BUCKETS: usize = 65;

/// How often values of each magnitude were recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: [u64; BUCKETS],
    _slots: PhantomData<T>,
}

impl<T> Histogram<T> {
    /// Nothing recorded yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Histogram<T> {
        Histogram { counts: [0; BUCKETS], _slots: PhantomData }
    }

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts one value `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        let bucket = &mut self.counts[(u64::BITS - value.leading_zeros()) as usize];
        *bucket = bucket.saturating_add(count);
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The least value that has the magnitude of the one below which the share `p` of all lies, `p` from 0 to 1; 0 if
    /// nothing was counted.
    pub fn percentile(&self, p: f64) -> u64 {
        let wanted = (self.total() as f64 * p.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0u64;
        for (bits, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= wanted {
                return if bits == 0 { 0 } else { 1 << (bits - 1) };
            }
        }
        0
    }

    /// The percentiles that reports have.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.10),
            p50: self.percentile(0.50),
            p90: self.percentile(0.90),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

/// Percentiles of a [`Histogram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PercentileStats {
    /// How many values were counted.
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[samples: {}, P50: {}, P90: {}, P99: {}]", self.samples, self.p50, self.p90, self.p99)
    }
}

/// Histograms by name, for a report.
#[derive(Clone, Debug)]
pub struct AsciiChart<T = ()> {
    series: Vec<(String, Histogram<T>)>,
}

impl<T> AsciiChart<T> {
    /// No histogram yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> AsciiChart<T> {
        AsciiChart { series: Vec::new() }
    }

    /// With one more.
    #[allow(clippy::should_implement_trait)]
    pub fn add(mut self, name: &str, histogram: Histogram<T>) -> AsciiChart<T> {
        self.series.push((name.to_owned(), histogram));
        self
    }
}

impl<T> fmt::Display for AsciiChart<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.series.iter().try_for_each(|(name, histogram)| writeln!(f, "{name} {}", histogram.percentile_stats()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_by_magnitude() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile(0.5), 0);
        for value in [0, 1, 5, 6, 7, u64::MAX] {
            histogram.record(value);
        }
        histogram.record_n(100, 94);
        assert_eq!(histogram.total(), 100);
        let stats = histogram.percentile_stats();
        assert_eq!((stats.p1, stats.p5, stats.p50, stats.p99, stats.p99_9), (0, 4, 64, 64, 1 << 63));
    }
}
