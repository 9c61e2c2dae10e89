//! [`DescribeShareGroupOffsetsResponse`].

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// The offsets of share groups.
    DescribeShareGroupOffsetsResponse [0-1] flexible [0+] {
        throttle_time_ms: i32, [0+];
        groups: Vec<DescribeShareGroupOffsetsResponseGroup>, [0+];
    }
}

structure! {
    /// A part of [`DescribeShareGroupOffsetsResponse`].
    DescribeShareGroupOffsetsResponseGroup {
        group_id: GroupId, [0+];
        topics: Vec<DescribeShareGroupOffsetsResponseTopic>, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
    }
}

structure! {
    /// A part of [`DescribeShareGroupOffsetsResponse`].
    DescribeShareGroupOffsetsResponseTopic {
        topic_name: TopicName, [0+];
        topic_id: Uuid, [0+];
        partitions: Vec<DescribeShareGroupOffsetsResponsePartition>, [0+];
    }
}

structure! {
    /// A part of [`DescribeShareGroupOffsetsResponse`].
    DescribeShareGroupOffsetsResponsePartition {
        partition_index: i32, [0+];
        start_offset: i64, [0+];
        leader_epoch: i32, [0+];
        lag: i64, [1+], default -1;
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [0+], null [0+];
    }
}

wire_message! { response DescribeShareGroupOffsetsResponse }
