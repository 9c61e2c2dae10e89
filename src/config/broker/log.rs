//! Logs: segments, retention, compaction, what records may look like.

use crate::config::property::properties;

properties! {
    /// Logs: segments, retention, compaction, what records may look like.
    pub(super) LOG;

    /// When an acks=all write is answered: `fsync` once it is on stable storage on every in-sync replica,
    /// `replicated` once it is in their page caches, which is Kafka's meaning.
    "acks.all.durability", String, Is("fsync"), OneOf(&["fsync", "replicated"]), High, ClusterWide;
    /// Level of gzip when the broker compresses.
    "compression.gzip.level", Int, Is("-1"), OrBetween(-1, 1, 9), Medium, ClusterWide;
    /// Level of LZ4 when the broker compresses.
    "compression.lz4.level", Int, Is("9"), Between(1, 17), Medium, ClusterWide;
    /// Codec that logs are kept in; `producer` keeps what the producer chose.
    "compression.type", String, Is("producer"),
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), High, ClusterWide;
    /// Level of Zstandard when the broker compresses.
    "compression.zstd.level", Int, Is("3"), Between(-131_072, 22), Medium, ClusterWide;
    /// How long compaction rests when there is nothing to do.
    "log.cleaner.backoff.ms", Long, Is("15000"), AtLeast(0), Medium, ClusterWide;
    /// Memory that compaction may use for its table of keys.
    "log.cleaner.dedupe.buffer.size", Long, Is("134217728"), Any, Medium, ClusterWide;
    /// How long compaction keeps tombstones.
    "log.cleaner.delete.retention.ms", Long, Is("86400000"), AtLeast(0), Medium, ClusterWide;
    /// Whether compaction runs.
    "log.cleaner.enable", Boolean, Is("true"), Any, Medium, ReadOnly;
    /// How full compaction's table of keys may get.
    "log.cleaner.io.buffer.load.factor", Double, Is("0.9"), Any, Medium, ClusterWide;
    /// Memory for compaction's reading and writing.
    "log.cleaner.io.buffer.size", Int, Is("524288"), AtLeast(0), Medium, ClusterWide,
        ignored: "compaction sizes its buffers by the batches it reads";
    /// Most bytes that compaction reads and writes in a second.
    "log.cleaner.io.max.bytes.per.second", Double, Is("1.7976931348623157E308"), Any, Medium, ClusterWide;
    /// Longest time that a record escapes compaction.
    "log.cleaner.max.compaction.lag.ms", Long, Is("9223372036854775807"), AtLeast(1), Medium, ClusterWide;
    /// Share of a log that must be uncompacted before compaction takes it up.
    "log.cleaner.min.cleanable.ratio", Double, Is("0.5"), Fraction(0.0, 1.0), Medium, ClusterWide;
    /// Shortest time that a record stays uncompacted.
    "log.cleaner.min.compaction.lag.ms", Long, Is("0"), AtLeast(0), Medium, ClusterWide;
    /// Logs that are compacted at the same time.
    "log.cleaner.threads", Int, Is("1"), AtLeast(0), Medium, ClusterWide;
    /// How old data leaves a log: `delete`, `compact`, both, or neither.
    "log.cleanup.policy", List, Is("delete"), Members(&["compact", "delete"]), Medium, ClusterWide;
    /// Syncs a log after this many records.
    "log.flush.interval.messages", Long, Is("9223372036854775807"), AtLeast(1), High, ClusterWide;
    /// Syncs a log when its oldest record not yet on stable storage is this old.
    "log.flush.interval.ms", Long, Null, Any, High, ClusterWide;
    /// How often recovery points are written down at least; every second where a log directory has up to 1000 logs.
    "log.flush.offset.checkpoint.interval.ms", Int, Is("60000"), AtLeast(0), High, ReadOnly;
    /// How often the broker looks for logs to sync by age.
    "log.flush.scheduler.interval.ms", Long, Is("9223372036854775807"), Any, High, ReadOnly;
    /// How often log start offsets are written down.
    "log.flush.start.offset.checkpoint.interval.ms", Int, Is("60000"), AtLeast(0), High, ReadOnly,
        ignored: "DeleteRecords is answered when the new start is durable, and retention's follows in a second";
    /// Bytes of log between two entries of the offset index.
    "log.index.interval.bytes", Int, Is("4096"), AtLeast(0), Medium, ClusterWide;
    /// Bytes of a segment's index at most.
    "log.index.size.max.bytes", Int, Is("10485760"), AtLeast(4), Medium, ClusterWide;
    /// How long after the start retention and the like begin.
    "log.initial.task.delay.ms", Long, Is("30000"), AtLeast(0), Low, ReadOnly, internal;
    /// How far in the future a record's timestamp may lie.
    "log.message.timestamp.after.max.ms", Long, Is("3600000"), AtLeast(0), Medium, ClusterWide;
    /// How far in the past a record's timestamp may lie.
    "log.message.timestamp.before.max.ms", Long, Is("9223372036854775807"), AtLeast(0), Medium, ClusterWide;
    /// Whether records keep their producer's timestamp or get the time of the append.
    "log.message.timestamp.type", String, Is("CreateTime"), OneOf(&["CreateTime", "LogAppendTime"]), Medium,
        ClusterWide;
    /// Whether a new segment's file gets its full size at once.
    "log.preallocate", Boolean, Is("false"), Any, Medium, ClusterWide;
    /// Bytes a partition may have before its oldest segments go; -1 for no bound.
    "log.retention.bytes", Long, Is("-1"), Any, High, ClusterWide;
    /// How often the broker looks for segments to delete.
    "log.retention.check.interval.ms", Long, Is("300000"), AtLeast(1), Medium, ReadOnly;
    /// How long records are kept, in hours, where neither minutes nor milliseconds are set.
    "log.retention.hours", Int, Is("168"), Any, High, ReadOnly;
    /// How long records are kept, in minutes, where `log.retention.ms` is not set.
    "log.retention.minutes", Int, Null, Any, High, ReadOnly;
    /// How long records are kept, in milliseconds; -1 for ever.
    "log.retention.ms", Long, Null, Any, High, ClusterWide;
    /// Age of a segment at which a new one begins, in hours, where `log.roll.ms` is not set.
    "log.roll.hours", Int, Is("168"), AtLeast(1), High, ReadOnly;
    /// Most by which a segment's age limit is shortened at random, in hours, where `log.roll.jitter.ms` is
    /// not set.
    "log.roll.jitter.hours", Int, Is("0"), AtLeast(0), High, ReadOnly;
    /// Most by which a segment's age limit is shortened at random, in milliseconds.
    "log.roll.jitter.ms", Long, Null, Any, High, ClusterWide;
    /// Age of a segment at which a new one begins, in milliseconds.
    "log.roll.ms", Long, Null, Any, High, ClusterWide;
    /// Bytes of a segment before a new one begins.
    "log.segment.bytes", Int, Is("1073741824"), AtLeast(1_048_576), High, ClusterWide;
    /// How long a deleted segment's files stay on disk under another name.
    "log.segment.delete.delay.ms", Long, Is("60000"), AtLeast(0), High, ClusterWide;
    /// Most bytes that a compressed batch may have once it is decompressed.
    "max.decompressed.message.bytes", Int, Is("2147483639"), Between(1, 2_147_483_639), Medium, ClusterWide;
    /// Most bytes of a record batch, compressed if it is.
    "message.max.bytes", Int, Is("1048588"), AtLeast(0), High, ClusterWide;
    /// How often forgotten producers are looked for.
    "producer.id.expiration.check.interval.ms", Int, Is("600000"), AtLeast(1), Low, ReadOnly, internal;
    /// How long a producer's sequence numbers are remembered after its last write.
    "producer.id.expiration.ms", Int, Is("86400000"), AtLeast(1), Low, ClusterWide;
}
