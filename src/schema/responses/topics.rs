//! Topics and partitions.

layouts! {
    metadata_response MetadataResponse [0-13] flexible [9+] {
        MetadataResponse {
            throttle_time_ms int32 [3+];
            brokers [MetadataResponseBroker] [0+];
            cluster_id string [2+] null [2+];
            controller_id int32 [1+];
            topics [MetadataResponseTopic] [0+];
            cluster_authorized_operations int32 [8-10];
            error_code int16 [13+];
        }
        MetadataResponseBroker {
            node_id int32 [0+];
            host string [0+];
            port int32 [0+];
            rack string [1+] null [1+];
        }
        MetadataResponseTopic {
            error_code int16 [0+];
            name string [0+] null [12+];
            topic_id uuid [10+];
            is_internal bool [1+];
            partitions [MetadataResponsePartition] [0+];
            topic_authorized_operations int32 [8+];
        }
        MetadataResponsePartition {
            error_code int16 [0+];
            partition_index int32 [0+];
            leader_id int32 [0+];
            leader_epoch int32 [7+];
            replica_nodes [int32] [0+];
            isr_nodes [int32] [0+];
            offline_replicas [int32] [5+];
        }
    }

    create_topics_response CreateTopicsResponse [2-7] flexible [5+] {
        CreateTopicsResponse {
            throttle_time_ms int32 [2+];
            topics [CreatableTopicResult] [0+];
        }
        CreatableTopicResult {
            name string [0+];
            topic_id uuid [7+];
            error_code int16 [0+];
            error_message string [1+] null [0+];
            num_partitions int32 [5+];
            replication_factor int16 [5+];
            configs [CreatableTopicConfigs] [5+] null [5+];
            topic_config_error_code int16 [5+] tag 0 [5+];
        }
        CreatableTopicConfigs {
            name string [5+];
            value string [5+] null [5+];
            read_only bool [5+];
            config_source int8 [5+];
            is_sensitive bool [5+];
        }
    }

    delete_topics_response DeleteTopicsResponse [1-6] flexible [4+] {
        DeleteTopicsResponse {
            throttle_time_ms int32 [1+];
            responses [DeletableTopicResult] [0+];
        }
        DeletableTopicResult {
            name string [0+] null [6+];
            topic_id uuid [6+];
            error_code int16 [0+];
            error_message string [5+] null [5+];
        }
    }

    create_partitions_response CreatePartitionsResponse [0-3] flexible [2+] {
        CreatePartitionsResponse {
            throttle_time_ms int32 [0+];
            results [CreatePartitionsTopicResult] [0+];
        }
        CreatePartitionsTopicResult {
            name string [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    elect_leaders_response ElectLeadersResponse [0-2] flexible [2+] {
        ElectLeadersResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [1+];
            replica_election_results [ReplicaElectionResult] [0+];
        }
        ReplicaElectionResult {
            topic string [0+];
            partition_result [PartitionResult] [0+];
        }
        PartitionResult {
            partition_id int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    alter_partition_reassignments_response AlterPartitionReassignmentsResponse [0-1] flexible [0+] {
        AlterPartitionReassignmentsResponse {
            throttle_time_ms int32 [0+];
            allow_replication_factor_change bool [1+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            responses [ReassignableTopicResponse] [0+];
        }
        ReassignableTopicResponse {
            name string [0+];
            partitions [ReassignablePartitionResponse] [0+];
        }
        ReassignablePartitionResponse {
            partition_index int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    list_partition_reassignments_response ListPartitionReassignmentsResponse [0] flexible [0+] {
        ListPartitionReassignmentsResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            topics [OngoingTopicReassignment] [0+];
        }
        OngoingTopicReassignment {
            name string [0+];
            partitions [OngoingPartitionReassignment] [0+];
        }
        OngoingPartitionReassignment {
            partition_index int32 [0+];
            replicas [int32] [0+];
            adding_replicas [int32] [0+];
            removing_replicas [int32] [0+];
        }
    }

    describe_topic_partitions_response DescribeTopicPartitionsResponse [0] flexible [0+] {
        DescribeTopicPartitionsResponse {
            throttle_time_ms int32 [0+];
            topics [DescribeTopicPartitionsResponseTopic] [0+];
            next_cursor Cursor [0+] null [0+];
        }
        DescribeTopicPartitionsResponseTopic {
            error_code int16 [0+];
            name string [0+] null [0+];
            topic_id uuid [0+];
            is_internal bool [0+];
            partitions [DescribeTopicPartitionsResponsePartition] [0+];
            topic_authorized_operations int32 [0+];
        }
        DescribeTopicPartitionsResponsePartition {
            error_code int16 [0+];
            partition_index int32 [0+];
            leader_id int32 [0+];
            leader_epoch int32 [0+];
            replica_nodes [int32] [0+];
            isr_nodes [int32] [0+];
            eligible_leader_replicas [int32] [0+] null [0+];
            last_known_elr [int32] [0+] null [0+];
            offline_replicas [int32] [0+];
        }
        Cursor {
            topic_name string [0+];
            partition_index int32 [0+];
        }
    }
}
