//! What a topic's configuration means to its partitions.

use std::sync::Arc;

use crate::config::{CompressionType, Durability, ThrottledReplicas, TimestampType, TopicConfig};
use crate::storage::validate::{self, ValidateConfig};
use crate::storage::{CleanupPolicy, LogConfig};
use crate::wire::compress::{Codec, Compression};

/// Records may decompress to this much whatever the size of a batch may be.
const DECOMPRESSED_BYTES_MIN: usize = 128 << 20;
/// Records may decompress to this many times the largest batch. Text compresses a hundredfold at the very best; what
/// grows more is made to hurt.
const DECOMPRESSED_RATIO_MAX: usize = 128;

/// The settings of a partition, in the forms that its parts take.
#[derive(Clone, Debug)]
pub struct PartitionSettings {
    /// What concerns the files.
    pub log: Arc<LogConfig>,
    /// When an acks=all append is safe.
    pub durability: Durability,
    /// How many replicas must be in sync for an acks=all append.
    pub min_insync_replicas: usize,
    /// Replicas that are held back where they lead (KIP-73).
    pub leader_throttled: Arc<ThrottledReplicas>,
    /// Replicas that are held back where they follow.
    pub follower_throttled: Arc<ThrottledReplicas>,
}

impl From<&TopicConfig> for PartitionSettings {
    fn from(config: &TopicConfig) -> PartitionSettings {
        let unsigned = |value: i32| value.max(0) as u32;
        let log = LogConfig {
            segment_bytes: unsigned(config.segment_bytes),
            segment_ms: config.segment_ms,
            segment_jitter_ms: config.segment_jitter_ms,
            segment_index_bytes: unsigned(config.segment_index_bytes),
            index_interval_bytes: unsigned(config.index_interval_bytes),
            retention_ms: config.retention_ms,
            retention_bytes: config.retention_bytes,
            flush_messages: config.flush_messages,
            flush_ms: config.flush_ms,
            file_delete_delay_ms: config.file_delete_delay_ms,
            cleanup: CleanupPolicy { delete: config.cleanup_delete, compact: config.cleanup_compact },
            preallocate: config.preallocate,
            validate: validate_config(config),
        };
        PartitionSettings {
            log: Arc::new(log),
            durability: config.acks_all_durability,
            min_insync_replicas: config.min_insync_replicas.max(1) as usize,
            leader_throttled: Arc::new(config.leader_replication_throttled_replicas.clone()),
            follower_throttled: Arc::new(config.follower_replication_throttled_replicas.clone()),
        }
    }
}

fn validate_config(config: &TopicConfig) -> ValidateConfig {
    let max_message_bytes = config.max_message_bytes.max(0) as usize;
    let bomb = DECOMPRESSED_BYTES_MIN.max(max_message_bytes.saturating_mul(DECOMPRESSED_RATIO_MAX));
    ValidateConfig {
        max_message_bytes,
        max_decompressed_bytes: bomb.min(config.max_decompressed_message_bytes.max(0) as usize),
        timestamp_type: match config.message_timestamp_type {
            TimestampType::CreateTime => validate::TimestampType::CreateTime,
            TimestampType::LogAppendTime => validate::TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: config.message_timestamp_before_max_ms,
        timestamp_after_max_ms: config.message_timestamp_after_max_ms,
        compression: compression(config),
        compacted: config.cleanup_compact,
    }
}

fn compression(config: &TopicConfig) -> Option<Compression> {
    let (codec, level) = match config.compression_type {
        CompressionType::Producer => return None,
        CompressionType::Uncompressed => (Codec::None, 0),
        CompressionType::Gzip => (Codec::Gzip, config.compression_gzip_level),
        CompressionType::Snappy => (Codec::Snappy, 0),
        CompressionType::Lz4 => (Codec::Lz4, config.compression_lz4_level),
        CompressionType::Zstd => (Codec::Zstd, config.compression_zstd_level),
    };
    Some(Compression::with_level(codec, level).unwrap_or_else(|| Compression::new(codec)))
}
