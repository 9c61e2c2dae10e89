//! Share groups (KIP-932).

layouts! {
    share_group_heartbeat_request ShareGroupHeartbeatRequest [1] flexible [0+] {
        ShareGroupHeartbeatRequest {
            group_id string [0+];
            member_id string [0+];
            member_epoch int32 [0+];
            rack_id string [0+] null [0+];
            subscribed_topic_names [string] [0+] null [0+];
        }
    }

    share_group_describe_request ShareGroupDescribeRequest [1] flexible [0+] {
        ShareGroupDescribeRequest {
            group_ids [string] [0+];
            include_authorized_operations bool [0+];
        }
    }

    alter_share_group_offsets_request AlterShareGroupOffsetsRequest [0] flexible [0+] {
        AlterShareGroupOffsetsRequest {
            group_id string [0+];
            topics [AlterShareGroupOffsetsRequestTopic] [0+];
        }
        AlterShareGroupOffsetsRequestTopic {
            topic_name string [0+];
            partitions [AlterShareGroupOffsetsRequestPartition] [0+];
        }
        AlterShareGroupOffsetsRequestPartition {
            partition_index int32 [0+];
            start_offset int64 [0+];
        }
    }

    delete_share_group_offsets_request DeleteShareGroupOffsetsRequest [0] flexible [0+] {
        DeleteShareGroupOffsetsRequest {
            group_id string [0+];
            topics [DeleteShareGroupOffsetsRequestTopic] [0+];
        }
        DeleteShareGroupOffsetsRequestTopic {
            topic_name string [0+];
        }
    }

    initialize_share_group_state_request InitializeShareGroupStateRequest [0] flexible [0+] {
        InitializeShareGroupStateRequest {
            group_id string [0+];
            topics [InitializeStateData] [0+];
        }
        InitializeStateData {
            topic_id uuid [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition int32 [0+];
            state_epoch int32 [0+];
            start_offset int64 [0+];
        }
    }

    read_share_group_state_request ReadShareGroupStateRequest [0] flexible [0+] {
        ReadShareGroupStateRequest {
            group_id string [0+];
            topics [ReadStateData] [0+];
        }
        ReadStateData {
            topic_id uuid [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition int32 [0+];
            leader_epoch int32 [0+];
        }
    }

    delete_share_group_state_request DeleteShareGroupStateRequest [0] flexible [0+] {
        DeleteShareGroupStateRequest {
            group_id string [0+];
            topics [DeleteStateData] [0+];
        }
        DeleteStateData {
            topic_id uuid [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition int32 [0+];
        }
    }
}
