//! The keys of a topic, and their typed view.
//!
//! A topic key that nobody sets on the topic takes the value of its broker synonym (`retention.ms` that of
//! `log.retention.ms`), so a [`TopicConfig`] always belongs to one broker: [`super::layers::Layers::topic`] makes it.

use std::collections::BTreeMap;

use super::property::{ConfigError, Property, properties};
use super::values::Values;
use crate::types::Ms;

const TIERED: &str = "tiered storage is not there yet";

properties! {
    /// Every key of the resource type TOPIC, ordered by name.
    pub TOPIC_PROPERTIES;

    /// When an acks=all write is answered: `fsync` once it is on stable storage on every in-sync replica, `replicated`
    /// once it is in their page caches, which is Kafka's meaning.
    "acks.all.durability", String, Is("fsync"), OneOf(&["fsync", "replicated"]), High, ClusterWide;
    /// How old data leaves the log: `delete` by age and size, `compact` by key, both, or neither.
    "cleanup.policy", List, Is("delete"), Members(&["compact", "delete"]), Medium, ClusterWide;
    /// Level of gzip when the broker compresses.
    "compression.gzip.level", Int, Is("-1"), OrBetween(-1, 1, 9), Medium, ClusterWide;
    /// Level of LZ4 when the broker compresses.
    "compression.lz4.level", Int, Is("9"), Between(1, 17), Medium, ClusterWide;
    /// Codec the log is kept in; `producer` keeps what the producer chose.
    "compression.type", String, Is("producer"),
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Medium, ClusterWide;
    /// Level of Zstandard when the broker compresses.
    "compression.zstd.level", Int, Is("3"), Between(-131_072, 22), Medium, ClusterWide;
    /// How long compaction keeps a tombstone, so that a reader from the start still sees the deletion.
    "delete.retention.ms", Long, Is("86400000"), AtLeast(0), Medium, ClusterWide;
    /// Whether share groups may use this topic as their dead-letter queue.
    "errors.deadletterqueue.group.enable", Boolean, Is("false"), Any, Medium, ClusterWide;
    /// How long a deleted segment's files stay on disk under another name.
    "file.delete.delay.ms", Long, Is("60000"), AtLeast(0), Medium, ClusterWide;
    /// Syncs the log after this many records, whatever the acks.
    "flush.messages", Long, Is("9223372036854775807"), AtLeast(1), Medium, ClusterWide;
    /// Syncs the log when its oldest record not yet on stable storage is this old.
    "flush.ms", Long, Is("9223372036854775807"), AtLeast(0), Medium, ClusterWide;
    /// Replicas whose fetching is held to the follower's replication quota.
    "follower.replication.throttled.replicas", List, Is(""), ThrottledReplicas, Medium, ClusterWide;
    /// Bytes of log between two entries of the offset index.
    "index.interval.bytes", Int, Is("4096"), AtLeast(0), Medium, ClusterWide;
    /// Segment size without the usual lower bound, for tests.
    "internal.segment.bytes", Int, Null, Any, Medium, ClusterWide, internal;
    /// Replicas whose serving of followers is held to the leader's replication quota.
    "leader.replication.throttled.replicas", List, Is(""), ThrottledReplicas, Medium, ClusterWide;
    /// Bytes of a tiered partition kept on local disk; -2 means `retention.bytes`.
    "local.retention.bytes", Long, Is("-2"), AtLeast(-2), Medium, ClusterWide, ignored: TIERED;
    /// How long data of a tiered partition is kept on local disk; -2 means `retention.ms`.
    "local.retention.ms", Long, Is("-2"), AtLeast(-2), Medium, ClusterWide, ignored: TIERED;
    /// Longest time that a record escapes compaction.
    "max.compaction.lag.ms", Long, Is("9223372036854775807"), AtLeast(1), Medium, ClusterWide;
    /// Most bytes that a compressed batch may have once it is decompressed.
    "max.decompressed.message.bytes", Int, Is("2147483639"), Between(1, 2_147_483_639), Medium, ClusterWide;
    /// Most bytes of a record batch, compressed if it is.
    "max.message.bytes", Int, Is("1048588"), AtLeast(0), Medium, ClusterWide;
    /// How far in the future a record's timestamp may lie.
    "message.timestamp.after.max.ms", Long, Is("3600000"), AtLeast(0), Medium, ClusterWide;
    /// How far in the past a record's timestamp may lie.
    "message.timestamp.before.max.ms", Long, Is("9223372036854775807"), AtLeast(0), Medium, ClusterWide;
    /// Whether a record keeps its producer's timestamp or gets the time of the append.
    "message.timestamp.type", String, Is("CreateTime"), OneOf(&["CreateTime", "LogAppendTime"]), Medium, ClusterWide;
    /// Share of the log that must be uncompacted before compaction takes it up.
    "min.cleanable.dirty.ratio", Double, Is("0.5"), Fraction(0.0, 1.0), Medium, ClusterWide;
    /// Shortest time that a record stays uncompacted.
    "min.compaction.lag.ms", Long, Is("0"), AtLeast(0), Medium, ClusterWide;
    /// Fewest in-sync replicas with which acks=all is accepted.
    "min.insync.replicas", Int, Is("1"), AtLeast(1), Medium, ClusterWide;
    /// Whether a new segment's file gets its full size at once.
    "preallocate", Boolean, Is("false"), Any, Medium, ClusterWide;
    /// Bytes of rolled segments that may wait before they are copied to remote storage.
    "remote.copy.lag.bytes", Long, Is("-1"), AtLeast(-1), Medium, ClusterWide, ignored: TIERED;
    /// How long a rolled segment may wait before it is copied to remote storage.
    "remote.copy.lag.ms", Long, Is("0"), AtLeast(-1), Medium, ClusterWide, ignored: TIERED;
    /// Stops copying to remote storage and leaves what is there readable.
    "remote.log.copy.disable", Boolean, Is("false"), Any, Medium, ClusterWide, ignored: TIERED;
    /// Deletes what is in remote storage when tiering is switched off.
    "remote.log.delete.on.disable", Boolean, Is("false"), Any, Medium, ClusterWide, ignored: TIERED;
    /// Whether rolled segments go to remote storage.
    "remote.storage.enable", Boolean, Is("false"), Any, Medium, ClusterWide, ignored: TIERED;
    /// Bytes a partition may have before its oldest segments go; -1 for no bound.
    "retention.bytes", Long, Is("-1"), Any, Medium, ClusterWide;
    /// How long a record is kept before its segment may go; -1 for ever.
    "retention.ms", Long, Is("604800000"), AtLeast(-1), Medium, ClusterWide;
    /// Bytes of a segment before a new one begins.
    "segment.bytes", Int, Is("1073741824"), AtLeast(1_048_576), Medium, ClusterWide;
    /// Bytes of a segment's index at most; a full index begins a new segment.
    "segment.index.bytes", Int, Is("10485760"), AtLeast(4), Medium, ClusterWide;
    /// Most by which `segment.ms` is shortened at random, so that partitions do not roll together.
    "segment.jitter.ms", Long, Is("0"), AtLeast(0), Medium, ClusterWide;
    /// Age of a segment at which a new one begins even if it is not full.
    "segment.ms", Long, Is("604800000"), AtLeast(1), Medium, ClusterWide;
    /// Whether a replica outside the in-sync set may lead when no other can, at the cost of records.
    "unclean.leader.election.enable", Boolean, Is("false"), Any, Medium, ClusterWide;
}

