//! The cluster, its brokers and features.

layouts! {
    alter_replica_log_dirs_response AlterReplicaLogDirsResponse [1-2] flexible [2+] {
        AlterReplicaLogDirsResponse {
            throttle_time_ms int32 [0+];
            results [AlterReplicaLogDirTopicResult] [0+];
        }
        AlterReplicaLogDirTopicResult {
            topic_name string [0+];
            partitions [AlterReplicaLogDirPartitionResult] [0+];
        }
        AlterReplicaLogDirPartitionResult {
            partition_index int32 [0+];
            error_code int16 [0+];
        }
    }

    describe_quorum_response DescribeQuorumResponse [0-2] flexible [0+] {
        DescribeQuorumResponse {
            error_code int16 [0+];
            error_message string [2+] null [2+];
            topics [TopicData] [0+];
            nodes [Node] [2+];
        }
        ReplicaState {
            replica_id int32 [0+];
            replica_directory_id uuid [2+];
            log_end_offset int64 [0+];
            last_fetch_timestamp int64 [1+];
            last_caught_up_timestamp int64 [1+];
        }
        TopicData {
            topic_name string [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            error_code int16 [0+];
            error_message string [2+] null [2+];
            leader_id int32 [0+];
            leader_epoch int32 [0+];
            high_watermark int64 [0+];
            current_voters [ReplicaState] [0+];
            observers [ReplicaState] [0+];
        }
        Node {
            node_id int32 [2+];
            listeners [Listener] [2+];
        }
        Listener {
            name string [2+];
            host string [2+];
            port uint16 [2+];
        }
    }

    alter_partition_response AlterPartitionResponse [2-3] flexible [0+] {
        AlterPartitionResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            topics [TopicData] [0+];
        }
        TopicData {
            topic_id uuid [2+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            error_code int16 [0+];
            leader_id int32 [0+];
            leader_epoch int32 [0+];
            isr [int32] [0+];
            leader_recovery_state int8 [1+];
            partition_epoch int32 [0+];
        }
    }

    update_features_response UpdateFeaturesResponse [0-2] flexible [0+] {
        UpdateFeaturesResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            results [UpdatableFeatureResult] [0-1];
        }
        UpdatableFeatureResult {
            feature string [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    envelope_response EnvelopeResponse [0] flexible [0+] {
        EnvelopeResponse {
            response_data bytes [0+] null [0+];
            error_code int16 [0+];
        }
    }

    describe_cluster_response DescribeClusterResponse [0-2] flexible [0+] {
        DescribeClusterResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            endpoint_type int8 [1+];
            cluster_id string [0+];
            controller_id int32 [0+];
            brokers [DescribeClusterBroker] [0+];
            cluster_authorized_operations int32 [0+];
        }
        DescribeClusterBroker {
            broker_id int32 [0+];
            host string [0+];
            port int32 [0+];
            rack string [0+] null [0+];
            is_fenced bool [2+];
        }
    }

    broker_registration_response BrokerRegistrationResponse [0-4] flexible [0+] {
        BrokerRegistrationResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            broker_epoch int64 [0+];
        }
    }

    unregister_broker_response UnregisterBrokerResponse [0] flexible [0+] {
        UnregisterBrokerResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    allocate_producer_ids_response AllocateProducerIdsResponse [0] flexible [0+] {
        AllocateProducerIdsResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            producer_id_start int64 [0+];
            producer_id_len int32 [0+];
        }
    }

    controller_registration_response ControllerRegistrationResponse [0] flexible [0+] {
        ControllerRegistrationResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    assign_replicas_to_dirs_response AssignReplicasToDirsResponse [0] flexible [0+] {
        AssignReplicasToDirsResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            directories [DirectoryData] [0+];
        }
        DirectoryData {
            id uuid [0+];
            topics [TopicData] [0+];
        }
        TopicData {
            topic_id uuid [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            error_code int16 [0+];
        }
    }
}
