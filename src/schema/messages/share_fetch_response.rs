//! [`ShareFetchResponse`].

use bytes::Bytes;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Acquired records.
    ShareFetchResponse [1-2] flexible [0+] {
        throttle_time_ms: i32, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
        acquisition_lock_timeout_ms: i32, [1+];
        responses: Vec<ShareFetchableTopicResponse>, [0+];
        node_endpoints: Vec<NodeEndpoint>, [0+];
    }
}

structure! {
    /// A part of [`ShareFetchResponse`].
    ShareFetchableTopicResponse {
        topic_id: Uuid, [0+];
        partitions: Vec<PartitionData>, [0+];
    }
}

structure! {
    /// A part of [`ShareFetchResponse`].
    PartitionData {
        partition_index: i32, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
        acknowledge_error_code: i16, [0+];
        acknowledge_error_message: Option<StrBytes>, [0+], null [0+];
        current_leader: LeaderIdAndEpoch, [0+];
        records: Option<Bytes>, [0+], null [0], default Some(Default::default());
        acquired_records: Vec<AcquiredRecords>, [0+];
    }
}

structure! {
    /// A part of [`ShareFetchResponse`].
    LeaderIdAndEpoch {
        leader_id: i32, [0+];
        leader_epoch: i32, [0+];
    }
}

structure! {
    /// A part of [`ShareFetchResponse`].
    AcquiredRecords {
        first_offset: i64, [0+];
        last_offset: i64, [0+];
        delivery_count: i16, [0+];
    }
}

structure! {
    /// A part of [`ShareFetchResponse`].
    NodeEndpoint {
        node_id: BrokerId, [0+];
        host: StrBytes, [0+];
        port: i32, [0+];
        rack: Option<StrBytes>, [0+], null [0+];
    }
}

wire_message! { response ShareFetchResponse }
