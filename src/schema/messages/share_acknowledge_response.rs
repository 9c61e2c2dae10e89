//! [`ShareAcknowledgeResponse`].

use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Which acknowledgements were taken.
    ShareAcknowledgeResponse [1-2] flexible [0+] {
        throttle_time_ms: i32, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
        acquisition_lock_timeout_ms: i32, [2+];
        responses: Vec<ShareAcknowledgeTopicResponse>, [0+];
        node_endpoints: Vec<NodeEndpoint>, [0+];
    }
}

structure! {
    /// A part of [`ShareAcknowledgeResponse`].
    ShareAcknowledgeTopicResponse {
        topic_id: Uuid, [0+];
        partitions: Vec<PartitionData>, [0+];
    }
}

structure! {
    /// A part of [`ShareAcknowledgeResponse`].
    PartitionData {
        partition_index: i32, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
        current_leader: LeaderIdAndEpoch, [0+];
    }
}

structure! {
    /// A part of [`ShareAcknowledgeResponse`].
    LeaderIdAndEpoch {
        leader_id: i32, [0+];
        leader_epoch: i32, [0+];
    }
}

structure! {
    /// A part of [`ShareAcknowledgeResponse`].
    NodeEndpoint {
        node_id: BrokerId, [0+];
        host: StrBytes, [0+];
        port: i32, [0+];
        rack: Option<StrBytes>, [0+], null [0+];
    }
}

wire_message! { response ShareAcknowledgeResponse }
