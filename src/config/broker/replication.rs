//! Replication between brokers.

use crate::config::property::properties;

const PURGATORY: &str = "what waits leaves nothing behind that would need purging";

properties! {
    /// Replication between brokers.
    pub(super) REPLICATION_KEYS;

    /// Whether leadership returns to preferred replicas by itself.
    "auto.leader.rebalance.enable", Boolean, Is("true"), Any, High, ReadOnly;
    /// How many finished DeleteRecords may pile up before they are cleared away.
    "delete.records.purgatory.purge.interval.requests", Int, Is("1"), Any, Medium, ReadOnly,
        ignored: PURGATORY;
    /// How many finished fetches may pile up before they are cleared away.
    "fetch.purgatory.purge.interval.requests", Int, Is("1000"), Any, Medium, ReadOnly, ignored: PURGATORY;
    /// How often the balance of leaders is looked at.
    "leader.imbalance.check.interval.seconds", Long, Is("300"), AtLeast(1), High, ReadOnly;
    /// Fewest in-sync replicas with which acks=all is accepted.
    "min.insync.replicas", Int, Is("1"), AtLeast(1), High, ClusterWide;
    /// Replicas that move between directories at the same time.
    "num.replica.alter.log.dirs.threads", Int, Null, Any, High, ReadOnly,
        ignored: "moving replicas between directories is not there yet";
    /// Fetching connections to every leader's broker, up to 32. A change shows at the next start.
    "num.replica.fetchers", Int, Is("1"), AtLeast(1), High, ClusterWide;
    /// How many finished produces may pile up before they are cleared away.
    "producer.purgatory.purge.interval.requests", Int, Is("1000"), Any, Medium, ReadOnly, ignored: PURGATORY;
    /// How long a follower rests after a failed fetch.
    "replica.fetch.backoff.ms", Int, Is("1000"), AtLeast(0), Medium, ReadOnly;
    /// Bytes a follower asks of one partition.
    "replica.fetch.max.bytes", Int, Is("1048576"), AtLeast(0), Medium, ReadOnly;
    /// Bytes for which a follower's fetch waits.
    "replica.fetch.min.bytes", Int, Is("1"), Any, High, ReadOnly;
    /// Bytes a follower asks for in one fetch.
    "replica.fetch.response.max.bytes", Int, Is("10485760"), AtLeast(0), Medium, ReadOnly;
    /// How long a follower's fetch waits.
    "replica.fetch.wait.max.ms", Int, Is("500"), Any, High, ReadOnly;
    /// How often high watermarks are written down.
    "replica.high.watermark.checkpoint.interval.ms", Long, Is("5000"), Any, High, ReadOnly;
    /// How long a follower may lag before it leaves the in-sync set.
    "replica.lag.time.max.ms", Long, Is("30000"), Any, High, ReadOnly;
    /// How the replica is chosen that a consumer should read from:
    /// `org.apache.kafka.common.replica.RackAwareReplicaSelector`, or else the leader.
    "replica.selector.class", String, Null, Any, Medium, ReadOnly;
    /// Size of a follower's receive buffer in the system.
    "replica.socket.receive.buffer.bytes", Int, Is("65536"), Any, High, ReadOnly,
        ignored: "the system sizes receive buffers by itself";
    /// How long a follower waits for an answer.
    "replica.socket.timeout.ms", Int, Is("30000"), Any, High, ReadOnly;
    /// Whether a replica outside the in-sync set may lead when no other can, at the cost of records.
    "unclean.leader.election.enable", Boolean, Is("false"), Any, High, ClusterWide;
    /// How often unclean elections are looked for.
    "unclean.leader.election.interval.ms", Long, Is("300000"), AtLeast(1), Medium, ReadOnly, internal;
}
