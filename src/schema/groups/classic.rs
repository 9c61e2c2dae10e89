//! Records of `__consumer_offsets`: committed offsets and classic groups.

use bytes::Bytes;
use uuid::Uuid;

message! {
    /// Key of type 1: offset commit.
    OffsetCommitKey [0] flexible [none] {
        group: String, [0];
        topic: String, [0];
        partition: i32, [0];
    }
}

message! {
    /// Value under a key of type 1: offset commit.
    OffsetCommitValue [0-4] flexible [4+] {
        offset: i64, [0+];
        leader_epoch: i32, [3+], default -1;
        metadata: String, [0+];
        commit_timestamp: i64, [0+];
        expire_timestamp: i64, [1], default -1;
        topic_id: Uuid, [4+], tag 0 [4+];
    }
}

message! {
    /// Key of type 2: group metadata.
    GroupMetadataKey [0] flexible [none] {
        group: String, [0];
    }
}

message! {
    /// Value under a key of type 2: group metadata.
    GroupMetadataValue [0-4] flexible [4+] {
        protocol_type: String, [0+];
        generation: i32, [0+];
        protocol: Option<String>, [0+], null [0+], default Some(Default::default());
        leader: Option<String>, [0+], null [0+], default Some(Default::default());
        current_state_timestamp: i64, [2+], default -1;
        members: Vec<MemberMetadata>, [0+];
    }
}

structure! {
    /// A part of [`GroupMetadataValue`].
    MemberMetadata {
        member_id: String, [0+];
        group_instance_id: Option<String>, [3+], null [3+];
        client_id: String, [0+];
        client_host: String, [0+];
        rebalance_timeout: i32, [1+], default -1;
        session_timeout: i32, [0+];
        subscription: Bytes, [0+];
        assignment: Bytes, [0+];
    }
}
