//! [`DeleteGroupsResponse`].

use kafka_protocol::messages::GroupId;
use kafka_protocol::protocol::StrBytes;

message! {
    /// Which groups were deleted.
    DeleteGroupsResponse [0-3] flexible [2+] {
        throttle_time_ms: i32, [0+];
        results: Vec<DeletableGroupResult>, [0+];
    }
}

structure! {
    /// A part of [`DeleteGroupsResponse`].
    DeletableGroupResult {
        group_id: GroupId, [0+];
        error_code: i16, [0+];
        error_message: Option<StrBytes>, [3+], null [3+];
    }
}

wire_message! { response DeleteGroupsResponse }
