//! [`WriteTxnMarkersRequest`].

use kafka_protocol::messages::{ProducerId, TopicName};

message! {
    /// Tells partition leaders to end transactions (KIP-98, KIP-1228).
    WriteTxnMarkersRequest [1-2] flexible [1+] {
        markers: Vec<WritableTxnMarker>, [0+];
    }
}

structure! {
    /// A part of [`WriteTxnMarkersRequest`].
    WritableTxnMarker {
        producer_id: ProducerId, [0+];
        producer_epoch: i16, [0+];
        transaction_result: bool, [0+];
        topics: Vec<WritableTxnMarkerTopic>, [0+];
        coordinator_epoch: i32, [0+];
        transaction_version: i8, [2+];
    }
}

structure! {
    /// A part of [`WriteTxnMarkersRequest`].
    WritableTxnMarkerTopic {
        name: TopicName, [0+];
        partition_indexes: Vec<i32>, [0+];
    }
}

wire_message! {
    request WriteTxnMarkersRequest, key 27,
    response super::write_txn_markers_response::WriteTxnMarkersResponse
}
