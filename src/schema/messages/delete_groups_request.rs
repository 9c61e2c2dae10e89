//! [`DeleteGroupsRequest`].

use kafka_protocol::messages::GroupId;

message! {
    /// Deletes groups (KIP-229).
    DeleteGroupsRequest [0-3] flexible [2+] {
        groups_names: Vec<GroupId>, [0+];
    }
}

wire_message! {
    request DeleteGroupsRequest, key 42,
    response super::delete_groups_response::DeleteGroupsResponse
}
