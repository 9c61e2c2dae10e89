//! [`WriteShareGroupStateRequest`].

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Keeps the state of share partitions (KIP-932, KIP-1226).
    WriteShareGroupStateRequest [0-1] flexible [0+] {
        group_id: StrBytes, [0+];
        topics: Vec<WriteStateData>, [0+];
    }
}

structure! {
    /// A part of [`WriteShareGroupStateRequest`].
    WriteStateData {
        topic_id: Uuid, [0+];
        partitions: Vec<PartitionData>, [0+];
    }
}

structure! {
    /// A part of [`WriteShareGroupStateRequest`].
    PartitionData {
        partition: i32, [0+];
        state_epoch: i32, [0+];
        leader_epoch: i32, [0+];
        start_offset: i64, [0+];
        delivery_complete_count: i32, [1+], default -1;
        state_batches: Vec<StateBatch>, [0+];
    }
}

structure! {
    /// A part of [`WriteShareGroupStateRequest`].
    StateBatch {
        first_offset: i64, [0+];
        last_offset: i64, [0+];
        delivery_state: i8, [0+];
        delivery_count: i16, [0+];
    }
}

wire_message! {
    request WriteShareGroupStateRequest, key 85,
    response super::write_share_group_state_response::WriteShareGroupStateResponse
}
