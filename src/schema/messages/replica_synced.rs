//! [`ReplicaSyncedRequest`], a private call between brokers: a follower's disk has caught up.
//!
//! Where `acks.all.durability` is `fsync`, a replica counts with what is on its disk. A follower says so in a tagged field of
//! each partition that it fetches, and with this call while a fetch waits. Kafka's brokers know neither and need neither.

use uuid::Uuid;

message! {
    /// What is on a follower's disk. With `end_wait` its fetches that wait for records are to be answered now: it has more
    /// to ask for.
    ReplicaSyncedRequest [0] flexible [0+] {
        broker_id: i32, [0+], default -1;
        broker_epoch: i64, [0+], default -1;
        topics: Vec<ReplicaSyncedTopic>, [0+];
        end_wait: bool, [0+];
    }
}

structure! {
    /// A part of [`ReplicaSyncedRequest`].
    ReplicaSyncedTopic {
        topic_id: Uuid, [0+];
        partitions: Vec<ReplicaSyncedPartition>, [0+];
    }
}

structure! {
    /// A part of [`ReplicaSyncedRequest`].
    ReplicaSyncedPartition {
        partition: i32, [0+];
        leader_epoch: i32, [0+], default -1;
        synced_end_offset: i64, [0+];
    }
}

message! {
    /// The answer: that it was heard. What it changed is nobody's business but the leader's.
    ReplicaSyncedResponse [0] flexible [0+] {
        error_code: i16, [0+];
    }
}

wire_message! { request ReplicaSyncedRequest, key 10010, response ReplicaSyncedResponse }
wire_message! { response ReplicaSyncedResponse }
