//! Records of `__consumer_offsets`: share groups (KIP-932).

use uuid::Uuid;

message! {
    /// Key of type 10: share group member metadata.
    ShareGroupMemberMetadataKey [0] flexible [none] {
        group_id: String, [0];
        member_id: String, [0];
    }
}

message! {
    /// Value under a key of type 10: share group member metadata.
    ShareGroupMemberMetadataValue [0] flexible [0+] {
        rack_id: Option<String>, [0+], null [0+], default Some(Default::default());
        client_id: String, [0+];
        client_host: String, [0+];
        subscribed_topic_names: Vec<String>, [0+];
    }
}

message! {
    /// Key of type 11: share group metadata.
    ShareGroupMetadataKey [0] flexible [none] {
        group_id: String, [0];
    }
}

message! {
    /// Value under a key of type 11: share group metadata.
    ShareGroupMetadataValue [0] flexible [0+] {
        epoch: i32, [0+];
        metadata_hash: i64, [0+];
    }
}

message! {
    /// Key of type 12: share group target assignment metadata.
    ShareGroupTargetAssignmentMetadataKey [0] flexible [none] {
        group_id: String, [0];
    }
}

message! {
    /// Value under a key of type 12: share group target assignment metadata.
    ShareGroupTargetAssignmentMetadataValue [0] flexible [0+] {
        assignment_epoch: i32, [0+];
        assignment_timestamp: i64, [0+], tag 0 [0+];
    }
}

message! {
    /// Key of type 13: share group target assignment member.
    ShareGroupTargetAssignmentMemberKey [0] flexible [none] {
        group_id: String, [0];
        member_id: String, [0];
    }
}

message! {
    /// Value under a key of type 13: share group target assignment member.
    ShareGroupTargetAssignmentMemberValue [0] flexible [0+] {
        topic_partitions: Vec<ShareGroupTargetAssignmentMemberTopicPartition>, [0+];
    }
}

structure! {
    /// A part of [`ShareGroupTargetAssignmentMemberValue`].
    ShareGroupTargetAssignmentMemberTopicPartition {
        topic_id: Uuid, [0+];
        partitions: Vec<i32>, [0+];
    }
}

message! {
    /// Key of type 14: share group current member assignment.
    ShareGroupCurrentMemberAssignmentKey [0] flexible [none] {
        group_id: String, [0];
        member_id: String, [0];
    }
}

message! {
    /// Value under a key of type 14: share group current member assignment.
    ShareGroupCurrentMemberAssignmentValue [0] flexible [0+] {
        member_epoch: i32, [0+];
        previous_member_epoch: i32, [0+];
        state: i8, [0+];
        assigned_partitions: Vec<ShareGroupCurrentMemberAssignmentTopicPartitions>, [0+];
    }
}

structure! {
    /// A part of [`ShareGroupCurrentMemberAssignmentValue`].
    ShareGroupCurrentMemberAssignmentTopicPartitions {
        topic_id: Uuid, [0+];
        partitions: Vec<i32>, [0+];
    }
}

message! {
    /// Key of type 15: share group state partition metadata.
    ShareGroupStatePartitionMetadataKey [0] flexible [none] {
        group_id: String, [0];
    }
}

message! {
    /// Value under a key of type 15: share group state partition metadata.
    ShareGroupStatePartitionMetadataValue [0] flexible [0+] {
        initializing_topics: Vec<TopicPartitionsInfo>, [0+];
        initialized_topics: Vec<TopicPartitionsInfo>, [0+];
        deleting_topics: Vec<TopicInfo>, [0+];
    }
}

structure! {
    /// A part of [`ShareGroupStatePartitionMetadataValue`].
    TopicPartitionsInfo {
        topic_id: Uuid, [0+];
        topic_name: String, [0+];
        partitions: Vec<i32>, [0+];
    }
}

structure! {
    /// A part of [`ShareGroupStatePartitionMetadataValue`].
    TopicInfo {
        topic_id: Uuid, [0+];
        topic_name: String, [0+];
    }
}
