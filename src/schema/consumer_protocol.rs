//! The bytes that classic consumers exchange through JoinGroup and SyncGroup (KIP-429, KIP-792, KIP-881).
//!
//! An int16, the version, stands before each. The coordinator needs them only to know which topics a group
//! reads.

use bytes::Bytes;

message! {
    /// What a member of a classic consumer group subscribes to, within JoinGroup's metadata.
    ConsumerProtocolSubscription [0-3] flexible [none] {
        topics: Vec<String>, [0+];
        user_data: Option<Bytes>, [0+], null [0+];
        owned_partitions: Vec<TopicPartition>, [1+];
        generation_id: i32, [2+], default -1;
        rack_id: Option<String>, [3+], null [3+];
    }
}

structure! {
    /// A part of [`ConsumerProtocolSubscription`].
    TopicPartition {
        topic: String, [1+];
        partitions: Vec<i32>, [1+];
    }
}

message! {
    /// What a member of a classic consumer group is assigned, within SyncGroup's assignment.
    ConsumerProtocolAssignment [0-3] flexible [none] {
        assigned_partitions: Vec<ConsumerProtocolAssignmentTopicPartition>, [0+];
        user_data: Option<Bytes>, [0+], null [0+];
    }
}

structure! {
    /// A part of [`ConsumerProtocolAssignment`].
    ConsumerProtocolAssignmentTopicPartition {
        topic: String, [0+];
        partitions: Vec<i32>, [0+];
    }
}
