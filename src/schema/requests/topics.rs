//! Topics and partitions.

layouts! {
    metadata_request MetadataRequest [0-13] flexible [9+] {
        MetadataRequest {
            topics [MetadataRequestTopic] [0+] null [1+];
            allow_auto_topic_creation bool [4+];
            include_cluster_authorized_operations bool [8-10];
            include_topic_authorized_operations bool [8+];
        }
        MetadataRequestTopic {
            topic_id uuid [10+];
            name string [0+] null [10+];
        }
    }

    create_topics_request CreateTopicsRequest [2-7] flexible [5+] {
        CreateTopicsRequest {
            topics [CreatableTopic] [0+];
            timeout_ms int32 [0+];
            validate_only bool [1+];
        }
        CreatableTopic {
            name string [0+];
            num_partitions int32 [0+];
            replication_factor int16 [0+];
            assignments [CreatableReplicaAssignment] [0+];
            configs [CreatableTopicConfig] [0+];
        }
        CreatableReplicaAssignment {
            partition_index int32 [0+];
            broker_ids [int32] [0+];
        }
        CreatableTopicConfig {
            name string [0+];
            value string [0+] null [0+];
        }
    }

    delete_topics_request DeleteTopicsRequest [1-6] flexible [4+] {
        DeleteTopicsRequest {
            topics [DeleteTopicState] [6+];
            topic_names [string] [0-5];
            timeout_ms int32 [0+];
        }
        DeleteTopicState {
            name string [6+] null [6+];
            topic_id uuid [6+];
        }
    }

    create_partitions_request CreatePartitionsRequest [0-3] flexible [2+] {
        CreatePartitionsRequest {
            topics [CreatePartitionsTopic] [0+];
            timeout_ms int32 [0+];
            validate_only bool [0+];
        }
        CreatePartitionsTopic {
            name string [0+];
            count int32 [0+];
            assignments [CreatePartitionsAssignment] [0+] null [0+];
        }
        CreatePartitionsAssignment {
            broker_ids [int32] [0+];
        }
    }

    elect_leaders_request ElectLeadersRequest [0-2] flexible [2+] {
        ElectLeadersRequest {
            election_type int8 [1+];
            topic_partitions [TopicPartitions] [0+] null [0+];
            timeout_ms int32 [0+];
        }
        TopicPartitions {
            topic string [0+];
            partitions [int32] [0+];
        }
    }

    alter_partition_reassignments_request AlterPartitionReassignmentsRequest [0-1] flexible [0+] {
        AlterPartitionReassignmentsRequest {
            timeout_ms int32 [0+];
            allow_replication_factor_change bool [1+];
            topics [ReassignableTopic] [0+];
        }
        ReassignableTopic {
            name string [0+];
            partitions [ReassignablePartition] [0+];
        }
        ReassignablePartition {
            partition_index int32 [0+];
            replicas [int32] [0+] null [0+];
        }
    }

    list_partition_reassignments_request ListPartitionReassignmentsRequest [0] flexible [0+] {
        ListPartitionReassignmentsRequest {
            timeout_ms int32 [0+];
            topics [ListPartitionReassignmentsTopics] [0+] null [0+];
        }
        ListPartitionReassignmentsTopics {
            name string [0+];
            partition_indexes [int32] [0+];
        }
    }

    describe_topic_partitions_request DescribeTopicPartitionsRequest [0] flexible [0+] {
        DescribeTopicPartitionsRequest {
            topics [TopicRequest] [0+];
            response_partition_limit int32 [0+];
            cursor Cursor [0+] null [0+];
        }
        TopicRequest {
            name string [0+];
        }
        Cursor {
            topic_name string [0+];
            partition_index int32 [0+];
        }
    }
}
