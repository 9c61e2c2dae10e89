//! Streams groups (KIP-1071).

layouts! {
    streams_group_heartbeat_request StreamsGroupHeartbeatRequest [0-1] flexible [0+] {
        StreamsGroupHeartbeatRequest {
            group_id string [0+];
            member_id string [0+];
            member_epoch int32 [0+];
            endpoint_information_epoch int32 [0+];
            instance_id string [0+] null [0+];
            rack_id string [0+] null [0+];
            rebalance_timeout_ms int32 [0+];
            topology Topology [0+] null [0+];
            active_tasks [TaskIds] [0+] null [0+];
            standby_tasks [TaskIds] [0+] null [0+];
            warmup_tasks [TaskIds] [0+] null [0+];
            process_id string [0+] null [0+];
            user_endpoint Endpoint [0+] null [0+];
            client_tags [KeyValue] [0+] null [0+];
            task_offsets [TaskOffset] [0+] null [0+];
            task_end_offsets [TaskOffset] [0+] null [0+];
            shutdown_application bool [0+];
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
        Endpoint {
            host string [0+];
            port uint16 [0+];
        }
        TaskOffset {
            subtopology_id string [0+];
            partition int32 [0+];
            offset int64 [0+];
        }
        TaskIds {
            subtopology_id string [0+];
            partitions [int32] [0+];
        }
        Topology {
            epoch int32 [0+];
            subtopologies [Subtopology] [0+];
        }
        Subtopology {
            subtopology_id string [0+];
            source_topics [string] [0+];
            source_topic_regex [string] [0+];
            state_changelog_topics [TopicInfo] [0+];
            repartition_sink_topics [string] [0+];
            repartition_source_topics [TopicInfo] [0+];
            copartition_groups [CopartitionGroup] [0+];
        }
        CopartitionGroup {
            source_topics [int16] [0+];
            source_topic_regex [int16] [0+];
            repartition_source_topics [int16] [0+];
        }
    }

    streams_group_describe_request StreamsGroupDescribeRequest [0-1] flexible [0+] {
        StreamsGroupDescribeRequest {
            group_ids [string] [0+];
            include_authorized_operations bool [0+];
            include_topology_description bool [1+];
        }
    }

    streams_group_topology_description_update_request
    StreamsGroupTopologyDescriptionUpdateRequest [0] flexible [0+] {
        StreamsGroupTopologyDescriptionUpdateRequest {
            group_id string [0+];
            member_id string [0+];
            topology_epoch int32 [0+];
            topology_description TopologyDescription [0+];
        }
        TopologyDescription {
            subtopologies [TopologyDescriptionSubtopology] [0+];
            global_stores [TopologyDescriptionGlobalStore] [0+];
        }
        TopologyDescriptionSubtopology {
            subtopology_id string [0+];
            nodes [TopologyDescriptionNode] [0+];
        }
        TopologyDescriptionNode {
            name string [0+];
            node_type int8 [0+];
            source_topics [string] [0+];
            sink_topic string [0+] null [0+];
            stores [string] [0+];
            successors [string] [0+];
        }
        TopologyDescriptionGlobalStore {
            source TopologyDescriptionNode [0+];
            processor TopologyDescriptionNode [0+];
        }
    }
}
