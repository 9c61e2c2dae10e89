//! [`OffsetFetchRequest`].

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Asks for committed offsets of groups (KIP-709, KIP-848; topic ids since version 10).
    OffsetFetchRequest [1-10] flexible [6+] {
        group_id: GroupId, [0-7];
        topics: Option<Vec<OffsetFetchRequestTopic>>, [0-7], null [2-7], default Some(Default::default());
        groups: Vec<OffsetFetchRequestGroup>, [8+];
        require_stable: bool, [7+];
    }
}

structure! {
    /// A part of [`OffsetFetchRequest`].
    OffsetFetchRequestTopic {
        name: TopicName, [0-7];
        partition_indexes: Vec<i32>, [0-7];
    }
}

structure! {
    /// A part of [`OffsetFetchRequest`].
    OffsetFetchRequestGroup {
        group_id: GroupId, [8+];
        member_id: Option<StrBytes>, [9+], null [9+];
        member_epoch: i32, [9+], default -1;
        topics: Option<Vec<OffsetFetchRequestTopics>>, [8+], null [8+], default Some(Default::default());
    }
}

structure! {
    /// A part of [`OffsetFetchRequest`].
    OffsetFetchRequestTopics {
        name: TopicName, [8-9];
        topic_id: Uuid, [10+];
        partition_indexes: Vec<i32>, [8+];
    }
}

wire_message! {
    request OffsetFetchRequest, key 9,
    response kafka_protocol::messages::OffsetFetchResponse
}
