//! [`WriteShareGroupStateResponse`].

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Which states were kept.
    WriteShareGroupStateResponse [0-1] flexible [0+] {
        results: Vec<WriteStateResult>, [0+];
    }
}

structure! {
    /// A part of [`WriteShareGroupStateResponse`].
    WriteStateResult {
        topic_id: Uuid, [0+];
        partitions: Vec<PartitionResult>, [0+];
    }
}

structure! {
    /// A part of [`WriteShareGroupStateResponse`].
    PartitionResult {
        partition: i32, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
    }
}

wire_message! { response WriteShareGroupStateResponse }
