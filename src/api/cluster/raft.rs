//! What controllers say to each other: Raft, under keys of our own.

use crate::api::{Api, On, RequestContext, SignOfLife};
use crate::schema::messages::raft::{
    RaftAppendEntriesRequest, RaftAppendEntriesResponse, RaftSnapshotRequest, RaftSnapshotResponse,
    RaftTransferLeaderRequest, RaftTransferLeaderResponse, RaftVoteRequest, RaftVoteResponse,
};

macro_rules! raft_call {
    ($(#[$meta:meta])* $name:ident, $key:literal, $request:ty, $response:ty, $method:ident) => {
        $(#[$meta])*
        pub struct $name;

        impl Api for $name {
            type Request = $request;
            type Response = $response;
            const KEY: i16 = $key;
            const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
            const ON: On = On::Controller;

            async fn handle(cx: &RequestContext, request: $request) -> $response {
                cx.broker.quorum.$method(request).await
            }
        }
    };
}

raft_call!(
    /// Key 10000: a candidate asks for a vote, or whether it would get one.
    RaftVote, 10_000, RaftVoteRequest, RaftVoteResponse, raft_vote
);
/// Key 10001: a leader gives entries, or a sign of life.
pub struct RaftAppendEntries;

impl Api for RaftAppendEntries {
    type Request = RaftAppendEntriesRequest;
    type Response = RaftAppendEntriesResponse;
    const KEY: i16 = 10_001;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Controller;

    async fn handle(cx: &RequestContext, request: RaftAppendEntriesRequest) -> RaftAppendEntriesResponse {
        let leader = request.head.sender_id;
        let response = cx.broker.quorum.raft_append_entries(request).await;
        if response.error_code == 0 {
            // The first stays: a connection has one node at its other end.
            cx.connection.sign_of_life.get_or_init(|| SignOfLife::Leader(leader));
        }
        response
    }
}

raft_call!(
    /// Key 10002: a leader gives a snapshot, in pieces.
    RaftSnapshot, 10_002, RaftSnapshotRequest, RaftSnapshotResponse, raft_snapshot
);
raft_call!(
    /// Key 10003: a leader goes and wants this node elected.
    RaftTransferLeader, 10_003, RaftTransferLeaderRequest, RaftTransferLeaderResponse, raft_transfer_leader
);
