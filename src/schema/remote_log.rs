//! The records of `__remote_log_metadata` (KIP-405), as Apache Kafka 4.4 declares them.
//!
//! A value begins with two unsigned variable-length integers, type and version, and then the message.

use bytes::Bytes;
use uuid::Uuid;

message! {
    /// Type 0: remote log segment metadata.
    RemoteLogSegmentMetadataRecord [0] flexible [0+] {
        remote_log_segment_id: RemoteLogSegmentIdEntry, [0+];
        start_offset: i64, [0+];
        end_offset: i64, [0+];
        broker_id: i32, [0+];
        max_timestamp_ms: i64, [0+];
        event_timestamp_ms: i64, [0+];
        segment_leader_epochs: Vec<SegmentLeaderEpochEntry>, [0+];
        segment_size_in_bytes: i32, [0+];
        custom_metadata: Option<Bytes>, [0+], null [0+];
        remote_log_segment_state: i8, [0+];
        txn_index_empty: bool, [0+], tag 0 [0+];
    }
}

structure! {
    /// A part of [`RemoteLogSegmentMetadataRecord`].
    RemoteLogSegmentIdEntry {
        topic_id_partition: TopicIdPartitionEntry, [0+];
        id: Uuid, [0+];
    }
}

structure! {
    /// A part of [`RemoteLogSegmentMetadataRecord`].
    TopicIdPartitionEntry {
        name: String, [0+];
        id: Uuid, [0+];
        partition: i32, [0+];
    }
}

structure! {
    /// A part of [`RemoteLogSegmentMetadataRecord`].
    SegmentLeaderEpochEntry {
        leader_epoch: i32, [0+];
        offset: i64, [0+];
    }
}

message! {
    /// Type 1: remote log segment metadata update.
    RemoteLogSegmentMetadataUpdateRecord [0] flexible [0+] {
        remote_log_segment_id: RemoteLogSegmentIdEntry, [0+];
        broker_id: i32, [0+];
        event_timestamp_ms: i64, [0+];
        custom_metadata: Option<Bytes>, [0+], null [0+];
        remote_log_segment_state: i8, [0+];
    }
}

message! {
    /// Type 2: remote partition delete metadata.
    RemotePartitionDeleteMetadataRecord [0] flexible [0+] {
        topic_id_partition: TopicIdPartitionEntry, [0+];
        broker_id: i32, [0+];
        event_timestamp_ms: i64, [0+];
        remote_partition_delete_state: i8, [0+];
    }
}

message! {
    /// Type 3: remote log segment metadata snapshot.
    RemoteLogSegmentMetadataSnapshotRecord [0] flexible [0+] {
        segment_id: Uuid, [0+];
        start_offset: i64, [0+];
        end_offset: i64, [0+];
        broker_id: i32, [0+];
        max_timestamp_ms: i64, [0+];
        event_timestamp_ms: i64, [0+];
        segment_leader_epochs: Vec<SegmentLeaderEpochEntry>, [0+];
        segment_size_in_bytes: i32, [0+];
        custom_metadata: Option<Bytes>, [0+], null [0+];
        remote_log_segment_state: i8, [0+];
        txn_index_empty: bool, [0+], tag 0 [0+];
    }
}
