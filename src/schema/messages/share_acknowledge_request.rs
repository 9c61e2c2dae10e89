//! [`ShareAcknowledgeRequest`].

use kafka_protocol::messages::GroupId;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Acknowledges records of a share group (KIP-932, KIP-1222).
    ShareAcknowledgeRequest [1-2] flexible [0+] {
        group_id: Option<GroupId>, [0+], null [0+];
        member_id: Option<StrBytes>, [0+], null [0+], default Some(Default::default());
        share_session_epoch: i32, [0+];
        is_renew_ack: bool, [2+];
        topics: Vec<AcknowledgeTopic>, [0+];
    }
}

structure! {
    /// A part of [`ShareAcknowledgeRequest`].
    AcknowledgeTopic {
        topic_id: Uuid, [0+];
        partitions: Vec<AcknowledgePartition>, [0+];
    }
}

structure! {
    /// A part of [`ShareAcknowledgeRequest`].
    AcknowledgePartition {
        partition_index: i32, [0+];
        acknowledgement_batches: Vec<AcknowledgementBatch>, [0+];
    }
}

structure! {
    /// A part of [`ShareAcknowledgeRequest`].
    AcknowledgementBatch {
        first_offset: i64, [0+];
        last_offset: i64, [0+];
        acknowledge_types: Vec<i8>, [0+];
    }
}

wire_message! {
    request ShareAcknowledgeRequest, key 79,
    response super::share_acknowledge_response::ShareAcknowledgeResponse
}
