//! Producing and fetching.

layouts! {
    produce_response ProduceResponse [3-13] flexible [9+] {
        ProduceResponse {
            responses [TopicProduceResponse] [0+];
            throttle_time_ms int32 [1+];
            node_endpoints [NodeEndpoint] [10+] tag 0 [10+];
        }
        TopicProduceResponse {
            name string [0-12];
            topic_id uuid [13+];
            partition_responses [PartitionProduceResponse] [0+];
        }
        PartitionProduceResponse {
            index int32 [0+];
            error_code int16 [0+];
            base_offset int64 [0+];
            log_append_time_ms int64 [2+];
            log_start_offset int64 [5+];
            record_errors [BatchIndexAndErrorMessage] [8+];
            error_message string [8+] null [8+];
            current_leader LeaderIdAndEpoch [10+] tag 0 [10+];
        }
        BatchIndexAndErrorMessage {
            batch_index int32 [8+];
            batch_index_error_message string [8+] null [8+];
        }
        LeaderIdAndEpoch {
            leader_id int32 [10+];
            leader_epoch int32 [10+];
        }
        NodeEndpoint {
            node_id int32 [10+];
            host string [10+];
            port int32 [10+];
            rack string [10+] null [10+];
        }
    }

    fetch_response FetchResponse [4-18] flexible [12+] {
        FetchResponse {
            throttle_time_ms int32 [1+];
            error_code int16 [7+];
            session_id int32 [7+];
            responses [FetchableTopicResponse] [0+];
            node_endpoints [NodeEndpoint] [16+] tag 0 [16+];
        }
        FetchableTopicResponse {
            topic string [0-12];
            topic_id uuid [13+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            error_code int16 [0+];
            high_watermark int64 [0+];
            last_stable_offset int64 [4+];
            log_start_offset int64 [5+];
            aborted_transactions [AbortedTransaction] [4+] null [4+];
            preferred_read_replica int32 [11+];
            records records [0+] null [0+];
            diverging_epoch EpochEndOffset [12+] tag 0 [12+];
            current_leader LeaderIdAndEpoch [12+] tag 1 [12+];
            snapshot_id SnapshotId [12+] tag 2 [12+];
        }
        EpochEndOffset {
            epoch int32 [12+];
            end_offset int64 [12+];
        }
        LeaderIdAndEpoch {
            leader_id int32 [12+];
            leader_epoch int32 [12+];
        }
        SnapshotId {
            end_offset int64 [0+];
            epoch int32 [0+];
        }
        AbortedTransaction {
            producer_id int64 [4+];
            first_offset int64 [4+];
        }
        NodeEndpoint {
            node_id int32 [16+];
            host string [16+];
            port int32 [16+];
            rack string [16+] null [16+];
        }
    }

    delete_records_response DeleteRecordsResponse [0-2] flexible [2+] {
        DeleteRecordsResponse {
            throttle_time_ms int32 [0+];
            topics [DeleteRecordsTopicResult] [0+];
        }
        DeleteRecordsTopicResult {
            name string [0+];
            partitions [DeleteRecordsPartitionResult] [0+];
        }
        DeleteRecordsPartitionResult {
            partition_index int32 [0+];
            low_watermark int64 [0+];
            error_code int16 [0+];
        }
    }

    offset_for_leader_epoch_response OffsetForLeaderEpochResponse [2-4] flexible [4+] {
        OffsetForLeaderEpochResponse {
            throttle_time_ms int32 [2+];
            topics [OffsetForLeaderTopicResult] [0+];
        }
        OffsetForLeaderTopicResult {
            topic string [0+];
            partitions [EpochEndOffset] [0+];
        }
        EpochEndOffset {
            error_code int16 [0+];
            partition int32 [0+];
            leader_epoch int32 [1+];
            end_offset int64 [0+];
        }
    }

    describe_producers_response DescribeProducersResponse [0] flexible [0+] {
        DescribeProducersResponse {
            throttle_time_ms int32 [0+];
            topics [TopicResponse] [0+];
        }
        TopicResponse {
            name string [0+];
            partitions [PartitionResponse] [0+];
        }
        PartitionResponse {
            partition_index int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            active_producers [ProducerState] [0+];
        }
        ProducerState {
            producer_id int64 [0+];
            producer_epoch int32 [0+];
            last_sequence int32 [0+];
            last_timestamp int64 [0+];
            coordinator_epoch int32 [0+];
            current_txn_start_offset int64 [0+];
        }
    }
}
