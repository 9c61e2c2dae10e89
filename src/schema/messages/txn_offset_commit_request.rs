//! [`TxnOffsetCommitRequest`].

use kafka_protocol::messages::{GroupId, ProducerId, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

message! {
    /// Commits offsets within a transaction (KIP-447, KIP-890, KIP-1319).
    TxnOffsetCommitRequest [0-6] flexible [3+] {
        transactional_id: TransactionalId, [0+];
        group_id: GroupId, [0+];
        producer_id: ProducerId, [0+];
        producer_epoch: i16, [0+];
        generation_id_or_member_epoch: i32, [3+], default -1;
        member_id: StrBytes, [3+];
        group_instance_id: Option<StrBytes>, [3+], null [3+];
        topics: Vec<TxnOffsetCommitRequestTopic>, [0+];
    }
}

structure! {
    /// A part of [`TxnOffsetCommitRequest`].
    TxnOffsetCommitRequestTopic {
        name: TopicName, [0-5];
        topic_id: Uuid, [6+];
        partitions: Vec<TxnOffsetCommitRequestPartition>, [0+];
    }
}

structure! {
    /// A part of [`TxnOffsetCommitRequest`].
    TxnOffsetCommitRequestPartition {
        partition_index: i32, [0+];
        committed_offset: i64, [0+];
        committed_leader_epoch: i32, [2+], default -1;
        committed_metadata: Option<StrBytes>, [0+], null [0+], default Some(Default::default());
    }
}

wire_message! {
    request TxnOffsetCommitRequest, key 28,
    response super::txn_offset_commit_response::TxnOffsetCommitResponse
}
