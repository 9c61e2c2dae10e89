//! What other controllers ask of this one.
//!
//! Nothing of a request is taken before it is known to come from this cluster and to be meant for this node with the
//! directory that it has. Whose disk was lost comes back with another directory under the same id: who knows the old one
//! gives such a candidate no vote, since it may have forgotten what it promised.

use openraft::async_runtime::watch::WatchReceiver as _;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::schema::messages::raft::{
    RaftAppendEntriesRequest, RaftAppendEntriesResponse, RaftHead, RaftSnapshotRequest, RaftSnapshotResponse,
    RaftTransferLeaderRequest, RaftTransferLeaderResponse, RaftVoteRequest, RaftVoteResponse,
};
use crate::types::{ErrorCode, LeaderEpoch, NodeId};

use super::messages::{self, SnapshotOf, log_id_to_wire, vote_to_wire};
use super::network::PIECE_BYTES;
use super::snapshot::{self, Content};
use super::state_machine::{Snapshot, SnapshotHandle, SnapshotMeta};
use super::types::{EntryPayload, RaftId, Vote, term_of};
use super::{Quorum, VoterPart};

/// Largest snapshot that is taken in.
const SNAPSHOT_BYTES_MAX: i64 = 2 << 30;

/// A snapshot that arrives in pieces. There is one at a time.
#[derive(Default)]
pub(super) struct Reception(Mutex<Option<Received>>);

struct Received {
    sender: NodeId,
    of: SnapshotOf,
    size: usize,
    bytes: Vec<u8>,
}

impl Quorum {
    /// Whether a request is meant for this node, and its part if it is a voter.
    fn meant(&self, head: &RaftHead) -> Result<&VoterPart, ErrorCode> {
        let me = &self.identity;
        if *head.cluster_id != *me.cluster_id {
            return Err(ErrorCode::InconsistentClusterId);
        }
        let directory_fits = head.target_directory_id.is_nil() || head.target_directory_id == me.directory_id;
        match self.voter() {
            Some(part) if head.target_id == me.node_id && directory_fits => Ok(part),
            _ => Err(ErrorCode::InvalidVoterKey),
        }
    }

    fn directory_id(&self) -> Uuid {
        self.identity.directory_id
    }

    /// Answers a candidate.
    pub async fn raft_vote(&self, request: RaftVoteRequest) -> RaftVoteResponse {
        let mut response = RaftVoteResponse { directory_id: self.directory_id(), ..Default::default() };
        let leads = self.leadership.borrow().is_me;
        match self.vote_or_error(&request).await {
            Ok(answer) => {
                // Whatever was taken before the vote is known by now, and nothing is taken from the one before after it.
                response.silent_ms = match self.voter() {
                    Some(part) if !leads => part.silence.lasts().as_millis() as i64,
                    _ => 0,
                };
                if answer.vote_granted
                    && !request.pre_vote
                    && let Some(part) = self.voter()
                {
                    part.silence.voted();
                }
                response.granted = answer.vote_granted;
                response.vote = vote_to_wire(&answer.vote);
                response.last_entry = log_id_to_wire(answer.last_log_id.as_ref());
            }
            Err(error) => response.error_code = error.code(),
        }
        response
    }

    async fn vote_or_error(
        &self,
        request: &RaftVoteRequest,
    ) -> Result<super::types::VoteResponse, ErrorCode> {
        let part = self.meant(&request.head)?;
        if part.knows_otherwise(request.head.sender_id, request.head.sender_directory_id) {
            return Err(ErrorCode::VoterNotFound);
        }
        let asked = messages::vote_request(request).map_err(|_| ErrorCode::InvalidRequest)?;
        let answered =
            if request.pre_vote { part.raft.pre_vote(asked).await } else { part.raft.vote(asked).await };
        answered.map_err(|_| ErrorCode::UnknownServerError)
    }

    /// Takes a leader's entries, or its sign of life.
    pub async fn raft_append_entries(&self, request: RaftAppendEntriesRequest) -> RaftAppendEntriesResponse {
        let mut response =
            RaftAppendEntriesResponse { directory_id: self.directory_id(), ..Default::default() };
        match self.append_or_error(request).await {
            Ok(answer) => messages::append_response_to_wire(&answer, &mut response),
            Err(error) => response.error_code = error.code(),
        }
        response
    }

    async fn append_or_error(
        &self,
        request: RaftAppendEntriesRequest,
    ) -> Result<super::types::AppendResponse, ErrorCode> {
        let part = self.meant(&request.head)?;
        let asked = messages::append_request(request).map_err(|_| ErrorCode::InvalidRequest)?;
        if let (Some(first), Some(previous)) = (asked.entries.first(), asked.prev_log_id) {
            // The same entry at another offset: the logs have two histories.
            let here = part.log.with_log(|log| log.has(previous).then(|| log.end_of_entry(previous.index())));
            if here.flatten().is_some_and(|end| base_offset(&first.payload) != Some(end)) {
                tracing::error!(
                    "the leader's log has other offsets than the log here behind entry {previous}"
                );
                return Err(ErrorCode::InvalidRequest);
            }
        }
        part.silence.ends();
        let answer = part.raft.append_entries(asked).await.map_err(|_| ErrorCode::UnknownServerError)?;
        if !matches!(answer, super::types::AppendResponse::HigherVote(_)) {
            part.heard.send_if_modified(|heard| !std::mem::replace(heard, true));
        }
        Ok(answer)
    }

