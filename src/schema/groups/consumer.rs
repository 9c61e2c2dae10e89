//! Records of `__consumer_offsets`: consumer groups (KIP-848).

use bytes::Bytes;
use uuid::Uuid;

message! {
    /// Key of type 3: consumer group metadata.
    ConsumerGroupMetadataKey [0] flexible [none] {
        group_id: String, [0];
    }
}

message! {
    /// Value under a key of type 3: consumer group metadata.
    ConsumerGroupMetadataValue [0] flexible [0+] {
        epoch: i32, [0+];
        metadata_hash: i64, [0+], tag 0 [0+];
    }
}

message! {
    /// Key of type 4: consumer group partition metadata.
    ConsumerGroupPartitionMetadataKey [0] flexible [none] {
        group_id: String, [0];
    }
}

message! {
    /// Value under a key of type 4: consumer group partition metadata.
    ConsumerGroupPartitionMetadataValue [0] flexible [0+] {
        topics: Vec<TopicMetadata>, [0+];
    }
}

structure! {
    /// A part of [`ConsumerGroupPartitionMetadataValue`].
    TopicMetadata {
        topic_id: Uuid, [0+];
        topic_name: String, [0+];
        num_partitions: i32, [0+];
        partition_metadata: Vec<PartitionMetadata>, [0+];
    }
}

structure! {
    /// A part of [`ConsumerGroupPartitionMetadataValue`].
    PartitionMetadata {
        partition: i32, [0+];
        racks: Vec<String>, [0+];
    }
}

message! {
    /// Key of type 5: consumer group member metadata.
    ConsumerGroupMemberMetadataKey [0] flexible [none] {
        group_id: String, [0];
        member_id: String, [0];
    }
}

message! {
    /// Value under a key of type 5: consumer group member metadata.
    ConsumerGroupMemberMetadataValue [0] flexible [0+] {
        instance_id: Option<String>, [0+], null [0+], default Some(Default::default());
        rack_id: Option<String>, [0+], null [0+], default Some(Default::default());
        client_id: String, [0+];
        client_host: String, [0+];
        subscribed_topic_names: Vec<String>, [0+];
        subscribed_topic_regex: Option<String>, [0+], null [0+], default Some(Default::default());
        rebalance_timeout_ms: i32, [0+], default -1;
        server_assignor: Option<String>, [0+], null [0+], default Some(Default::default());
        classic_member_metadata: Option<ClassicMemberMetadata>, [0+], null [0+], tag 0 [0+],
            default Some(Default::default());
    }
}

structure! {
    /// A part of [`ConsumerGroupMemberMetadataValue`].
    ClassicMemberMetadata {
        session_timeout_ms: i32, [0+];
        supported_protocols: Vec<ClassicProtocol>, [0+];
    }
}

structure! {
    /// A part of [`ConsumerGroupMemberMetadataValue`].
    ClassicProtocol {
        name: String, [0+];
        metadata: Bytes, [0+];
    }
}

message! {
    /// Key of type 6: consumer group target assignment metadata.
    ConsumerGroupTargetAssignmentMetadataKey [0] flexible [none] {
        group_id: String, [0];
    }
}

message! {
    /// Value under a key of type 6: consumer group target assignment metadata.
    ConsumerGroupTargetAssignmentMetadataValue [0] flexible [0+] {
        assignment_epoch: i32, [0+];
        assignment_timestamp: i64, [0+], tag 0 [0+];
    }
}

message! {
    /// Key of type 7: consumer group target assignment member.
    ConsumerGroupTargetAssignmentMemberKey [0] flexible [none] {
        group_id: String, [0];
        member_id: String, [0];
    }
}

message! {
    /// Value under a key of type 7: consumer group target assignment member.
    ConsumerGroupTargetAssignmentMemberValue [0] flexible [0+] {
        topic_partitions: Vec<TopicPartition>, [0+];
    }
}

structure! {
    /// A part of [`ConsumerGroupTargetAssignmentMemberValue`].
    TopicPartition {
        topic_id: Uuid, [0+];
        partitions: Vec<i32>, [0+];
    }
}

message! {
    /// Key of type 8: consumer group current member assignment.
    ConsumerGroupCurrentMemberAssignmentKey [0] flexible [none] {
        group_id: String, [0];
        member_id: String, [0];
    }
}

message! {
    /// Value under a key of type 8: consumer group current member assignment.
    ConsumerGroupCurrentMemberAssignmentValue [0] flexible [0+] {
        member_epoch: i32, [0+];
        previous_member_epoch: i32, [0+];
        state: i8, [0+];
        assigned_partitions: Vec<TopicPartitions>, [0+];
        partitions_pending_revocation: Vec<TopicPartitions>, [0+];
    }
}

structure! {
    /// A part of [`ConsumerGroupCurrentMemberAssignmentValue`].
    TopicPartitions {
        topic_id: Uuid, [0+];
        partitions: Vec<i32>, [0+];
        assignment_epochs: Option<Vec<i32>>, [0+], null [0+], tag 0 [0+],
            default Some(Default::default());
    }
}

message! {
    /// Key of type 16: consumer group regular expression.
    ConsumerGroupRegularExpressionKey [0] flexible [none] {
        group_id: String, [0];
        regular_expression: String, [0];
    }
}

message! {
    /// Value under a key of type 16: consumer group regular expression.
    ConsumerGroupRegularExpressionValue [0] flexible [0+] {
        topics: Vec<String>, [0+];
        version: i64, [0+];
        timestamp: i64, [0+];
    }
}
