//! [`StreamsGroupHeartbeatResponse`].

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;

message! {
    /// What the member is to do.
    StreamsGroupHeartbeatResponse [0-1] flexible [0+] {
        throttle_time_ms: i32, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
        member_id: StrBytes, [0+];
        member_epoch: i32, [0+];
        heartbeat_interval_ms: i32, [0+];
        acceptable_recovery_lag_legacy: i32, [0];
        task_offset_interval_ms: i32, [0+];
        acceptable_recovery_lag: i64, [1+], default -1;
        status: Option<Vec<Status>>, [0+], null [0+], default Some(Default::default());
        active_tasks: Option<Vec<TaskIds>>, [0+], null [0+];
        standby_tasks: Option<Vec<TaskIds>>, [0+], null [0+];
        warmup_tasks: Option<Vec<TaskIds>>, [0+], null [0+];
        topology_description_required: bool, [1+];
        endpoint_information_epoch: i32, [0+];
        partitions_by_user_endpoint: Option<Vec<EndpointToPartitions>>, [0+], null [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatResponse`].
    Status {
        status_code: i8, [0+];
        status_detail: StrBytes, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatResponse`].
    TopicPartition {
        topic: TopicName, [0+];
        partitions: Vec<i32>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatResponse`].
    TaskIds {
        subtopology_id: StrBytes, [0+];
        partitions: Vec<i32>, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatResponse`].
    Endpoint {
        host: StrBytes, [0+];
        port: u16, [0+];
    }
}

structure! {
    /// A part of [`StreamsGroupHeartbeatResponse`].
    EndpointToPartitions {
        user_endpoint: Endpoint, [0+];
        active_partitions: Vec<TopicPartition>, [0+];
        standby_partitions: Vec<TopicPartition>, [0+];
    }
}

wire_message! { response StreamsGroupHeartbeatResponse }
