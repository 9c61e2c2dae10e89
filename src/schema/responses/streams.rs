//! Streams groups (KIP-1071).

layouts! {
    streams_group_heartbeat_response StreamsGroupHeartbeatResponse [0-1] flexible [0+] {
        StreamsGroupHeartbeatResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            member_id string [0+];
            member_epoch int32 [0+];
            heartbeat_interval_ms int32 [0+];
            acceptable_recovery_lag_legacy int32 [0];
            task_offset_interval_ms int32 [0+];
            acceptable_recovery_lag int64 [1+];
            status [Status] [0+] null [0+];
            active_tasks [TaskIds] [0+] null [0+];
            standby_tasks [TaskIds] [0+] null [0+];
            warmup_tasks [TaskIds] [0+] null [0+];
            topology_description_required bool [1+];
            endpoint_information_epoch int32 [0+];
            partitions_by_user_endpoint [EndpointToPartitions] [0+] null [0+];
        }
        Status {
            status_code int8 [0+];
            status_detail string [0+];
        }
        TopicPartition {
            topic string [0+];
            partitions [int32] [0+];
        }
        TaskIds {
            subtopology_id string [0+];
            partitions [int32] [0+];
        }
        Endpoint {
            host string [0+];
            port uint16 [0+];
        }
        EndpointToPartitions {
            user_endpoint Endpoint [0+];
            active_partitions [TopicPartition] [0+];
            standby_partitions [TopicPartition] [0+];
        }
    }

    streams_group_describe_response StreamsGroupDescribeResponse [0-1] flexible [0+] {
        StreamsGroupDescribeResponse {
            throttle_time_ms int32 [0+];
            groups [DescribedGroup] [0+];
        }
        Endpoint {
            host string [0+];
            port uint16 [0+];
        }
        TaskOffset {
            subtopology_id string [0+];
            partition int32 [0+];
            offset int64 [0+];
        }
        Assignment {
            active_tasks [TaskIds] [0+];
            standby_tasks [TaskIds] [0+];
            warmup_tasks [TaskIds] [0+];
        }
        TaskIds {
            subtopology_id string [0+];
            partitions [int32] [0+];
        }
        KeyValue {
            key string [0+];
            value string [0+];
        }
        TopicInfo {
            name string [0+];
            partitions int32 [0+];
            replication_factor int16 [0+];
            topic_configs [KeyValue] [0+];
        }
        TopologyDescription {
            subtopologies [TopologyDescriptionSubtopology] [1+];
            global_stores [TopologyDescriptionGlobalStore] [1+];
        }
        TopologyDescriptionSubtopology {
            subtopology_id string [1+];
            nodes [TopologyDescriptionNode] [1+];
        }
        TopologyDescriptionNode {
            name string [1+];
            node_type int8 [1+];
            source_topics [string] [1+];
            sink_topic string [1+] null [1+];
            stores [string] [1+];
            successors [string] [1+];
        }
        TopologyDescriptionGlobalStore {
            source TopologyDescriptionNode [1+];
            processor TopologyDescriptionNode [1+];
        }
        DescribedGroup {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            group_id string [0+];
            group_state string [0+];
            group_epoch int32 [0+];
            assignment_epoch int32 [0+];
            topology Topology [0+] null [0+];
            members [Member] [0+];
            authorized_operations int32 [0+];
            topology_description TopologyDescription [1+] null [1+];
            topology_description_status int8 [1+];
            assignor_name string [1+] null [1+];
        }
        Topology {
            epoch int32 [0+];
            subtopologies [Subtopology] [0+] null [0+];
        }
        Subtopology {
            subtopology_id string [0+];
            source_topics [string] [0+];
            repartition_sink_topics [string] [0+];
            state_changelog_topics [TopicInfo] [0+];
            repartition_source_topics [TopicInfo] [0+];
        }
        Member {
            member_id string [0+];
            member_epoch int32 [0+];
            instance_id string [0+] null [0+];
            rack_id string [0+] null [0+];
            client_id string [0+];
            client_host string [0+];
            topology_epoch int32 [0+];
            process_id string [0+];
            user_endpoint Endpoint [0+] null [0+];
            client_tags [KeyValue] [0+];
            task_offsets [TaskOffset] [0+];
            task_end_offsets [TaskOffset] [0+];
            assignment Assignment [0+];
            target_assignment Assignment [0+];
            is_classic bool [0+];
        }
    }

    streams_group_topology_description_update_response
    StreamsGroupTopologyDescriptionUpdateResponse [0] flexible [0+] {
        StreamsGroupTopologyDescriptionUpdateResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }
}
