//! The keys of a group (resource type GROUP, KIP-848, KIP-932, KIP-1071).
//!
//! A group key that nobody sets on the group takes the value of its broker key.

use super::property::{Property, properties};

const STREAMS: &str = "the Streams group protocol is not there yet";

properties! {
    /// Every key of the resource type GROUP, ordered by name.
    pub GROUP_PROPERTIES;

    /// Shortest time between two assignments of the group.
    "consumer.assignment.interval.ms", Int, Is("1000"), AtLeast(0), Medium, ClusterWide;
    /// How often members send heartbeats.
    "consumer.heartbeat.interval.ms", Int, Is("5000"), AtLeast(1), Medium, ClusterWide;
    /// How long a member may be silent before it is removed.
    "consumer.session.timeout.ms", Int, Is("45000"), AtLeast(1), Medium, ClusterWide;
    /// Whether a dead-letter record carries the whole record or only where it is.
    "errors.deadletterqueue.copy.record.enable", Boolean, Is("false"), Any, Medium, ClusterWide;
    /// Topic that takes the records a share group gives up; empty for none.
    "errors.deadletterqueue.topic.name", String, Is(""), Any, Medium, ClusterWide;
    /// Shortest time between two assignments of the group.
    "share.assignment.interval.ms", Int, Is("1000"), AtLeast(0), Medium, ClusterWide;
    /// Where the group begins on a partition it has no state for.
    "share.auto.offset.reset", String, Is("latest"), ShareOffsetReset, Medium, ClusterWide;
    /// How often a record is delivered before it is given up.
    "share.delivery.count.limit", Int, Is("5"), AtLeast(2), Medium, ClusterWide;
    /// How often members send heartbeats.
    "share.heartbeat.interval.ms", Int, Is("5000"), AtLeast(1), Medium, ClusterWide;
    /// Whether records of transactions are delivered before they are committed.
    "share.isolation.level", String, Is("read_uncommitted"), OneOf(&["read_committed", "read_uncommitted"]), Medium,
        ClusterWide;
    /// Most records in flight for the group in one partition.
    "share.partition.max.record.locks", Int, Is("2000"), AtLeast(100), Medium, ClusterWide;
    /// How long a consumer holds an acquired record.
    "share.record.lock.duration.ms", Int, Is("30000"), AtLeast(1000), Medium, ClusterWide;
    /// Whether consumers may renew the lock of a record.
    "share.renew.acknowledge.enable", Boolean, Is("true"), Any, Medium, ClusterWide;
    /// How long a member may be silent before it is removed.
    "share.session.timeout.ms", Int, Is("45000"), AtLeast(1), Medium, ClusterWide;
    /// How far behind a task may be and still count as caught up.
    "streams.acceptable.recovery.lag", Long, Is("10000"), AtLeast(0), Medium, ClusterWide, ignored: STREAMS;
    /// Shortest time between two assignments of the group.
    "streams.assignment.interval.ms", Int, Is("1000"), AtLeast(0), Medium, ClusterWide, ignored: STREAMS;
    /// How often members send heartbeats.
    "streams.heartbeat.interval.ms", Int, Is("5000"), AtLeast(1), Medium, ClusterWide, ignored: STREAMS;
    /// How long the empty group waits for more members before its first assignment.
    "streams.initial.rebalance.delay.ms", Int, Is("3000"), AtLeast(0), Medium, ClusterWide, ignored: STREAMS;
    /// Standby copies of every stateful task.
    "streams.num.standby.replicas", Int, Is("0"), AtLeast(0), Medium, ClusterWide, ignored: STREAMS;
    /// Tasks that may warm up elsewhere at the same time.
    "streams.num.warmup.replicas", Int, Is("2"), AtLeast(0), Medium, ClusterWide, ignored: STREAMS;
    /// Client tags over which standby copies are spread.
    "streams.rack.aware.assignment.tags", List, Is(""), Any, Medium, ClusterWide, ignored: STREAMS;
    /// How long a member may be silent before it is removed.
    "streams.session.timeout.ms", Int, Is("45000"), AtLeast(1), Medium, ClusterWide, ignored: STREAMS;
    /// How often members report the offsets of their tasks.
    "streams.task.offset.interval.ms", Int, Is("60000"), AtLeast(1), Medium, ClusterWide, ignored: STREAMS;
}

/// The property of a group key.
pub fn property(key: &str) -> Option<&'static Property> {
    GROUP_PROPERTIES.binary_search_by_key(&key, |p| p.name).ok().map(|at| &GROUP_PROPERTIES[at])
}

/// The broker key behind a group key; `None` if there is none.
pub fn broker_synonym(key: &str) -> Option<&'static str> {
    property(key)?;
    super::broker::property(&format!("group.{key}")).map(|p| p.name)
}

/// The bounds that the broker sets for a group key, by name of its own keys; either may be missing.
pub(crate) fn broker_bounds(key: &str) -> [Option<&'static Property>; 2] {
    let bound = |which: &str| {
        let (prefix, rest) = key.split_once('.')?;
        super::broker::property(&format!("group.{prefix}.{which}.{rest}"))
    };
    [bound("min"), bound("max")]
}
