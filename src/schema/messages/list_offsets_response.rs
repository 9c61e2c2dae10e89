//! [`ListOffsetsResponse`].

use kafka_protocol::messages::TopicName;

message! {
    /// The offsets asked for.
    ListOffsetsResponse [1-11] flexible [6+] {
        throttle_time_ms: i32, [2+];
        topics: Vec<ListOffsetsTopicResponse>, [0+];
    }
}

structure! {
    /// A part of [`ListOffsetsResponse`].
    ListOffsetsTopicResponse {
        name: TopicName, [0+];
        partitions: Vec<ListOffsetsPartitionResponse>, [0+];
    }
}

structure! {
    /// A part of [`ListOffsetsResponse`].
    ListOffsetsPartitionResponse {
        partition_index: i32, [0+];
        error_code: i16, [0+];
        timestamp: i64, [1+], default -1;
        offset: i64, [1+], default -1;
        leader_epoch: i32, [4+], default -1;
    }
}

wire_message! { response ListOffsetsResponse }
