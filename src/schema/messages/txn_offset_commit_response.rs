//! [`TxnOffsetCommitResponse`].

use kafka_protocol::messages::TopicName;
use uuid::Uuid;

message! {
    /// Which offsets were taken.
    TxnOffsetCommitResponse [0-6] flexible [3+] {
        throttle_time_ms: i32, [0+];
        topics: Vec<TxnOffsetCommitResponseTopic>, [0+];
    }
}

structure! {
    /// A part of [`TxnOffsetCommitResponse`].
    TxnOffsetCommitResponseTopic {
        name: TopicName, [0-5];
        topic_id: Uuid, [6+];
        partitions: Vec<TxnOffsetCommitResponsePartition>, [0+];
    }
}

structure! {
    /// A part of [`TxnOffsetCommitResponse`].
    TxnOffsetCommitResponsePartition {
        partition_index: i32, [0+];
        error_code: i16, [0+];
    }
}

wire_message! { response TxnOffsetCommitResponse }
