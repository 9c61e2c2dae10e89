//! [`DescribeShareGroupOffsetsRequest`].

use kafka_protocol::messages::{GroupId, TopicName};

message! {
    /// Asks for the offsets of share groups (KIP-932, KIP-1226).
    DescribeShareGroupOffsetsRequest [0-1] flexible [0+] {
        groups: Vec<DescribeShareGroupOffsetsRequestGroup>, [0+];
    }
}

structure! {
    /// A part of [`DescribeShareGroupOffsetsRequest`].
    DescribeShareGroupOffsetsRequestGroup {
        group_id: GroupId, [0+];
        topics: Option<Vec<DescribeShareGroupOffsetsRequestTopic>>, [0+], null [0+],
            default Some(Default::default());
    }
}

structure! {
    /// A part of [`DescribeShareGroupOffsetsRequest`].
    DescribeShareGroupOffsetsRequestTopic {
        topic_name: TopicName, [0+];
        partitions: Vec<i32>, [0+];
    }
}

wire_message! {
    request DescribeShareGroupOffsetsRequest, key 90,
    response super::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponse
}
