//! The settings of one log, typed: what the topic's configuration says about its files.

use super::validate::ValidateConfig;
use crate::types::Ms;

/// What becomes of old segments: `cleanup.policy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CleanupPolicy {
    /// Segments past their retention are removed.
    pub delete: bool,
    /// Older records of a key are removed.
    pub compact: bool,
}

/// The settings of one log. Keys are those of Kafka's topic configuration, defaults are Kafka's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// `segment.bytes` (or `internal.segment.bytes`): a segment is closed before it grows beyond this. At
    /// most `i32::MAX`.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is closed once records are this much later than its first one.
    pub segment_ms: Ms,
    /// `segment.jitter.ms`: up to this much is taken off `segment_ms`, so that not all segments are closed at
    /// once.
    pub segment_jitter_ms: Ms,
    /// `segment.index.bytes`: a segment is closed when one of its indexes reaches this size.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: about so many bytes of log for each index entry.
    pub index_interval_bytes: u32,
    /// `retention.ms`; -1 for no limit.
    pub retention_ms: Ms,
    /// `retention.bytes`; -1 for no limit.
    pub retention_bytes: i64,
    /// `flush.messages`: a sync is due after so many records. `i64::MAX` for never.
    pub flush_messages: i64,
    /// `flush.ms`: a sync is due so long after the first unsynced record. `i64::MAX` for never.
    pub flush_ms: Ms,
    /// `file.delete.delay.ms`: how long a removed segment's files stay, with `.deleted` behind their names.
    pub file_delete_delay_ms: Ms,
    /// `cleanup.policy`.
    pub cleanup: CleanupPolicy,
    /// `preallocate`: room for a segment is reserved when it is made.
    pub preallocate: bool,
    /// `max.message.bytes`, `message.timestamp.*`, `compression.*`: what an incoming batch must be like.
    pub validate: ValidateConfig,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 3600 * 1000,
            retention_bytes: -1,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            file_delete_delay_ms: 60_000,
            cleanup: CleanupPolicy { delete: true, compact: false },
            preallocate: false,
            validate: ValidateConfig::default(),
        }
    }
}
