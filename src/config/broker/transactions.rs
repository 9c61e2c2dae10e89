//! Transactions.

use crate::config::property::properties;

const TWO_PHASES: &str = "transactions with two phases are not stable in Kafka either";

properties! {
    /// Transactions.
    pub(super) TRANSACTION_KEYS;

    /// How long the broker asks the coordinator again on a producer's behalf before the producer must.
    "add.partitions.to.txn.retry.backoff.max.ms", Int, Is("100"), AtLeast(0), High, ReadOnly;
    /// How long the broker rests before it asks the coordinator again on a producer's behalf.
    "add.partitions.to.txn.retry.backoff.ms", Int, Is("20"), AtLeast(1), High, ReadOnly;
    /// How often transactions past their timeout are looked for.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, Is("10000"), AtLeast(1), Low,
        ReadOnly;
    /// Longest timeout that a transaction may ask for.
    "transaction.max.timeout.ms", Int, Is("900000"), AtLeast(1), High, ReadOnly;
    /// Whether a partition checks with the coordinator that a transaction is open.
    "transaction.partition.verification.enable", Boolean, Is("true"), Any, Low, ClusterWide;
    /// How often transactional ids that expired are looked for.
    "transaction.remove.expired.transaction.cleanup.interval.ms", Int, Is("3600000"), AtLeast(1), Low,
        ReadOnly;
    /// Bytes read at a time when transactions are loaded.
    "transaction.state.log.load.buffer.size", Int, Is("5242880"), AtLeast(1), High, ReadOnly;
    /// `min.insync.replicas` of the transactions topic.
    "transaction.state.log.min.isr", Int, Is("2"), AtLeast(1), High, ReadOnly;
    /// Partitions of the transactions topic when it is made.
    "transaction.state.log.num.partitions", Int, Is("50"), AtLeast(1), High, ReadOnly;
    /// Replicas of the transactions topic when it is made.
    "transaction.state.log.replication.factor", Short, Is("3"), AtLeast(1), High, ReadOnly;
    /// Segment size of the transactions topic.
    "transaction.state.log.segment.bytes", Int, Is("104857600"), AtLeast(1), High, ReadOnly;
    /// Whether transactions may stay prepared without a timeout.
    "transaction.two.phase.commit.enable", Boolean, Is("false"), Any, Low, ReadOnly, ignored: TWO_PHASES;
    /// How long an idle transactional id is remembered.
    "transactional.id.expiration.ms", Int, Is("604800000"), AtLeast(1), High, ReadOnly;
}