/// Broker keys that stand behind a topic key, the strongest first. The first one has the topic key's unit.
pub(crate) const BROKER_SYNONYMS: &[(&str, &[&str])] = &[
    ("acks.all.durability", &["acks.all.durability"]),
    ("cleanup.policy", &["log.cleanup.policy"]),
    ("compression.gzip.level", &["compression.gzip.level"]),
    ("compression.lz4.level", &["compression.lz4.level"]),
    ("compression.type", &["compression.type"]),
    ("compression.zstd.level", &["compression.zstd.level"]),
    ("delete.retention.ms", &["log.cleaner.delete.retention.ms"]),
    ("file.delete.delay.ms", &["log.segment.delete.delay.ms"]),
    ("flush.messages", &["log.flush.interval.messages"]),
    ("flush.ms", &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"]),
    ("index.interval.bytes", &["log.index.interval.bytes"]),
    ("local.retention.bytes", &["log.local.retention.bytes"]),
    ("local.retention.ms", &["log.local.retention.ms"]),
    ("max.compaction.lag.ms", &["log.cleaner.max.compaction.lag.ms"]),
    ("max.decompressed.message.bytes", &["max.decompressed.message.bytes"]),
    ("max.message.bytes", &["message.max.bytes"]),
    ("message.timestamp.after.max.ms", &["log.message.timestamp.after.max.ms"]),
    ("message.timestamp.before.max.ms", &["log.message.timestamp.before.max.ms"]),
    ("message.timestamp.type", &["log.message.timestamp.type"]),
    ("min.cleanable.dirty.ratio", &["log.cleaner.min.cleanable.ratio"]),
    ("min.compaction.lag.ms", &["log.cleaner.min.compaction.lag.ms"]),
    ("min.insync.replicas", &["min.insync.replicas"]),
    ("preallocate", &["log.preallocate"]),
    ("remote.copy.lag.bytes", &["log.remote.copy.lag.bytes"]),
    ("remote.copy.lag.ms", &["log.remote.copy.lag.ms"]),
    ("retention.bytes", &["log.retention.bytes"]),
    ("retention.ms", &["log.retention.ms", "log.retention.minutes", "log.retention.hours"]),
    ("segment.bytes", &["log.segment.bytes"]),
    ("segment.index.bytes", &["log.index.size.max.bytes"]),
    ("segment.jitter.ms", &["log.roll.jitter.ms", "log.roll.jitter.hours"]),
    ("segment.ms", &["log.roll.ms", "log.roll.hours"]),
    ("unclean.leader.election.enable", &["unclean.leader.election.enable"]),
];

/// The broker keys behind a topic key, the strongest first; empty if there is none.
pub fn broker_synonyms(topic_key: &str) -> &'static [&'static str] {
    match BROKER_SYNONYMS.binary_search_by_key(&topic_key, |entry| entry.0) {
        Ok(at) => BROKER_SYNONYMS[at].1,
        Err(_) => &[],
    }
}

