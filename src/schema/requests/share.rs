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

    share_fetch_request ShareFetchRequest [1-2] flexible [0+] {
        ShareFetchRequest {
            group_id string [0+] null [0+];
            member_id string [0+] null [0+];
            share_session_epoch int32 [0+];
            max_wait_ms int32 [0+];
            min_bytes int32 [0+];
            max_bytes int32 [0+];
            max_records int32 [1+];
            batch_size int32 [1+];
            share_acquire_mode int8 [2+];
            is_renew_ack bool [2+];
            topics [FetchTopic] [0+];
            forgotten_topics_data [ForgottenTopic] [0+];
        }
        FetchTopic {
            topic_id uuid [0+];
            partitions [FetchPartition] [0+];
        }
        FetchPartition {
            partition_index int32 [0+];
            partition_max_bytes int32 [0];
            acknowledgement_batches [AcknowledgementBatch] [0+];
        }
        AcknowledgementBatch {
            first_offset int64 [0+];
            last_offset int64 [0+];
            acknowledge_types [int8] [0+];
        }
        ForgottenTopic {
            topic_id uuid [0+];
            partitions [int32] [0+];
        }
    }

    share_acknowledge_request ShareAcknowledgeRequest [1-2] flexible [0+] {
        ShareAcknowledgeRequest {
            group_id string [0+] null [0+];
            member_id string [0+] null [0+];
            share_session_epoch int32 [0+];
            is_renew_ack bool [2+];
            topics [AcknowledgeTopic] [0+];
        }
        AcknowledgeTopic {
            topic_id uuid [0+];
            partitions [AcknowledgePartition] [0+];
        }
        AcknowledgePartition {
            partition_index int32 [0+];
            acknowledgement_batches [AcknowledgementBatch] [0+];
        }
        AcknowledgementBatch {
            first_offset int64 [0+];
            last_offset int64 [0+];
            acknowledge_types [int8] [0+];
        }
    }

    describe_share_group_offsets_request DescribeShareGroupOffsetsRequest [0-1] flexible [0+] {
        DescribeShareGroupOffsetsRequest {
            groups [DescribeShareGroupOffsetsRequestGroup] [0+];
        }
        DescribeShareGroupOffsetsRequestGroup {
            group_id string [0+];
            topics [DescribeShareGroupOffsetsRequestTopic] [0+] null [0+];
        }
        DescribeShareGroupOffsetsRequestTopic {
            topic_name string [0+];
            partitions [int32] [0+];
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

    write_share_group_state_request WriteShareGroupStateRequest [0-1] flexible [0+] {
        WriteShareGroupStateRequest {
            group_id string [0+];
            topics [WriteStateData] [0+];
        }
        WriteStateData {
            topic_id uuid [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition int32 [0+];
            state_epoch int32 [0+];
            leader_epoch int32 [0+];
            start_offset int64 [0+];
            delivery_complete_count int32 [1+];
            state_batches [StateBatch] [0+];
        }
        StateBatch {
            first_offset int64 [0+];
            last_offset int64 [0+];
            delivery_state int8 [0+];
            delivery_count int16 [0+];
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

    read_share_group_state_summary_request ReadShareGroupStateSummaryRequest [0-1] flexible [0+] {
        ReadShareGroupStateSummaryRequest {
            group_id string [0+];
            topics [ReadStateSummaryData] [0+];
        }
        ReadStateSummaryData {
            topic_id uuid [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition int32 [0+];
            leader_epoch int32 [0+];
        }
    }
}
