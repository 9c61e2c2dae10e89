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

    share_fetch_response ShareFetchResponse [1-2] flexible [0+] {
        ShareFetchResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            acquisition_lock_timeout_ms int32 [1+];
            responses [ShareFetchableTopicResponse] [0+];
            node_endpoints [NodeEndpoint] [0+];
        }
        ShareFetchableTopicResponse {
            topic_id uuid [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            acknowledge_error_code int16 [0+];
            acknowledge_error_message string [0+] null [0+];
            current_leader LeaderIdAndEpoch [0+];
            records records [0+] null [0];
            acquired_records [AcquiredRecords] [0+];
        }
        LeaderIdAndEpoch {
            leader_id int32 [0+];
            leader_epoch int32 [0+];
        }
        AcquiredRecords {
            first_offset int64 [0+];
            last_offset int64 [0+];
            delivery_count int16 [0+];
        }
        NodeEndpoint {
            node_id int32 [0+];
            host string [0+];
            port int32 [0+];
            rack string [0+] null [0+];
        }
    }

    share_acknowledge_response ShareAcknowledgeResponse [1-2] flexible [0+] {
        ShareAcknowledgeResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            acquisition_lock_timeout_ms int32 [2+];
            responses [ShareAcknowledgeTopicResponse] [0+];
            node_endpoints [NodeEndpoint] [0+];
        }
        ShareAcknowledgeTopicResponse {
            topic_id uuid [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            current_leader LeaderIdAndEpoch [0+];
        }
        LeaderIdAndEpoch {
            leader_id int32 [0+];
            leader_epoch int32 [0+];
        }
        NodeEndpoint {
            node_id int32 [0+];
            host string [0+];
            port int32 [0+];
            rack string [0+] null [0+];
        }
    }

    describe_share_group_offsets_response DescribeShareGroupOffsetsResponse [0-1] flexible [0+] {
        DescribeShareGroupOffsetsResponse {
            throttle_time_ms int32 [0+];
            groups [DescribeShareGroupOffsetsResponseGroup] [0+];
        }
        DescribeShareGroupOffsetsResponseGroup {
            group_id string [0+];
            topics [DescribeShareGroupOffsetsResponseTopic] [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
        DescribeShareGroupOffsetsResponseTopic {
            topic_name string [0+];
            topic_id uuid [0+];
            partitions [DescribeShareGroupOffsetsResponsePartition] [0+];
        }
        DescribeShareGroupOffsetsResponsePartition {
            partition_index int32 [0+];
            start_offset int64 [0+];
            leader_epoch int32 [0+];
            lag int64 [1+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
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

    write_share_group_state_response WriteShareGroupStateResponse [0-1] flexible [0+] {
        WriteShareGroupStateResponse {
            results [WriteStateResult] [0+];
        }
        WriteStateResult {
            topic_id uuid [0+];
            partitions [PartitionResult] [0+];
        }
        PartitionResult {
            partition int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
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

    read_share_group_state_summary_response ReadShareGroupStateSummaryResponse [0-1] flexible [0+] {
        ReadShareGroupStateSummaryResponse {
            results [ReadStateSummaryResult] [0+];
        }
        ReadStateSummaryResult {
            topic_id uuid [0+];
            partitions [PartitionResult] [0+];
        }
        PartitionResult {
            partition int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            state_epoch int32 [0+];
            leader_epoch int32 [0+];
            start_offset int64 [0+];
            delivery_complete_count int32 [1+];
        }
    }
}
