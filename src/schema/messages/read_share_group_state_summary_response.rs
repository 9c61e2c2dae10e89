//! [`ReadShareGroupStateSummaryResponse`].

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// The start offsets of share partitions.
    ReadShareGroupStateSummaryResponse [0-1] flexible [0+] {
        results: Vec<ReadStateSummaryResult>, [0+];
    }
}

structure! {
    /// A part of [`ReadShareGroupStateSummaryResponse`].
    ReadStateSummaryResult {
        topic_id: Uuid, [0+];
        partitions: Vec<PartitionResult>, [0+];
    }
}

structure! {
    /// A part of [`ReadShareGroupStateSummaryResponse`].
    PartitionResult {
        partition: i32, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
        state_epoch: i32, [0+];
        leader_epoch: i32, [0+];
        start_offset: i64, [0+];
        delivery_complete_count: i32, [1+], default -1;
    }
}

wire_message! { response ReadShareGroupStateSummaryResponse }
