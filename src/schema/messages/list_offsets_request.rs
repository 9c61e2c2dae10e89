//! [`ListOffsetsRequest`].

use kafka_protocol::messages::{BrokerId, TopicName};

message! {
    /// Asks for offsets by timestamp or by one of the special timestamps (KIP-79, KIP-734, KIP-1005,
    /// KIP-1023).
    ListOffsetsRequest [1-11] flexible [6+] {
        replica_id: BrokerId, [0+];
        isolation_level: i8, [2+];
        topics: Vec<ListOffsetsTopic>, [0+];
        timeout_ms: i32, [10+];
    }
}

structure! {
    /// A part of [`ListOffsetsRequest`].
    ListOffsetsTopic {
        name: TopicName, [0+];
        partitions: Vec<ListOffsetsPartition>, [0+];
    }
}

structure! {
    /// A part of [`ListOffsetsRequest`].
    ListOffsetsPartition {
        partition_index: i32, [0+];
        current_leader_epoch: i32, [4+], default -1;
        timestamp: i64, [0+];
    }
}

wire_message! {
    request ListOffsetsRequest, key 2,
    response super::list_offsets_response::ListOffsetsResponse
}