    /// Takes a piece of a leader's snapshot, and installs the snapshot with the last one.
    pub async fn raft_snapshot(&self, request: RaftSnapshotRequest) -> RaftSnapshotResponse {
        let mut response = RaftSnapshotResponse { directory_id: self.directory_id(), ..Default::default() };
        match self.snapshot_or_error(request).await {
            Ok(vote) => response.vote = vote_to_wire(&vote),
            Err(error) => response.error_code = error.code(),
        }
        response
    }

    async fn snapshot_or_error(&self, request: RaftSnapshotRequest) -> Result<Vote, ErrorCode> {
        let part = self.meant(&request.head)?;
        let of = messages::snapshot_request(&request).map_err(|_| ErrorCode::InvalidRequest)?;
        if let Some(own) = part.log.vote()
            && own.leader_id.term > of.vote.leader_id.term
        {
            return Ok(own);
        }
        part.silence.ends();
        let Some(received) = part.reception.take_piece(of, request)? else { return Ok(own_or_theirs(part)) };
        let Received { of, bytes, .. } = received;
        let epoch = term_of(&of.last) as LeaderEpoch;
        let parsed = part.links.tasks.run_blocking(move || snapshot::parse(&bytes.into())).await;
        let mut content: Content = match parsed {
            Some(Ok(content)) => content,
            Some(Err(why)) => {
                tracing::error!("a snapshot from the leader cannot be read: {why}");
                return Err(ErrorCode::InvalidRequest);
            }
            None => return Err(ErrorCode::UnknownServerError),
        };
        content.image.set_position(of.end - 1, epoch);
        let meta = SnapshotMeta { last_log_id: Some(of.last), last_membership: of.voters };
        let snapshot = Snapshot { meta, snapshot: SnapshotHandle(content) };
        let installed = part.raft.install_full_snapshot(of.vote, snapshot).await;
        installed.map(|response| response.vote).map_err(|_| ErrorCode::UnknownServerError)
    }

    /// Has this node elected at once, because the leader goes.
    pub async fn raft_transfer_leader(
        &self,
        request: RaftTransferLeaderRequest,
    ) -> RaftTransferLeaderResponse {
        let mut response =
            RaftTransferLeaderResponse { directory_id: self.directory_id(), ..Default::default() };
        match self.transfer_or_error(&request).await {
            Ok(answer) => messages::transfer_response_to_wire(&answer, &mut response),
            Err(error) => response.error_code = error.code(),
        }
        response
    }

    async fn transfer_or_error(
        &self,
        request: &RaftTransferLeaderRequest,
    ) -> Result<super::types::TransferResponse, ErrorCode> {
        let part = self.meant(&request.head)?;
        let asked = messages::transfer_request(request, self.identity.node_id)
            .map_err(|_| ErrorCode::InvalidRequest)?;
        part.raft.handle_transfer_leader(asked).await.map_err(|_| ErrorCode::UnknownServerError)
    }
}

fn own_or_theirs(part: &VoterPart) -> Vote {
    part.log.vote().unwrap_or_else(|| Vote::new(0, RaftId(part.links.me)))
}

/// Where an entry begins that came in a batch.
fn base_offset(payload: &EntryPayload) -> Option<crate::types::Offset> {
    let header = crate::wire::batch::BatchHeader::new(payload.batch.as_deref()?)?;
    Some(header.base_offset())
}

impl VoterPart {
    /// True if the voters name `id` with another directory than `directory`.
    fn knows_otherwise(&self, id: NodeId, directory: Uuid) -> bool {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        let voter = seen.membership_config.membership().get_node(&RaftId(id));
        voter.is_some_and(|voter| !voter.directory.is_nil() && voter.directory != directory)
    }
}

impl Reception {
    /// Takes a piece; gives the snapshot back once it is whole.
    fn take_piece(
        &self,
        of: SnapshotOf,
        request: RaftSnapshotRequest,
    ) -> Result<Option<Received>, ErrorCode> {
        let sender = request.head.sender_id;
        let is_sized = (1..=SNAPSHOT_BYTES_MAX).contains(&request.size);
        if !is_sized || request.data.is_empty() || request.data.len() > PIECE_BYTES {
            return Err(ErrorCode::InvalidRequest);
        }
        let size = request.size as usize;
        let mut reception = self.0.lock();
        if request.position == 0 {
            *reception = Some(Received { sender, of: of.clone(), size, bytes: Vec::new() });
        }
        let fits = |r: &&mut Received| {
            (r.sender, &r.of, r.size, r.bytes.len() as i64) == (sender, &of, size, request.position)
                && r.bytes.len() + request.data.len() <= size
        };
        let Some(received) = reception.as_mut().filter(fits) else {
            return Err(ErrorCode::PositionOutOfRange);
        };
        received.bytes.extend_from_slice(&request.data);
        if received.bytes.len() < size {
            return Ok(None);
        }
        Ok(reception.take())
    }
}
