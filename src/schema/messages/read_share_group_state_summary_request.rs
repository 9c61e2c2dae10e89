//! [`ReadShareGroupStateSummaryRequest`].

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Asks for the start offsets of share partitions (KIP-932, KIP-1226).
    ReadShareGroupStateSummaryRequest [0-1] flexible [0+] {
        group_id: StrBytes, [0+];
        topics: Vec<ReadStateSummaryData>, [0+];
    }
}

structure! {
    /// A part of [`ReadShareGroupStateSummaryRequest`].
    ReadStateSummaryData {
        topic_id: Uuid, [0+];
        partitions: Vec<PartitionData>, [0+];
    }
}

structure! {
    /// A part of [`ReadShareGroupStateSummaryRequest`].
    PartitionData {
        partition: i32, [0+];
        leader_epoch: i32, [0+];
    }
}

wire_message! {
    request ReadShareGroupStateSummaryRequest, key 87,
    response super::read_share_group_state_summary_response::ReadShareGroupStateSummaryResponse
}
