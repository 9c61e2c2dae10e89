//! Tiered storage.

use crate::config::property::properties;

const TIERED: &str = "tiered storage is not there yet";
const JAVA: &str = "Java classes cannot be loaded";

properties! {
    /// Tiered storage.
    pub(super) TIERED_KEYS;

    /// Whether a new follower begins where remote storage ends.
    "follower.fetch.last.tiered.offset.enable", Boolean, Is("false"), Any, Medium, ClusterWide,
        ignored: TIERED;
    /// Bytes of a tiered partition kept on local disk; -2 means `log.retention.bytes`.
    "log.local.retention.bytes", Long, Is("-2"), AtLeast(-2), Medium, ClusterWide, ignored: TIERED;
    /// How long data of a tiered partition is kept on local disk; -2 means `log.retention.ms`.
    "log.local.retention.ms", Long, Is("-2"), AtLeast(-2), Medium, ClusterWide, ignored: TIERED;
    /// Bytes of rolled segments that may wait before they are copied.
    "log.remote.copy.lag.bytes", Long, Is("-1"), AtLeast(-1), Medium, ClusterWide, ignored: TIERED;
    /// How long a rolled segment may wait before it is copied.
    "log.remote.copy.lag.ms", Long, Is("0"), AtLeast(-1), Medium, ClusterWide, ignored: TIERED;
    /// How long a fetch waits for remote data.
    "remote.fetch.max.wait.ms", Int, Is("500"), AtLeast(1), Medium, ClusterWide, ignored: TIERED;
    /// How long a search by timestamp waits for remote data.
    "remote.list.offsets.request.timeout.ms", Long, Is("30000"), AtLeast(1), Medium, ClusterWide,
        ignored: TIERED;
    /// Bytes of remote indexes that are kept on local disk.
    "remote.log.index.file.cache.total.size.bytes", Long, Is("1073741824"), AtLeast(1), Low, ClusterWide,
        ignored: TIERED;
    /// How long a remote index that nobody uses is kept on local disk.
    "remote.log.index.file.cache.ttl.ms", Long, Is("900000"), AtLeast(-1), Low, ReadOnly, internal,
        ignored: TIERED;
    /// Segments that are copied at the same time.
    "remote.log.manager.copier.thread.pool.size", Int, Is("10"), AtLeast(1), Medium, ClusterWide,
        ignored: TIERED;
    /// Most bytes that are copied in a second.
    "remote.log.manager.copy.max.bytes.per.second", Long, Is("9223372036854775807"), AtLeast(1), Medium,
        ClusterWide, ignored: TIERED;
    /// Windows over which the copying rate is measured.
    "remote.log.manager.copy.quota.window.num", Int, Is("11"), AtLeast(1), Medium, ReadOnly, ignored: TIERED;
    /// Length of such a window.
    "remote.log.manager.copy.quota.window.size.seconds", Int, Is("1"), AtLeast(1), Medium, ReadOnly,
        ignored: TIERED;
    /// Partitions whose remote segments are expired at the same time.
    "remote.log.manager.expiration.thread.pool.size", Int, Is("10"), AtLeast(1), Medium, ClusterWide,
        ignored: TIERED;
    /// Most bytes that are read from remote storage in a second.
    "remote.log.manager.fetch.max.bytes.per.second", Long, Is("9223372036854775807"), AtLeast(1), Medium,
        ClusterWide, ignored: TIERED;
    /// Windows over which the reading rate is measured.
    "remote.log.manager.fetch.quota.window.num", Int, Is("11"), AtLeast(1), Medium, ReadOnly,
        ignored: TIERED;
    /// Length of such a window.
    "remote.log.manager.fetch.quota.window.size.seconds", Int, Is("1"), AtLeast(1), Medium, ReadOnly,
        ignored: TIERED;
    /// Followers whose remote state is followed at the same time.
    "remote.log.manager.follower.thread.pool.size", Int, Is("2"), AtLeast(1), Medium, ClusterWide,
        ignored: TIERED;
    /// How often segments to copy or expire are looked for.
    "remote.log.manager.task.interval.ms", Long, Is("30000"), AtLeast(1), Low, ReadOnly, ignored: TIERED;
    /// How long a remote task rests after many failures.
    "remote.log.manager.task.retry.backoff.max.ms", Long, Is("30000"), AtLeast(1), Low, ReadOnly, internal,
        ignored: TIERED;
    /// How long a remote task rests after the first failure.
    "remote.log.manager.task.retry.backoff.ms", Long, Is("500"), AtLeast(1), Low, ReadOnly, internal,
        ignored: TIERED;
    /// Random share that is added to these rests.
    "remote.log.manager.task.retry.jitter", Double, Is("0.2"), Fraction(0.0, 0.5), Low, ReadOnly, internal,
        ignored: TIERED;
    /// Threads for remote work that has no pool of its own.
    "remote.log.manager.thread.pool.size", Int, Is("2"), AtLeast(1), Medium, ReadOnly, ignored: TIERED;
    /// Most bytes of a remote store's own data about a segment.
    "remote.log.metadata.custom.metadata.max.bytes", Int, Is("128"), AtLeast(0), Low, ReadOnly,
        ignored: TIERED;
    /// Which store keeps the list of remote segments.
    "remote.log.metadata.manager.class.name", String,
        Is("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"),
        NonEmpty, Medium, ReadOnly, ignored: TIERED;
    /// Where that store's class is.
    "remote.log.metadata.manager.class.path", String, Null, Any, Medium, ReadOnly, ignored: JAVA;
    /// What that store's own keys begin with.
    "remote.log.metadata.manager.impl.prefix", String, Is("rlmm.config."), NonEmpty, Medium, ReadOnly,
        ignored: TIERED;
    /// Listener that the metadata store connects to.
    "remote.log.metadata.manager.listener.name", String, Null, NonEmpty, Medium, ReadOnly, ignored: TIERED;
    /// Remote reads that may wait.
    "remote.log.reader.max.pending.tasks", Int, Is("100"), AtLeast(1), Medium, ReadOnly, ignored: TIERED;
    /// Remote reads at the same time.
    "remote.log.reader.threads", Int, Is("10"), AtLeast(1), Medium, ClusterWide, ignored: TIERED;
    /// Which remote store is used.
    "remote.log.storage.manager.class.name", String, Null, NonEmpty, Medium, ReadOnly, ignored: TIERED;
    /// Where the remote store's class is.
    "remote.log.storage.manager.class.path", String, Null, Any, Medium, ReadOnly, ignored: JAVA;
    /// What the remote store's own keys begin with.
    "remote.log.storage.manager.impl.prefix", String, Is("rsm.config."), NonEmpty, Medium, ReadOnly,
        ignored: TIERED;
    /// Whether tiered storage is on.
    "remote.log.storage.system.enable", Boolean, Is("false"), Any, Medium, ReadOnly, ignored: TIERED;
}
