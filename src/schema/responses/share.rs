//! Share groups (KIP-932).

layouts! {
    share_group_heartbeat_response ShareGroupHeartbeatResponse [1] flexible [0+] {
        ShareGroupHeartbeatResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            member_id string [0+] null [0+];
            member_epoch int32 [0+];
            heartbeat_interval_ms int32 [0+];
            assignment Assignment [0+] null [0+];
        }
        TopicPartitions {
            topic_id uuid [0+];
            partitions [int32] [0+];
        }
        Assignment {
            topic_partitions [TopicPartitions] [0+];
        }
    }

    share_group_describe_response ShareGroupDescribeResponse [1] flexible [0+] {
        ShareGroupDescribeResponse {
            throttle_time_ms int32 [0+];
            groups [DescribedGroup] [0+];
        }
        TopicPartitions {
            topic_id uuid [0+];
            topic_name string [0+];
            partitions [int32] [0+];
        }
        Assignment {
            topic_partitions [TopicPartitions] [0+];
        }
        DescribedGroup {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            group_id string [0+];
            group_state string [0+];
            group_epoch int32 [0+];
            assignment_epoch int32 [0+];
            assignor_name string [0+];
            members [Member] [0+];
            authorized_operations int32 [0+];
        }
        Member {
            member_id string [0+];
            rack_id string [0+] null [0+];
            member_epoch int32 [0+];
            client_id string [0+];
            client_host string [0+];
            subscribed_topic_names [string] [0+];
            assignment Assignment [0+];
        }
    }

    alter_share_group_offsets_response AlterShareGroupOffsetsResponse [0] flexible [0+] {
        AlterShareGroupOffsetsResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            responses [AlterShareGroupOffsetsResponseTopic] [0+];
        }
        AlterShareGroupOffsetsResponseTopic {
            topic_name string [0+];
            topic_id uuid [0+];
            partitions [AlterShareGroupOffsetsResponsePartition] [0+];
        }
        AlterShareGroupOffsetsResponsePartition {
            partition_index int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    delete_share_group_offsets_response DeleteShareGroupOffsetsResponse [0] flexible [0+] {
        DeleteShareGroupOffsetsResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            responses [DeleteShareGroupOffsetsResponseTopic] [0+];
        }
        DeleteShareGroupOffsetsResponseTopic {
            topic_name string [0+];
            topic_id uuid [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    initialize_share_group_state_response InitializeShareGroupStateResponse [0] flexible [0+] {
        InitializeShareGroupStateResponse {
            results [InitializeStateResult] [0+];
        }
        InitializeStateResult {
            topic_id uuid [0+];
            partitions [PartitionResult] [0+];
        }
        PartitionResult {
            partition int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    read_share_group_state_response ReadShareGroupStateResponse [0] flexible [0+] {
        ReadShareGroupStateResponse {
            results [ReadStateResult] [0+];
        }
        ReadStateResult {
            topic_id uuid [0+];
            partitions [PartitionResult] [0+];
        }
        PartitionResult {
            partition int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            state_epoch int32 [0+];
            start_offset int64 [0+];
            state_batches [StateBatch] [0+];
        }
        StateBatch {
            first_offset int64 [0+];
            last_offset int64 [0+];
            delivery_state int8 [0+];
            delivery_count int16 [0+];
        }
    }

    delete_share_group_state_response DeleteShareGroupStateResponse [0] flexible [0+] {
        DeleteShareGroupStateResponse {
            results [DeleteStateResult] [0+];
        }
        DeleteStateResult {
            topic_id uuid [0+];
            partitions [PartitionResult] [0+];
        }
        PartitionResult {
            partition int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }
}
