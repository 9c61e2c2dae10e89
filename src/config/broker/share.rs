//! Share groups.

use crate::config::property::properties;

const OFFLOAD: &str = "assignments of share groups cost little and are computed in place";
const ASSIGNORS: &str = "there is one assignor for share groups, `simple`";
const LINGER: &str =
    "share states are written when they come; others wait for them no longer than for the disk";
const BUFFER: &str = "buffers are as large as what is in them";
const THREADS: &str = "each partition of the share coordinator has a task of its own";
const PURGATORY: &str = "what waits leaves nothing behind that would need purging";
const JAVA: &str = "Java classes cannot be loaded";

properties! {
    /// Share groups.
    pub(super) SHARE;

    /// Whether a missing dead-letter topic is made.
    "errors.deadletterqueue.auto.create.topics.enable", Boolean, Is("false"), Any, Medium, ClusterWide;
    /// What names of dead-letter topics must begin with.
    "errors.deadletterqueue.topic.name.prefix", String, Is("dlq."), Any, Medium, ClusterWide;
    /// Shortest time between two assignments of a group.
    "group.share.assignment.interval.ms", Int, Is("1000"), AtLeast(0), Medium, ClusterWide;
    /// Whether assignments are calculated apart from the coordinator's loop.
    "group.share.assignor.offload.enable", Boolean, Is("true"), Any, Medium, ClusterWide, internal,
        ignored: OFFLOAD;
    /// Assignors on the broker; the first is used.
    "group.share.assignors", List, Is("simple"), Any, Medium, ReadOnly, ignored: ASSIGNORS;
    /// How often a record is delivered before it is given up.
    "group.share.delivery.count.limit", Int, Is("5"), Between(2, 10), Medium, ReadOnly;
    /// Class that writes to dead-letter queues.
    "group.share.dlq.manager.class.name", String,
        Is("org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager"), Any, Medium, ReadOnly, internal,
        ignored: JAVA;
    /// How often members send heartbeats.
    "group.share.heartbeat.interval.ms", Int, Is("5000"), AtLeast(1), Medium, ReadOnly;
    /// How long the coordinator rests before it initialises a partition's state again.
    "group.share.initialize.retry.interval.ms", Int, Is("30000"), AtLeast(1), Low, ReadOnly, internal;
    /// Longest assignment interval that a group may be given.
    "group.share.max.assignment.interval.ms", Int, Is("15000"), AtLeast(0), Medium, ReadOnly;
    /// Largest delivery limit that a group may be given.
    "group.share.max.delivery.count.limit", Int, Is("10"), Between(5, 25), Medium, ReadOnly;
    /// Longest heartbeat interval that a group may be given.
    "group.share.max.heartbeat.interval.ms", Int, Is("15000"), AtLeast(1), Medium, ReadOnly;
    /// Largest number of records in flight that a group may be given.
    "group.share.max.partition.max.record.locks", Int, Is("4000"), Between(2000, 10_000), Medium, ReadOnly;
    /// Longest lock duration that a group may be given.
    "group.share.max.record.lock.duration.ms", Int, Is("60000"), Between(30_000, 3_600_000), Medium,
        ReadOnly;
    /// Longest session timeout that a group may be given.
    "group.share.max.session.timeout.ms", Int, Is("60000"), AtLeast(1), Medium, ReadOnly;
    /// Most share sessions of the broker.
    "group.share.max.share.sessions", Int, Is("2000"), AtLeast(1), Medium, ReadOnly;
    /// Most members of a share group.
    "group.share.max.size", Int, Is("200"), Between(1, 1000), Medium, ReadOnly;
    /// Shortest assignment interval that a group may be given.
    "group.share.min.assignment.interval.ms", Int, Is("0"), AtLeast(0), Medium, ReadOnly;
    /// Smallest delivery limit that a group may be given.
    "group.share.min.delivery.count.limit", Int, Is("2"), Between(2, 5), Medium, ReadOnly;
    /// Shortest heartbeat interval that a group may be given.
    "group.share.min.heartbeat.interval.ms", Int, Is("5000"), AtLeast(1), Medium, ReadOnly;
    /// Smallest number of records in flight that a group may be given.
    "group.share.min.partition.max.record.locks", Int, Is("100"), Between(100, 2000), Medium, ReadOnly;
    /// Shortest lock duration that a group may be given.
    "group.share.min.record.lock.duration.ms", Int, Is("15000"), Between(1000, 30_000), Medium, ReadOnly;
    /// Shortest session timeout that a group may be given.
    "group.share.min.session.timeout.ms", Int, Is("45000"), AtLeast(1), Medium, ReadOnly;
    /// Most records in flight for a group in one partition.
    "group.share.partition.max.record.locks", Int, Is("2000"), Between(100, 10_000), Medium, ReadOnly;
    /// Class that keeps the state of share groups.
    "group.share.persister.class.name", String,
        Is("org.apache.kafka.server.share.persister.DefaultStatePersister"), Any, Medium, ReadOnly, internal,
        ignored: JAVA;
    /// How long a consumer holds an acquired record.
    "group.share.record.lock.duration.ms", Int, Is("30000"), Between(1000, 3_600_000), Medium, ReadOnly;
    /// How long a member may be silent before it is removed.
    "group.share.session.timeout.ms", Int, Is("45000"), AtLeast(1), Medium, ReadOnly;
    /// How long coordinator records wait for company; -1 lets the load decide.
    "share.coordinator.append.linger.ms", Int, Is("-1"), AtLeast(-1), Medium, ReadOnly,
        ignored: LINGER;
    /// Largest buffer that the share coordinator keeps for its next write.
    "share.coordinator.cached.buffer.max.bytes", Int, Is("1048588"), AtLeast(524_288), Medium, ClusterWide,
        ignored: BUFFER;
    /// How often a snapshot is written for share state that does not change.
    "share.coordinator.cold.partition.snapshot.interval.ms", Int, Is("300000"), AtLeast(1), Low, ReadOnly,
        internal;
    /// Bytes read at a time when share state is loaded.
    "share.coordinator.load.buffer.size", Int, Is("5242880"), AtLeast(1), High, ReadOnly;
    /// Update records between two snapshots of share state.
    "share.coordinator.snapshot.update.records.per.snapshot", Int, Is("500"), Between(0, 500), Medium,
        ReadOnly;
    /// Codec of the share state topic, by number; 0 for none.
    "share.coordinator.state.topic.compression.codec", Int, Is("0"), Any, High, ReadOnly;
    /// `min.insync.replicas` of the share state topic.
    "share.coordinator.state.topic.min.isr", Short, Is("2"), AtLeast(1), High, ReadOnly;
    /// Partitions of the share state topic when it is made.
    "share.coordinator.state.topic.num.partitions", Int, Is("50"), AtLeast(1), High, ReadOnly;
    /// How often old records of the share state topic are deleted.
    "share.coordinator.state.topic.prune.interval.ms", Int, Is("300000"), AtLeast(1), Low, ReadOnly,
        internal;
    /// Replicas of the share state topic when it is made.
    "share.coordinator.state.topic.replication.factor", Short, Is("3"), AtLeast(1), High, ReadOnly;
    /// Segment size of the share state topic.
    "share.coordinator.state.topic.segment.bytes", Int, Is("104857600"), AtLeast(1), High, ReadOnly;
    /// Threads of the share coordinator.
    "share.coordinator.threads", Int, Is("1"), AtLeast(1), Medium, ReadOnly, ignored: THREADS;
    /// How long a write of share state may take to be replicated.
    "share.coordinator.write.timeout.ms", Int, Is("5000"), AtLeast(1), High, ReadOnly;
    /// How many finished share fetches may pile up before they are cleared away.
    "share.fetch.purgatory.purge.interval.requests", Int, Is("1000"), Any, Medium, ReadOnly,
        ignored: PURGATORY;
}
