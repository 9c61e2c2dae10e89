//! [`StreamsGroupHeartbeatRequest`].

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

message! {
    /// A member of a streams group lives (KIP-1071, KIP-1331).
    StreamsGroupHeartbeatRequest [0-1] flexible [0+] {
        group_id: GroupId, [0+];
        member_id: StrBytes, [0+];
        member_epoch: i32, [0+];
        endpoint_information_epoch: i32, [0+];
        instance_id: Option<StrBytes>, [0+], null [0+];
        rack_id: Option<StrBytes>, [0+], null [0+];
        rebalance_timeout_ms: i32, [0+], default -1;
        topology: Option<Topology>, [0+], null [0+];
        active_tasks: Option<Vec<TaskIds>>, [0+], null [0+];
        standby_tasks: Option<Vec<TaskIds>>, [0+], null [0+];
        warmup_tasks: Option<Vec<TaskIds>>, [0+], null [0+];
        process_id: Option<StrBytes>, [0+], null [0+];
        user_endpoint: Option<Endpoint>, [0+], null [0+];
        client_tags: Option<Vec<KeyValue>>, [0+], null [0+];
        task_offsets: Option<Vec<TaskOffset>>, [0+], null [0+];
        task_end_offsets: Option<Vec<TaskOffset>>, [0+], null [0+];
        shutdown_application: bool, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatRequest`].
    KeyValue {
        key: StrBytes, [0+];
        value: StrBytes, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatRequest`].
    TopicInfo {
        name: TopicName, [0+];
        partitions: i32, [0+];
        replication_factor: i16, [0+];
        topic_configs: Vec<KeyValue>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatRequest`].
    Endpoint {
        host: StrBytes, [0+];
        port: u16, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatRequest`].
    TaskOffset {
        subtopology_id: StrBytes, [0+];
        partition: i32, [0+];
        offset: i64, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatRequest`].
    TaskIds {
        subtopology_id: StrBytes, [0+];
        partitions: Vec<i32>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatRequest`].
    Topology {
        epoch: i32, [0+];
        subtopologies: Vec<Subtopology>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatRequest`].
    Subtopology {
        subtopology_id: StrBytes, [0+];
        source_topics: Vec<TopicName>, [0+];
        source_topic_regex: Vec<StrBytes>, [0+];
        state_changelog_topics: Vec<TopicInfo>, [0+];
        repartition_sink_topics: Vec<TopicName>, [0+];
        repartition_source_topics: Vec<TopicInfo>, [0+];
        copartition_groups: Vec<CopartitionGroup>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatRequest`].
    CopartitionGroup {
        source_topics: Vec<i16>, [0+];
        source_topic_regex: Vec<i16>, [0+];
        repartition_source_topics: Vec<i16>, [0+];
    }
}

wire_message! {
    request StreamsGroupHeartbeatRequest, key 88,
    response super::streams_group_heartbeat_response::StreamsGroupHeartbeatResponse
}
