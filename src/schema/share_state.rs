//! The records of `__share_group_state` (KIP-932), as Apache Kafka 4.4 declares them.
//!
//! A key begins with an int16, the record's type; a value begins with an int16, its version. A snapshot
//! stands alone, an update adds to the last snapshot.

use uuid::Uuid;

message! {
    /// Key of type 0: share snapshot.
    ShareSnapshotKey [0] flexible [none] {
        group_id: String, [0];
        topic_id: Uuid, [0];
        partition: i32, [0];
    }
}

message! {
    /// Value under a key of type 0: share snapshot.
    ShareSnapshotValue [0] flexible [0+] {
        snapshot_epoch: i32, [0+];
        state_epoch: i32, [0+];
        leader_epoch: i32, [0+];
        start_offset: i64, [0+];
        create_timestamp: i64, [0+];
        write_timestamp: i64, [0+];
        state_batches: Vec<StateBatch>, [0+];
        delivery_complete_count: i32, [0+], tag 0 [0+], default -1;
    }
}

structure! {
    /// A part of [`ShareSnapshotValue`].
    StateBatch {
        first_offset: i64, [0+];
        last_offset: i64, [0+];
        delivery_state: i8, [0+];
        delivery_count: i16, [0+];
    }
}

message! {
    /// Key of type 1: share update.
    ShareUpdateKey [0] flexible [none] {
        group_id: String, [0];
        topic_id: Uuid, [0];
        partition: i32, [0];
    }
}

message! {
    /// Value under a key of type 1: share update.
    ShareUpdateValue [0] flexible [0+] {
        snapshot_epoch: i32, [0+];
        leader_epoch: i32, [0+];
        start_offset: i64, [0+];
        state_batches: Vec<StateBatch>, [0+];
        delivery_complete_count: i32, [0+], tag 0 [0+], default -1;
    }
}
