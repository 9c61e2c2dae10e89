//! Classic, consumer and Streams groups, and committed offsets.

use crate::config::property::properties;

const ASSIGNOR_THREADS: &str = "assignments are calculated where the group is kept";
const COORDINATOR_THREADS: &str = "coordinators share one pool of threads, one per processor";
const STREAMS_GROUPS: &str = "the Streams group protocol is not there yet";

properties! {
    /// Classic, consumer and Streams groups, and committed offsets.
    pub(super) GROUPS;

    /// Shortest time between two assignments of a group.
    "group.consumer.assignment.interval.ms", Int, Is("1000"), AtLeast(0), Medium, ClusterWide;
    /// Whether assignments are calculated apart from the coordinator's loop.
    "group.consumer.assignor.offload.enable", Boolean, Is("true"), Any, Medium, ClusterWide, internal,
        ignored: ASSIGNOR_THREADS;
    /// Assignors on the broker; the first is used where the group names none.
    "group.consumer.assignors", List, Is("uniform,range"), Any, Medium, ReadOnly;
    /// How often members send heartbeats.
    "group.consumer.heartbeat.interval.ms", Int, Is("5000"), AtLeast(1), Medium, ReadOnly;
    /// Longest assignment interval that a group may be given.
    "group.consumer.max.assignment.interval.ms", Int, Is("15000"), AtLeast(0), Medium, ReadOnly;
    /// Longest heartbeat interval that a group may be given.
    "group.consumer.max.heartbeat.interval.ms", Int, Is("15000"), AtLeast(1), Medium, ReadOnly;
    /// Longest session timeout that a group may be given.
    "group.consumer.max.session.timeout.ms", Int, Is("60000"), AtLeast(1), Medium, ReadOnly;
    /// Most members of a consumer group.
    "group.consumer.max.size", Int, Is("2147483647"), AtLeast(1), Medium, ReadOnly;
    /// Which ways groups may change between the classic and the consumer protocol.
    "group.consumer.migration.policy", String, Is("bidirectional"),
        OneOfIgnoringCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), Medium, ReadOnly;
    /// Shortest assignment interval that a group may be given.
    "group.consumer.min.assignment.interval.ms", Int, Is("0"), AtLeast(0), Medium, ReadOnly;
    /// Shortest heartbeat interval that a group may be given.
    "group.consumer.min.heartbeat.interval.ms", Int, Is("5000"), AtLeast(1), Medium, ReadOnly;
    /// Shortest session timeout that a group may be given.
    "group.consumer.min.session.timeout.ms", Int, Is("45000"), AtLeast(1), Medium, ReadOnly;
    /// How often subscriptions by pattern are matched again.
    "group.consumer.regex.refresh.interval.ms", Int, Is("600000"), AtLeast(10_000), Medium, ReadOnly,
        internal;
    /// How long a member may be silent before it is removed.
    "group.consumer.session.timeout.ms", Int, Is("45000"), AtLeast(1), Medium, ReadOnly;
    /// How long coordinator records wait for company; -1 lets the load decide.
    "group.coordinator.append.linger.ms", Int, Is("-1"), AtLeast(-1), Medium, ReadOnly;
    /// Threads for the group coordinator's long calculations.
    "group.coordinator.background.threads", Int, Is("2"), AtLeast(1), High, ReadOnly,
        ignored: COORDINATOR_THREADS;
    /// Largest buffer that the group coordinator keeps for its next write.
    "group.coordinator.cached.buffer.max.bytes", Int, Is("1048588"), AtLeast(524_288), Medium, ClusterWide,
        ignored: "buffers are sized by what is written";
    /// Group protocols that are offered.
    "group.coordinator.rebalance.protocols", List, Is("classic,consumer,streams"),
        Members(&["consumer", "classic", "share", "streams"]), Medium, ReadOnly;
    /// Threads of the group coordinator.
    "group.coordinator.threads", Int, Is("4"), AtLeast(1), High, ReadOnly, ignored: COORDINATOR_THREADS;
    /// How long an empty group waits for more members before its first rebalance.
    "group.initial.rebalance.delay.ms", Int, Is("3000"), Any, Medium, ReadOnly;
    /// Longest session timeout that a member may ask for.
    "group.max.session.timeout.ms", Int, Is("1800000"), Any, Medium, ReadOnly;
    /// Most members of a classic group.
    "group.max.size", Int, Is("2147483647"), AtLeast(1), Medium, ReadOnly;
    /// Shortest session timeout that a member may ask for.
    "group.min.session.timeout.ms", Int, Is("6000"), Any, Medium, ReadOnly;
    /// How far behind a task may be and still count as caught up.
    "group.streams.acceptable.recovery.lag", Long, Is("10000"), AtLeast(0), Medium, ReadOnly, internal,
        ignored: STREAMS_GROUPS;
    /// Shortest time between two assignments of a group.
    "group.streams.assignment.interval.ms", Int, Is("1000"), AtLeast(0), Medium, ClusterWide,
        ignored: STREAMS_GROUPS;
    /// Whether assignments are calculated apart from the coordinator's loop.
    "group.streams.assignor.offload.enable", Boolean, Is("true"), Any, Medium, ClusterWide, internal,
        ignored: STREAMS_GROUPS;
    /// Task assignors on the broker; the first is used where the group names none.
    "group.streams.assignors", List, Is("sticky"), Any, Medium, ReadOnly, ignored: STREAMS_GROUPS;
    /// How often members send heartbeats.
    "group.streams.heartbeat.interval.ms", Int, Is("5000"), AtLeast(1), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// How long an empty group waits for more members before its first assignment.
    "group.streams.initial.rebalance.delay.ms", Int, Is("3000"), AtLeast(0), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// Longest assignment interval that a group may be given.
    "group.streams.max.assignment.interval.ms", Int, Is("15000"), AtLeast(0), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// Longest heartbeat interval that a group may be given.
    "group.streams.max.heartbeat.interval.ms", Int, Is("15000"), AtLeast(1), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// Longest session timeout that a group may be given.
    "group.streams.max.session.timeout.ms", Int, Is("60000"), AtLeast(1), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// Most members of a Streams group.
    "group.streams.max.size", Int, Is("2147483647"), AtLeast(1), Medium, ReadOnly, ignored: STREAMS_GROUPS;
    /// Most standby copies that a group may be given.
    "group.streams.max.standby.replicas", Int, Is("2"), AtLeast(0), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// Most warm-up tasks that a group may be given.
    "group.streams.max.warmup.replicas", Int, Is("20"), AtLeast(0), Medium, ReadOnly, internal,
        ignored: STREAMS_GROUPS;
    /// Shortest assignment interval that a group may be given.
    "group.streams.min.assignment.interval.ms", Int, Is("0"), AtLeast(0), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// Shortest heartbeat interval that a group may be given.
    "group.streams.min.heartbeat.interval.ms", Int, Is("5000"), AtLeast(1), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// Shortest session timeout that a group may be given.
    "group.streams.min.session.timeout.ms", Int, Is("45000"), AtLeast(1), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// Shortest reporting interval that a group may be given.
    "group.streams.min.task.offset.interval.ms", Int, Is("15000"), AtLeast(1), Medium, ReadOnly, internal,
        ignored: STREAMS_GROUPS;
    /// Standby copies of every stateful task.
    "group.streams.num.standby.replicas", Int, Is("0"), AtLeast(0), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// Tasks that may warm up elsewhere at the same time.
    "group.streams.num.warmup.replicas", Int, Is("2"), AtLeast(0), Medium, ReadOnly, internal,
        ignored: STREAMS_GROUPS;
    /// Client tags over which standby copies are spread.
    "group.streams.rack.aware.assignment.tags", List, Is(""), Any, Low, ReadOnly, ignored: STREAMS_GROUPS;
    /// How long a member may be silent before it is removed.
    "group.streams.session.timeout.ms", Int, Is("45000"), AtLeast(1), Medium, ReadOnly,
        ignored: STREAMS_GROUPS;
    /// How often members report the offsets of their tasks.
    "group.streams.task.offset.interval.ms", Int, Is("60000"), AtLeast(1), Medium, ReadOnly, internal,
        ignored: STREAMS_GROUPS;
    /// Class that keeps descriptions of topologies.
    "group.streams.topology.description.plugin.class", Class, Null, Any, Medium, ReadOnly,
        ignored: "Java classes cannot be loaded";
    /// Most bytes of the text that comes with a committed offset.
    "offset.metadata.max.bytes", Int, Is("4096"), Any, High, ReadOnly;
    /// How long an offset commit may take to be replicated.
    "offsets.commit.timeout.ms", Int, Is("5000"), AtLeast(1), High, ReadOnly;
    /// Bytes read at a time when offsets are loaded.
    "offsets.load.buffer.size", Int, Is("5242880"), AtLeast(1), High, ReadOnly;
    /// How often expired offsets are looked for.
    "offsets.retention.check.interval.ms", Long, Is("600000"), AtLeast(1), High, ReadOnly;
    /// How long the offsets of an empty group are kept.
    "offsets.retention.minutes", Int, Is("10080"), AtLeast(1), High, ReadOnly;
    /// Codec of the offsets topic, by number; 0 for none.
    "offsets.topic.compression.codec", Int, Is("0"), Any, High, ReadOnly;
    /// Partitions of the offsets topic when it is made.
    "offsets.topic.num.partitions", Int, Is("50"), AtLeast(1), High, ReadOnly;
    /// Replicas of the offsets topic when it is made.
    "offsets.topic.replication.factor", Short, Is("3"), AtLeast(1), High, ReadOnly;
    /// Segment size of the offsets topic.
    "offsets.topic.segment.bytes", Int, Is("104857600"), AtLeast(1), High, ReadOnly;
}
