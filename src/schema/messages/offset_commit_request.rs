//! [`OffsetCommitRequest`].

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Commits offsets of a group (KIP-848; topic ids since version 10).
    OffsetCommitRequest [2-10] flexible [8+] {
        group_id: GroupId, [0+];
        generation_id_or_member_epoch: i32, [1+], default -1;
        member_id: StrBytes, [1+];
        group_instance_id: Option<StrBytes>, [7+], null [7+];
        retention_time_ms: i64, [2-4], default -1;
        topics: Vec<OffsetCommitRequestTopic>, [0+];
    }
}

structure! {
    /// A part of [`OffsetCommitRequest`].
    OffsetCommitRequestTopic {
        name: TopicName, [0-9];
        topic_id: Uuid, [10+];
        partitions: Vec<OffsetCommitRequestPartition>, [0+];
    }
}

structure! {
    /// A part of [`OffsetCommitRequest`].
    OffsetCommitRequestPartition {
        partition_index: i32, [0+];
        committed_offset: i64, [0+];
        committed_leader_epoch: i32, [6+], default -1;
        committed_metadata: Option<StrBytes>, [0+], null [0+], default Some(Default::default());
    }
}

wire_message! {
    request OffsetCommitRequest, key 8,
    response kafka_protocol::messages::OffsetCommitResponse
}
