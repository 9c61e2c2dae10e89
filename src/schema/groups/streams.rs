//! Records of `__consumer_offsets`: streams groups (KIP-1071).

message! {
    /// Key of type 17: streams group metadata.
    StreamsGroupMetadataKey [0] flexible [none] {
        group_id: String, [0];
    }
}

message! {
    /// Value under a key of type 17: streams group metadata.
    StreamsGroupMetadataValue [0] flexible [0+] {
        epoch: i32, [0+];
        metadata_hash: i64, [0+];
        validated_topology_epoch: i32, [0+], tag 0 [0+], default -1;
        last_assignment_configs: Option<Vec<LastAssignmentConfig>>, [0+], null [0+], tag 1 [0+],
            default Some(Default::default());
        stored_description_topology_epoch: i32, [0+], tag 2 [0+], default -1;
        failed_description_topology_epoch: i32, [0+], tag 3 [0+], default -1;
    }
}

structure! {
    /// A part of [`StreamsGroupMetadataValue`].
    LastAssignmentConfig {
        key: String, [0+];
        value: String, [0+];
    }
}

message! {
    /// Key of type 19: streams group member metadata.
    StreamsGroupMemberMetadataKey [0] flexible [none] {
        group_id: String, [0];
        member_id: String, [0];
    }
}

message! {
    /// Value under a key of type 19: streams group member metadata.
    StreamsGroupMemberMetadataValue [0] flexible [0+] {
        instance_id: Option<String>, [0+], null [0+], default Some(Default::default());
        rack_id: Option<String>, [0+], null [0+], default Some(Default::default());
        client_id: String, [0+];
        client_host: String, [0+];
        rebalance_timeout_ms: i32, [0+], default -1;
        topology_epoch: i32, [0+];
        process_id: String, [0+];
        user_endpoint: Option<Endpoint>, [0+], null [0+];
        client_tags: Vec<KeyValue>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupMemberMetadataValue`].
    Endpoint {
        host: String, [0+];
        port: u16, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupMemberMetadataValue`].
    KeyValue {
        key: String, [0+];
        value: String, [0+];
    }
}

message! {
    /// Key of type 20: streams group target assignment metadata.
    StreamsGroupTargetAssignmentMetadataKey [0] flexible [none] {
        group_id: String, [0];
    }
}

message! {
    /// Value under a key of type 20: streams group target assignment metadata.
    StreamsGroupTargetAssignmentMetadataValue [0] flexible [0+] {
        assignment_epoch: i32, [0+];
        assignment_timestamp: i64, [0+], tag 0 [0+];
    }
}

message! {
    /// Key of type 21: streams group target assignment member.
    StreamsGroupTargetAssignmentMemberKey [0] flexible [none] {
        group_id: String, [0];
        member_id: String, [0];
    }
}

message! {
    /// Value under a key of type 21: streams group target assignment member.
    StreamsGroupTargetAssignmentMemberValue [0] flexible [0+] {
        active_tasks: Vec<TaskIds>, [0+];
        standby_tasks: Vec<TaskIds>, [0+];
        warmup_tasks: Vec<TaskIds>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupTargetAssignmentMemberValue`].
    TaskIds {
        subtopology_id: String, [0+];
        partitions: Vec<i32>, [0+];
    }
}

message! {
    /// Key of type 22: streams group current member assignment.
    StreamsGroupCurrentMemberAssignmentKey [0] flexible [none] {
        group_id: String, [0];
        member_id: String, [0];
    }
}

message! {
    /// Value under a key of type 22: streams group current member assignment.
    StreamsGroupCurrentMemberAssignmentValue [0] flexible [0+] {
        member_epoch: i32, [0+];
        previous_member_epoch: i32, [0+];
        state: i8, [0+];
        active_tasks: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>, [0+];
        standby_tasks: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>, [0+];
        warmup_tasks: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>, [0+];
        active_tasks_pending_revocation: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>, [0+];
        standby_tasks_pending_revocation: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>, [0+];
        warmup_tasks_pending_revocation: Vec<StreamsGroupCurrentMemberAssignmentTaskIds>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupCurrentMemberAssignmentValue`].
    StreamsGroupCurrentMemberAssignmentTaskIds {
        subtopology_id: String, [0+];
        partitions: Vec<i32>, [0+];
        assignment_epochs: Option<Vec<i32>>, [0+], null [0+], tag 0 [0+],
            default Some(Default::default());
    }
}

message! {
    /// Key of type 23: streams group topology.
    StreamsGroupTopologyKey [0] flexible [none] {
        group_id: String, [0];
    }
}

message! {
    /// Value under a key of type 23: streams group topology.
    StreamsGroupTopologyValue [0] flexible [0+] {
        epoch: i32, [0+];
        subtopologies: Vec<Subtopology>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupTopologyValue`].
    TopicConfig {
        key: String, [0+];
        value: String, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupTopologyValue`].
    StreamsGroupTopologyTopicInfo {
        name: String, [0+];
        partitions: i32, [0+];
        replication_factor: i16, [0+];
        topic_configs: Vec<TopicConfig>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupTopologyValue`].
    Subtopology {
        subtopology_id: String, [0+];
        source_topics: Vec<String>, [0+];
        source_topic_regex: Vec<String>, [0+];
        state_changelog_topics: Vec<StreamsGroupTopologyTopicInfo>, [0+];
        repartition_sink_topics: Vec<String>, [0+];
        repartition_source_topics: Vec<StreamsGroupTopologyTopicInfo>, [0+];
        copartition_groups: Vec<CopartitionGroup>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupTopologyValue`].
    CopartitionGroup {
        source_topics: Vec<i16>, [0+];
        source_topic_regex: Vec<i16>, [0+];
        repartition_source_topics: Vec<i16>, [0+];
    }
}
