//! [`WriteTxnMarkersResponse`].

use kafka_protocol::messages::{ProducerId, TopicName};

message! {
    /// Which markers were written.
    WriteTxnMarkersResponse [1-2] flexible [1+] {
        markers: Vec<WritableTxnMarkerResult>, [0+];
    }
}

structure! {
    /// A part of [`WriteTxnMarkersResponse`].
    WritableTxnMarkerResult {
        producer_id: ProducerId, [0+];
        topics: Vec<WritableTxnMarkerTopicResult>, [0+];
    }
}

structure! {
    /// A part of [`WriteTxnMarkersResponse`].
    WritableTxnMarkerTopicResult {
        name: TopicName, [0+];
        partitions: Vec<WritableTxnMarkerPartitionResult>, [0+];
    }
}

structure! {
    /// A part of [`WriteTxnMarkersResponse`].
    WritableTxnMarkerPartitionResult {
        partition_index: i32, [0+];
        error_code: i16, [0+];
    }
}

wire_message! { response WriteTxnMarkersResponse }
