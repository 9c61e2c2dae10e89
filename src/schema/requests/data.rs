//! Producing and fetching.

layouts! {
    produce_request ProduceRequest [3-13] flexible [9+] {
        ProduceRequest {
            transactional_id string [3+] null [3+];
            acks int16 [0+];
            timeout_ms int32 [0+];
            topic_data [TopicProduceData] [0+];
        }
        TopicProduceData {
            name string [0-12];
            topic_id uuid [13+];
            partition_data [PartitionProduceData] [0+];
        }
        PartitionProduceData {
            index int32 [0+];
            records records [0+] null [0+];
        }
    }

    fetch_request FetchRequest [4-18] flexible [12+] {
        FetchRequest {
            replica_id int32 [0-14];
            max_wait_ms int32 [0+];
            min_bytes int32 [0+];
            max_bytes int32 [3+];
            isolation_level int8 [4+];
            session_id int32 [7+];
            session_epoch int32 [7+];
            topics [FetchTopic] [0+];
            forgotten_topics_data [ForgottenTopic] [7+];
            rack_id string [11+];
            cluster_id string [12+] null [12+] tag 0 [12+];
            replica_state ReplicaState [15+] tag 1 [15+];
        }
        ReplicaState {
            replica_id int32 [15+];
            replica_epoch int64 [15+];
        }
        FetchTopic {
            topic string [0-12];
            topic_id uuid [13+];
            partitions [FetchPartition] [0+];
        }
        FetchPartition {
            partition int32 [0+];
            current_leader_epoch int32 [9+];
            fetch_offset int64 [0+];
            last_fetched_epoch int32 [12+];
            log_start_offset int64 [5+];
            partition_max_bytes int32 [0+];
            replica_directory_id uuid [17+] tag 0 [17+];
            high_watermark int64 [18+] tag 1 [18+];
        }
        ForgottenTopic {
            topic string [7-12];
            topic_id uuid [13+];
            partitions [int32] [7+];
        }
    }

    delete_records_request DeleteRecordsRequest [0-2] flexible [2+] {
        DeleteRecordsRequest {
            topics [DeleteRecordsTopic] [0+];
            timeout_ms int32 [0+];
        }
        DeleteRecordsTopic {
            name string [0+];
            partitions [DeleteRecordsPartition] [0+];
        }
        DeleteRecordsPartition {
            partition_index int32 [0+];
            offset int64 [0+];
        }
    }

    offset_for_leader_epoch_request OffsetForLeaderEpochRequest [2-4] flexible [4+] {
        OffsetForLeaderEpochRequest {
            replica_id int32 [3+];
            topics [OffsetForLeaderTopic] [0+];
        }
        OffsetForLeaderTopic {
            topic string [0+];
            partitions [OffsetForLeaderPartition] [0+];
        }
        OffsetForLeaderPartition {
            partition int32 [0+];
            current_leader_epoch int32 [2+];
            leader_epoch int32 [0+];
        }
    }

    describe_producers_request DescribeProducersRequest [0] flexible [0+] {
        DescribeProducersRequest {
            topics [TopicRequest] [0+];
        }
        TopicRequest {
            name string [0+];
            partition_indexes [int32] [0+];
        }
    }
}
