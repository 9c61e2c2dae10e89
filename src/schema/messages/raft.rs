//! What controllers say to each other: Raft, in Kafka's frames, under keys of ours.
//!
//! Kafka's own Vote, Fetch and EndQuorumEpoch pull; this quorum pushes, so it has calls of its own. Their keys begin
//! where Kafka will not come, they are never advertised and only served on listeners of controllers. Each request names
//! the cluster, its sender, and the node and directory that it is meant for; whoever is not meant takes nothing of it
//! (KIP-853 says the same of its voters).
//!
//! `-1` as an index or term means "none", as everywhere in Kafka.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

structure! {
    /// Who asks whom.
    RaftHead {
        cluster_id: StrBytes, [0+];
        sender_id: i32, [0+], default -1;
        sender_directory_id: Uuid, [0+];
        target_id: i32, [0+], default -1;
        target_directory_id: Uuid, [0+];
    }
}

structure! {
    /// A vote: for whom in which term, and whether a majority has given it.
    RaftVote {
        term: i64, [0+], default -1;
        node_id: i32, [0+], default -1;
        committed: bool, [0+];
    }
}

structure! {
    /// An entry: its term and its rank in the log.
    RaftLogId {
        term: i64, [0+], default -1;
        index: i64, [0+], default -1;
    }
}

message! {
    /// Asks for a vote, or whether one would be given.
    RaftVoteRequest [0] flexible [0+] {
        head: RaftHead, [0+];
        pre_vote: bool, [0+];
        leadership_transfer: bool, [0+];
        vote: RaftVote, [0+];
        last_entry: RaftLogId, [0+];
    }
}

message! {
    /// The answer to [`RaftVoteRequest`]. `silent_ms`: for how long at least this voter has taken nothing from any leader.
    RaftVoteResponse [0] flexible [0+] {
        error_code: i16, [0+];
        directory_id: Uuid, [0+];
        granted: bool, [0+];
        vote: RaftVote, [0+];
        last_entry: RaftLogId, [0+];
        silent_ms: i64, [0+];
    }
}

message! {
    /// Entries for a follower's log, none to be heard of only. `records` are the batches as they lie in the leader's log,
    /// one for each entry.
    RaftAppendEntriesRequest [0] flexible [0+] {
        head: RaftHead, [0+];
        vote: RaftVote, [0+];
        previous: RaftLogId, [0+];
        committed: RaftLogId, [0+];
        records: Bytes, [0+];
    }
}

message! {
    /// The answer to [`RaftAppendEntriesRequest`]. `outcome`: 0 all is appended, 1 up to `matching` is, 2 `previous` is
    /// not there, 3 there is a higher vote.
    RaftAppendEntriesResponse [0] flexible [0+] {
        error_code: i16, [0+];
        directory_id: Uuid, [0+];
        outcome: i8, [0+];
        matching: RaftLogId, [0+];
        vote: RaftVote, [0+];
    }
}

message! {
    /// A piece of a snapshot file. `last_entry` is the last one in it; `voters` is the value of a KRaftVoters record, with
    /// the entry that named them.
    RaftSnapshotRequest [0] flexible [0+] {
        head: RaftHead, [0+];
        vote: RaftVote, [0+];
        end_offset: i64, [0+], default -1;
        last_entry: RaftLogId, [0+];
        voters_entry: RaftLogId, [0+];
        voters: Bytes, [0+];
        size: i64, [0+];
        position: i64, [0+];
        data: Bytes, [0+];
    }
}

message! {
    /// The answer to [`RaftSnapshotRequest`]. To the last piece it comes when the snapshot is installed.
    RaftSnapshotResponse [0] flexible [0+] {
        error_code: i16, [0+];
        directory_id: Uuid, [0+];
        vote: RaftVote, [0+];
    }
}

message! {
    /// A leader that goes asks another voter to be elected in its place at once.
    RaftTransferLeaderRequest [0] flexible [0+] {
        head: RaftHead, [0+];
        vote: RaftVote, [0+];
        last_entry: RaftLogId, [0+];
    }
}

message! {
    /// The answer to [`RaftTransferLeaderRequest`]. `outcome`: 0 it tries, 1 its vote is another, which is `vote`, 2 its
    /// log has not come so far, but to `last_entry`.
    RaftTransferLeaderResponse [0] flexible [0+] {
        error_code: i16, [0+];
        directory_id: Uuid, [0+];
        outcome: i8, [0+];
        vote: RaftVote, [0+];
        last_entry: RaftLogId, [0+];
    }
}

wire_message! { request RaftVoteRequest, key 10000, response RaftVoteResponse }
wire_message! { response RaftVoteResponse }
wire_message! { request RaftAppendEntriesRequest, key 10001, response RaftAppendEntriesResponse }
wire_message! { response RaftAppendEntriesResponse }
wire_message! { request RaftSnapshotRequest, key 10002, response RaftSnapshotResponse }
wire_message! { response RaftSnapshotResponse }
wire_message! { request RaftTransferLeaderRequest, key 10003, response RaftTransferLeaderResponse }
wire_message! { response RaftTransferLeaderResponse }
