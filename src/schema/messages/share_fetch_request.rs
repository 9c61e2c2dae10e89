//! [`ShareFetchRequest`].

use kafka_protocol::messages::GroupId;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Fetches records for a share group, and acknowledges (KIP-932, KIP-1206, KIP-1222).
    ShareFetchRequest [1-2] flexible [0+] {
        group_id: Option<GroupId>, [0+], null [0+];
        member_id: Option<StrBytes>, [0+], null [0+], default Some(Default::default());
        share_session_epoch: i32, [0+];
        max_wait_ms: i32, [0+];
        min_bytes: i32, [0+];
        max_bytes: i32, [0+], default i32::MAX;
        max_records: i32, [1+];
        batch_size: i32, [1+];
        share_acquire_mode: i8, [2+];
        is_renew_ack: bool, [2+];
        topics: Vec<FetchTopic>, [0+];
        forgotten_topics_data: Vec<ForgottenTopic>, [0+];
    }
}

structure! {
    /// A part of [`ShareFetchRequest`].
    FetchTopic {
        topic_id: Uuid, [0+];
        partitions: Vec<FetchPartition>, [0+];
    }
}

structure! {
    /// A part of [`ShareFetchRequest`].
    FetchPartition {
        partition_index: i32, [0+];
        partition_max_bytes: i32, [0];
        acknowledgement_batches: Vec<AcknowledgementBatch>, [0+];
    }
}

structure! {
    /// A part of [`ShareFetchRequest`].
    AcknowledgementBatch {
        first_offset: i64, [0+];
        last_offset: i64, [0+];
        acknowledge_types: Vec<i8>, [0+];
    }
}

structure! {
    /// A part of [`ShareFetchRequest`].
    ForgottenTopic {
        topic_id: Uuid, [0+];
        partitions: Vec<i32>, [0+];
    }
}

wire_message! {
    request ShareFetchRequest, key 78,
    response super::share_fetch_response::ShareFetchResponse
}
