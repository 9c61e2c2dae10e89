//! [`StreamsGroupDescribeRequest`].

use kafka_protocol::messages::GroupId;

message! {
    /// Asks what streams groups look like (KIP-1071).
    StreamsGroupDescribeRequest [0-1] flexible [0+] {
        group_ids: Vec<GroupId>, [0+];
        include_authorized_operations: bool, [0+];
        include_topology_description: bool, [1+];
    }
}

wire_message! {
    request StreamsGroupDescribeRequest, key 89,
    response super::streams_group_describe_response::StreamsGroupDescribeResponse
}
