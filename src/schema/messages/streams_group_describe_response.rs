//! [`StreamsGroupDescribeResponse`].

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

message! {
    /// Streams groups, their members and topologies.
    StreamsGroupDescribeResponse [0-1] flexible [0+] {
        throttle_time_ms: i32, [0+];
        groups: Vec<DescribedGroup>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    Endpoint {
        host: StrBytes, [0+];
        port: u16, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    TaskOffset {
        subtopology_id: StrBytes, [0+];
        partition: i32, [0+];
        offset: i64, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    Assignment {
        active_tasks: Vec<TaskIds>, [0+];
        standby_tasks: Vec<TaskIds>, [0+];
        warmup_tasks: Vec<TaskIds>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    TaskIds {
        subtopology_id: StrBytes, [0+];
        partitions: Vec<i32>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    KeyValue {
        key: StrBytes, [0+];
        value: StrBytes, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    TopicInfo {
        name: TopicName, [0+];
        partitions: i32, [0+];
        replication_factor: i16, [0+];
        topic_configs: Vec<KeyValue>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    TopologyDescription {
        subtopologies: Vec<TopologyDescriptionSubtopology>, [1+];
        global_stores: Vec<TopologyDescriptionGlobalStore>, [1+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    TopologyDescriptionSubtopology {
        subtopology_id: StrBytes, [1+];
        nodes: Vec<TopologyDescriptionNode>, [1+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    TopologyDescriptionNode {
        name: StrBytes, [1+];
        node_type: i8, [1+];
        source_topics: Vec<TopicName>, [1+];
        sink_topic: Option<TopicName>, [1+], null [1+];
        stores: Vec<StrBytes>, [1+];
        successors: Vec<StrBytes>, [1+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    TopologyDescriptionGlobalStore {
        source: TopologyDescriptionNode, [1+];
        processor: TopologyDescriptionNode, [1+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    DescribedGroup {
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
        group_id: GroupId, [0+];
        group_state: StrBytes, [0+];
        group_epoch: i32, [0+];
        assignment_epoch: i32, [0+];
        topology: Option<Topology>, [0+], null [0+];
        members: Vec<Member>, [0+];
        authorized_operations: i32, [0+], default -2147483648;
        topology_description: Option<TopologyDescription>, [1+], null [1+];
        topology_description_status: i8, [1+];
        assignor_name: Option<StrBytes>, [1+], null [1+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    Topology {
        epoch: i32, [0+];
        subtopologies: Option<Vec<Subtopology>>, [0+], null [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    Subtopology {
        subtopology_id: StrBytes, [0+];
        source_topics: Vec<TopicName>, [0+];
        repartition_sink_topics: Vec<TopicName>, [0+];
        state_changelog_topics: Vec<TopicInfo>, [0+];
        repartition_source_topics: Vec<TopicInfo>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupDescribeResponse`].
    Member {
        member_id: StrBytes, [0+];
        member_epoch: i32, [0+];
        instance_id: Option<StrBytes>, [0+], null [0+];
        rack_id: Option<StrBytes>, [0+], null [0+];
        client_id: StrBytes, [0+];
        client_host: StrBytes, [0+];
        topology_epoch: i32, [0+];
        process_id: StrBytes, [0+];
        user_endpoint: Option<Endpoint>, [0+], null [0+];
        client_tags: Vec<KeyValue>, [0+];
        task_offsets: Vec<TaskOffset>, [0+];
        task_end_offsets: Vec<TaskOffset>, [0+];
        assignment: Assignment, [0+];
        target_assignment: Assignment, [0+];
        is_classic: bool, [0+];
    }
}

wire_message! { response StreamsGroupDescribeResponse }
