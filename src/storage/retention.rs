//! Which segments may go, by age, by size and by log start offset (pure).

use crate::types::{Ms, Offset};

/// What retention needs to know of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentInfo {
    /// Offset of its first record.
    pub base: Offset,
    /// Offset of the next segment's first record, or the log end offset.
    pub end: Offset,
    /// Bytes of its log.
    pub size: u64,
    /// Largest timestamp of its records, or when it was written last if they have none.
    pub largest_timestamp: Ms,
}

/// The limits of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `retention.ms`; negative for none.
    pub retention_ms: Ms,
    /// `retention.bytes`; negative for none.
    pub retention_bytes: i64,
    /// True if `cleanup.policy` has `delete`; if not, only the log start offset removes segments.
    pub delete: bool,
}

/// How many of the oldest segments may go. `segments` are ordered by base; the last one is the active one.
/// Nothing at or above `high_watermark` goes: followers may still need it.
///
/// The active segment may be counted too (by age, as Kafka does); whoever acts on it must close it first.
pub fn deletable(
    segments: &[SegmentInfo],
    limits: Limits,
    log_start: Offset,
    high_watermark: Offset,
    now: Ms,
) -> usize {
    let below = |segment: &SegmentInfo| segment.end <= high_watermark && segment.size > 0;
    let by_start = segments
        .iter()
        .take_while(|s| s.end <= log_start && s.end <= high_watermark)
        .count()
        .min(segments.len().saturating_sub(1));
    if !limits.delete {
        return by_start;
    }
    let by_age = if limits.retention_ms < 0 {
        0
    } else {
        let old = |s: &SegmentInfo| now.saturating_sub(s.largest_timestamp) > limits.retention_ms;
        segments.iter().take_while(|s| old(s) && below(s)).count()
    };
    let by_size = if limits.retention_bytes < 0 {
        0
    } else {
        let total: u64 = segments.iter().map(|s| s.size).sum();
        let mut excess = total.saturating_sub(limits.retention_bytes as u64);
        segments
            .iter()
            .take_while(|s| {
                let goes = below(s) && excess >= s.size;
                excess = excess.saturating_sub(s.size);
                goes
            })
            .count()
    };
    by_start.max(by_age).max(by_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments() -> Vec<SegmentInfo> {
        (0..4)
            .map(|i| SegmentInfo { base: i * 10, end: i * 10 + 10, size: 100, largest_timestamp: i * 1000 })
            .collect()
    }

    const NONE: Limits = Limits { retention_ms: -1, retention_bytes: -1, delete: true };

    #[test]
    fn by_age_size_and_start() {
        let age = Limits { retention_ms: 500, ..NONE };
        assert_eq!(deletable(&segments(), age, 0, 40, 1600), 2);
        assert_eq!(deletable(&segments(), age, 0, 15, 1600), 1, "not above the high watermark");
        assert_eq!(deletable(&segments(), age, 0, 40, 100_000), 4, "the active one too");
        let size = Limits { retention_bytes: 250, ..NONE };
        assert_eq!(deletable(&segments(), size, 0, 40, 0), 1);
        assert_eq!(deletable(&segments(), Limits { retention_bytes: 0, ..NONE }, 0, 40, 0), 4);
        assert_eq!(deletable(&segments(), NONE, 25, 40, 0), 2);
        assert_eq!(deletable(&segments(), NONE, 40, 40, 0), 3, "the active one stays");
        assert_eq!(deletable(&segments(), Limits { delete: false, ..age }, 10, 40, 100_000), 1);
        assert_eq!(deletable(&segments(), NONE, 0, 40, i64::MAX), 0);
    }
}
