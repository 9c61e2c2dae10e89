//! The cluster, its brokers and features.

layouts! {
    alter_replica_log_dirs_request AlterReplicaLogDirsRequest [1-2] flexible [2+] {
        AlterReplicaLogDirsRequest {
            dirs [AlterReplicaLogDir] [0+];
        }
        AlterReplicaLogDir {
            path string [0+];
            topics [AlterReplicaLogDirTopic] [0+];
        }
        AlterReplicaLogDirTopic {
            name string [0+];
            partitions [int32] [0+];
        }
    }

    describe_quorum_request DescribeQuorumRequest [0-2] flexible [0+] {
        DescribeQuorumRequest {
            topics [TopicData] [0+];
        }
        TopicData {
            topic_name string [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
        }
    }

    alter_partition_request AlterPartitionRequest [2-3] flexible [0+] {
        AlterPartitionRequest {
            broker_id int32 [0+];
            broker_epoch int64 [0+];
            topics [TopicData] [0+];
        }
        TopicData {
            topic_id uuid [2+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            leader_epoch int32 [0+];
            new_isr [int32] [0-2];
            new_isr_with_epochs [BrokerState] [3+];
            leader_recovery_state int8 [1+];
            partition_epoch int32 [0+];
        }
        BrokerState {
            broker_id int32 [3+];
            broker_epoch int64 [3+];
        }
    }

    update_features_request UpdateFeaturesRequest [0-2] flexible [0+] {
        UpdateFeaturesRequest {
            timeout_ms int32 [0+];
            feature_updates [FeatureUpdateKey] [0+];
            validate_only bool [1+];
        }
        FeatureUpdateKey {
            feature string [0+];
            max_version_level int16 [0+];
            allow_downgrade bool [0];
            upgrade_type int8 [1+];
        }
    }

    envelope_request EnvelopeRequest [0] flexible [0+] {
        EnvelopeRequest {
            request_data bytes [0+];
            request_principal bytes [0+] null [0+];
            client_host_address bytes [0+];
        }
    }

    describe_cluster_request DescribeClusterRequest [0-2] flexible [0+] {
        DescribeClusterRequest {
            include_cluster_authorized_operations bool [0+];
            endpoint_type int8 [1+];
            include_fenced_brokers bool [2+];
        }
    }

    broker_registration_request BrokerRegistrationRequest [0-4] flexible [0+] {
        BrokerRegistrationRequest {
            broker_id int32 [0+];
            cluster_id string [0+];
            incarnation_id uuid [0+];
            listeners [Listener] [0+];
            features [Feature] [0+];
            rack string [0+] null [0+];
            is_migrating_zk_broker bool [1+];
            log_dirs [uuid] [2+];
            previous_broker_epoch int64 [3+];
        }
        Listener {
            name string [0+];
            host string [0+];
            port uint16 [0+];
            security_protocol int16 [0+];
        }
        Feature {
            name string [0+];
            min_supported_version int16 [0+];
            max_supported_version int16 [0+];
        }
    }

    unregister_broker_request UnregisterBrokerRequest [0] flexible [0+] {
        UnregisterBrokerRequest {
            broker_id int32 [0+];
        }
    }

    allocate_producer_ids_request AllocateProducerIdsRequest [0] flexible [0+] {
        AllocateProducerIdsRequest {
            broker_id int32 [0+];
            broker_epoch int64 [0+];
        }
    }

    controller_registration_request ControllerRegistrationRequest [0] flexible [0+] {
        ControllerRegistrationRequest {
            controller_id int32 [0+];
            incarnation_id uuid [0+];
            zk_migration_ready bool [0+];
            listeners [Listener] [0+];
            features [Feature] [0+];
        }
        Listener {
            name string [0+];
            host string [0+];
            port uint16 [0+];
            security_protocol int16 [0+];
        }
        Feature {
            name string [0+];
            min_supported_version int16 [0+];
            max_supported_version int16 [0+];
        }
    }

    assign_replicas_to_dirs_request AssignReplicasToDirsRequest [0] flexible [0+] {
        AssignReplicasToDirsRequest {
            broker_id int32 [0+];
            broker_epoch int64 [0+];
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
        }
    }
}