/// When an acks=all write may be answered (`acks.all.durability`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// When it is on stable storage on every in-sync replica.
    Fsync,
    /// When it is in the page cache of every in-sync replica, which is Kafka's meaning.
    Replicated,
}

impl Durability {
    /// The value's text.
    pub fn name(self) -> &'static str {
        match self {
            Durability::Fsync => "fsync",
            Durability::Replicated => "replicated",
        }
    }
}

/// The codec a log is kept in (`compression.type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum CompressionType {
    /// What the producer chose.
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Whose timestamps records have (`message.timestamp.type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, at the append.
    LogAppendTime,
}

/// Replicas that replication quotas hold (`leader.` and `follower.replication.throttled.replicas`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ThrottledReplicas {
    /// Every one.
    All,
    /// These partitions on these brokers.
    Some(Vec<(i32, i32)>),
}

/// What a partition's log obeys: every topic key in typed form, with the broker's values where the topic has none.
///
/// Times are in milliseconds and sizes in bytes unless the name says otherwise. Bounds are those of the table.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub struct TopicConfig {
    pub acks_all_durability: Durability,
    /// `cleanup.policy` has `compact`.
    pub cleanup_compact: bool,
    /// `cleanup.policy` has `delete`.
    pub cleanup_delete: bool,
    /// -1 for the codec's default.
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_type: CompressionType,
    pub compression_zstd_level: i32,
    pub delete_retention_ms: Ms,
    pub errors_deadletterqueue_group_enable: bool,
    pub file_delete_delay_ms: Ms,
    pub flush_messages: i64,
    pub flush_ms: Ms,
    pub follower_replication_throttled_replicas: ThrottledReplicas,
    pub index_interval_bytes: i32,
    pub leader_replication_throttled_replicas: ThrottledReplicas,
    /// -2 for `retention_bytes`; see [`TopicConfig::effective_local_retention_bytes`].
    pub local_retention_bytes: i64,
    /// -2 for `retention_ms`; see [`TopicConfig::effective_local_retention_ms`].
    pub local_retention_ms: Ms,
    pub max_compaction_lag_ms: Ms,
    pub max_decompressed_message_bytes: i32,
    pub max_message_bytes: i32,
    pub message_timestamp_after_max_ms: Ms,
    pub message_timestamp_before_max_ms: Ms,
    pub message_timestamp_type: TimestampType,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: Ms,
    pub min_insync_replicas: i32,
    pub preallocate: bool,
    pub remote_copy_lag_bytes: i64,
    pub remote_copy_lag_ms: Ms,
    pub remote_log_copy_disable: bool,
    pub remote_log_delete_on_disable: bool,
    pub remote_storage_enable: bool,
    /// -1 for no bound.
    pub retention_bytes: i64,
    /// -1 for ever.
    pub retention_ms: Ms,
    /// `internal.segment.bytes` where that is set.
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: Ms,
    pub segment_ms: Ms,
    pub unclean_leader_election_enable: bool,
}

impl Default for TopicConfig {
    /// Every key at its default.
    fn default() -> Self {
        TopicConfig::from_values(&Values::of(TOPIC_PROPERTIES, &BTreeMap::new()))
    }
}

impl TopicConfig {
    /// The typed form of parsed values that cover [`TOPIC_PROPERTIES`].
    pub(crate) fn from_values(v: &Values) -> TopicConfig {
        let policy = v.list("cleanup.policy");
        let has = |name: &str| policy.iter().any(|p| p == name);
        TopicConfig {
            acks_all_durability: durability(&v.text("acks.all.durability")),
            cleanup_compact: has("compact"),
            cleanup_delete: has("delete"),
            compression_gzip_level: v.int("compression.gzip.level"),
            compression_lz4_level: v.int("compression.lz4.level"),
            compression_type: match v.text("compression.type").as_str() {
                "uncompressed" => CompressionType::Uncompressed,
                "gzip" => CompressionType::Gzip,
                "snappy" => CompressionType::Snappy,
                "lz4" => CompressionType::Lz4,
                "zstd" => CompressionType::Zstd,
                // The table lets nothing else through but `producer`.
                _ => CompressionType::Producer,
            },
            compression_zstd_level: v.int("compression.zstd.level"),
            delete_retention_ms: v.long("delete.retention.ms"),
            errors_deadletterqueue_group_enable: v.boolean("errors.deadletterqueue.group.enable"),
            file_delete_delay_ms: v.long("file.delete.delay.ms"),
            flush_messages: v.long("flush.messages"),
            flush_ms: v.long("flush.ms"),
            follower_replication_throttled_replicas: throttled(
                &v.list("follower.replication.throttled.replicas"),
            ),
            index_interval_bytes: v.int("index.interval.bytes"),
            leader_replication_throttled_replicas: throttled(
                &v.list("leader.replication.throttled.replicas"),
            ),
            local_retention_bytes: v.long("local.retention.bytes"),
            local_retention_ms: v.long("local.retention.ms"),
            max_compaction_lag_ms: v.long("max.compaction.lag.ms"),
            max_decompressed_message_bytes: v.int("max.decompressed.message.bytes"),
            max_message_bytes: v.int("max.message.bytes"),
            message_timestamp_after_max_ms: v.long("message.timestamp.after.max.ms"),
            message_timestamp_before_max_ms: v.long("message.timestamp.before.max.ms"),
            message_timestamp_type: match v.text("message.timestamp.type").as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                // The table lets nothing else through.
                _ => TimestampType::CreateTime,
            },
            min_cleanable_dirty_ratio: v.double("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: v.long("min.compaction.lag.ms"),
            min_insync_replicas: v.int("min.insync.replicas"),
            preallocate: v.boolean("preallocate"),
            remote_copy_lag_bytes: v.long("remote.copy.lag.bytes"),
            remote_copy_lag_ms: v.long("remote.copy.lag.ms"),
            remote_log_copy_disable: v.boolean("remote.log.copy.disable"),
            remote_log_delete_on_disable: v.boolean("remote.log.delete.on.disable"),
            remote_storage_enable: v.boolean("remote.storage.enable"),
            retention_bytes: v.long("retention.bytes"),
            retention_ms: v.long("retention.ms"),
            segment_bytes: v.opt_int("internal.segment.bytes").unwrap_or_else(|| v.int("segment.bytes")),
            segment_index_bytes: v.int("segment.index.bytes"),
            segment_jitter_ms: v.long("segment.jitter.ms"),
            segment_ms: v.long("segment.ms"),
            unclean_leader_election_enable: v.boolean("unclean.leader.election.enable"),
        }
    }

    /// Bytes kept on local disk of a tiered partition; -1 for no bound.
    pub fn effective_local_retention_bytes(&self) -> i64 {
        if self.local_retention_bytes == -2 { self.retention_bytes } else { self.local_retention_bytes }
    }

    /// How long data of a tiered partition is kept on local disk; -1 for ever.
    pub fn effective_local_retention_ms(&self) -> Ms {
        if self.local_retention_ms == -2 { self.retention_ms } else { self.local_retention_ms }
    }

    /// Checks values that must go together, as Kafka does when a topic is made or altered.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.min_compaction_lag_ms > self.max_compaction_lag_ms {
            return Err(ConfigError::Conflict(format!(
                "conflict topic config setting min.compaction.lag.ms ({}) > max.compaction.lag.ms ({})",
                self.min_compaction_lag_ms, self.max_compaction_lag_ms
            )));
        }
        if self.remote_storage_enable {
            self.validate_tiered()?;
        }
        Ok(())
    }

    fn validate_tiered(&self) -> Result<(), ConfigError> {
        if self.cleanup_compact {
            return Err(ConfigError::Conflict(
                "Remote log storage only supports topics with cleanup.policy=delete or cleanup.policy being empty"
                    .to_owned(),
            ));
        }
        local_within_total("local.retention.ms", self.local_retention_ms, "retention.ms", self.retention_ms)?;
        local_within_total(
            "local.retention.bytes",
            self.local_retention_bytes,
            "retention.bytes",
            self.retention_bytes,
        )
    }
}

fn local_within_total(local_key: &str, local: i64, total_key: &str, total: i64) -> Result<(), ConfigError> {
    if total < 0 || local == -2 {
        return Ok(());
    }
    if local == -1 || local > total {
        let why = format!("must not be more than {total_key}, which is {total}");
        return Err(ConfigError::Value { key: local_key.to_owned(), value: local.to_string(), why });
    }
    Ok(())
}

pub(crate) fn durability(text: &str) -> Durability {
    match text {
        "replicated" => Durability::Replicated,
        // The table lets nothing else through.
        _ => Durability::Fsync,
    }
}

fn throttled(list: &[String]) -> ThrottledReplicas {
    if list == ["*"] {
        return ThrottledReplicas::All;
    }
    let pair = |text: &String| {
        let (partition, broker) = text.split_once(':')?;
        Some((partition.parse().ok()?, broker.parse().ok()?))
    };
    ThrottledReplicas::Some(list.iter().filter_map(pair).collect())
}

/// The property of a topic key.
pub fn property(key: &str) -> Option<&'static Property> {
    TOPIC_PROPERTIES.binary_search_by_key(&key, |p| p.name).ok().map(|at| &TOPIC_PROPERTIES[at])
}
