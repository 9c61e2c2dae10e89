//! Messages to other controllers.
//!
//! Three ways lead to each of them, so that entries do not wait behind a snapshot nor the leader's sign of life behind
//! entries. A controller that answers in the name of another directory than the voters know is not the voter, nor one
//! that has answered in the name of another before: it would have less of the log than this node believes.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::{Request, StrBytes};
use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::SnapshotResponse;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::{self, CallError, Pool};
use crate::env::{Clock, Tasks};
use crate::schema::messages::raft::{
    RaftAppendEntriesRequest, RaftHead, RaftSnapshotRequest, RaftTransferLeaderRequest, RaftVoteRequest,
};
use crate::types::{ErrorCode, LeaderEpoch, Ms, NodeId};

use super::Heard;
use super::log_store::LogStore;
use super::messages::{self, BadMessage, log_id_to_wire, vote_from_wire, vote_to_wire};
use super::silence::Ballot;
use super::snapshot;
use super::state_machine::SnapshotHandle;
use super::types::{
    AppendRequest, AppendResponse, RaftId, TransferRequest, TransferResponse, TypeConfig, Vote, VoteRequest,
    VoteResponse, Voter, term_of,
};

/// The version of all messages.
const VERSION: i16 = 0;
/// Bytes of a snapshot in one message.
pub(super) const PIECE_BYTES: usize = 1 << 20;
/// What has to be on a disk before it is answered, entries or a vote, is given so long at least.
const DISK_MAX: Duration = Duration::from_secs(1);
/// A voter's silence counts no longer than this, a day: no lease is as long.
const SILENT_MS_MAX: i64 = 86_400_000;

/// What the ways to other controllers share.
pub(super) struct Links {
    pub(super) pool: Pool,
    pub(super) cluster_id: StrBytes,
    pub(super) me: NodeId,
    /// The directory of this node's metadata log.
    pub(super) directory: Uuid,
    /// Where the configuration says that controllers are; that counts more than what the log says.
    pub(super) configured: BTreeMap<NodeId, (Arc<str>, u16)>,
    pub(super) log: LogStore,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
    directories: Mutex<BTreeMap<NodeId, Uuid>>,
    pub(super) learned: Notify,
    refusals: Mutex<BTreeMap<NodeId, i16>>,
    heard: Mutex<BTreeMap<NodeId, Heard>>,
    /// What voters said that have given this node their votes.
    pub(super) ballot: Ballot,
}

impl Links {
    #[allow(clippy::too_many_arguments)] // One call, with names at it.
    pub(super) fn new(
        pool: Pool,
        cluster_id: &str,
        me: NodeId,
        directory: Uuid,
        configured: BTreeMap<NodeId, (Arc<str>, u16)>,
        log: LogStore,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Links {
        Links {
            pool,
            cluster_id: StrBytes::from_string(cluster_id.to_owned()),
            me,
            directory,
            configured,
            log,
            clock,
            tasks,
            directories: Mutex::new(BTreeMap::from([(me, directory)])),
            learned: Notify::new(),
            refusals: Mutex::default(),
            heard: Mutex::default(),
            ballot: Ballot::default(),
        }
    }

    /// When a controller last took what it was sent.
    pub(super) fn heard(&self, id: NodeId) -> Heard {
        self.heard.lock().get(&id).copied().unwrap_or(Heard::NEVER)
    }

    /// A controller took what was sent at `sent`, which was all that there was if `was_all`.
    fn note_heard(&self, id: NodeId, sent: Ms, was_all: bool) {
        let mut heard = self.heard.lock();
        let heard = heard.entry(id).or_insert(Heard::NEVER);
        heard.last_fetch = heard.last_fetch.max(self.clock.now());
        if was_all {
            heard.last_caught_up = heard.last_caught_up.max(sent);
        }
    }

    /// The directories of those of `voters` that the voters' set has none for, as they have answered themselves.
    pub(super) fn unnamed<'a>(
        &self,
        voters: impl Iterator<Item = (&'a RaftId, &'a Voter)>,
    ) -> BTreeMap<RaftId, Voter> {
        let known = self.directories.lock();
        let unnamed = voters.filter(|(_, voter)| voter.directory.is_nil());
        let named = unnamed.filter_map(|(id, voter)| {
            let directory = known.get(&id.0).filter(|directory| !directory.is_nil())?;
            Some((*id, Voter { directory: *directory, ..voter.clone() }))
        });
        named.collect()
    }

    /// Keeps the directory that a voter was first heard with.
    fn learn(&self, id: NodeId, directory: Uuid) {
        let mut directories = self.directories.lock();
        if let std::collections::btree_map::Entry::Vacant(entry) = directories.entry(id) {
            entry.insert(directory);
            self.learned.notify_one();
        }
    }
}

/// Makes the ways to other controllers.
pub(super) struct Network(pub(super) Arc<Links>);

/// The way to one other controller.
pub(super) struct Peer {
    links: Arc<Links>,
    target: RaftId,
    voter: Voter,
    lane: &'static str,
}

impl Network {
    fn peer(&self, target: RaftId, voter: &Voter, lane: &'static str) -> Peer {
        Peer { links: Arc::clone(&self.0), target, voter: voter.clone(), lane }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: RaftId, node: &Voter) -> Peer {
        self.peer(target, node, "raft")
    }

    async fn new_heartbeat_client(&mut self, target: RaftId, node: &Voter) -> Peer {
        self.peer(target, node, "raft-heartbeat")
    }

    async fn new_snapshot_client(&mut self, target: RaftId, node: &Voter) -> Peer {
        self.peer(target, node, "raft-snapshot")
    }
}

fn unreachable(why: impl ToString) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::from_string(why))
}

fn no_sense(error: BadMessage) -> RPCError<TypeConfig> {
    unreachable(error)
}

impl Peer {
    fn head(&self) -> RaftHead {
        RaftHead {
            cluster_id: self.links.cluster_id.clone(),
            sender_id: self.links.me,
            sender_directory_id: self.links.directory,
            target_id: self.target.0,
            target_directory_id: self.directory().unwrap_or_default(),
        }
    }

    /// The directory of the voter that this way leads to, as far as it is known.
    fn directory(&self) -> Option<Uuid> {
        // openraft keeps a way when a set of voters comes that differs only in what it says of them.
        let named = self.links.log.directory_of(self.target.0);
        let at_first = Some(self.voter.directory).filter(|directory| !directory.is_nil());
        named.or(at_first).or_else(|| self.links.directories.lock().get(&self.target.0).copied())
    }

    fn place(&self) -> Option<client::Peer> {
        let configured = self.links.configured.get(&self.target.0).cloned();
        // openraft keeps a way when a set of voters comes that differs only in what it says of them.
        let named = || self.links.log.place_of(self.target.0);
        let (host, port) = configured.or_else(named).or_else(|| {
            self.voter.endpoints.first().map(|(_, host, port)| (Arc::from(host.as_str()), *port))
        })?;
        Some(client::Peer { host, port, lane: self.lane })
    }

    async fn call<R: Request>(
        &self,
        request: &R,
        patience: Duration,
        action: RPCTypes,
    ) -> Result<R::Response, RPCError<TypeConfig>> {
        let place = self.place().ok_or_else(|| unreachable("the voter has no endpoint"))?;
        let deadline = Instant::now() + patience;
        self.links.pool.call(&place, VERSION, request, deadline).await.map_err(|error| match error {
            CallError::Unreachable(why) => unreachable(why),
            CallError::TimedOut => RPCError::Timeout(Timeout {
                action,
                id: RaftId(self.links.me),
                target: self.target,
                timeout: patience,
            }),
            CallError::Lost(_) | CallError::Malformed(_) | CallError::Encode(_) => {
                RPCError::Network(NetworkError::from_string(error))
            }
        })
    }

    /// Whether the one who answered is the voter and took the request.
    fn accepted(&self, error_code: i16, directory: Uuid) -> Result<(), RPCError<TypeConfig>> {
        let before = self.links.refusals.lock().insert(self.target.0, error_code);
        if error_code != 0 {
            let name = ErrorCode::from_code(error_code).map_or("an unknown error", ErrorCode::name);
            if before != Some(error_code) {
                tracing::warn!("controller {} at {:?} refuses messages: {name}", self.target, self.place());
            }
            return Err(unreachable(format!("controller {} answers {name}", self.target)));
        }
        match self.directory() {
            None => self.links.learn(self.target.0, directory),
            Some(known) if known == directory => {}
            Some(_) => return Err(unreachable(format!("controller {} has another directory", self.target))),
        }
        Ok(())
    }

    async fn ask_for_vote(
        &self,
        rpc: VoteRequest,
        option: &RPCOption,
        pre_vote: bool,
    ) -> Result<VoteResponse, RPCError<TypeConfig>> {
        let request = RaftVoteRequest {
            head: self.head(),
            pre_vote,
            leadership_transfer: rpc.leadership_transfer,
            vote: vote_to_wire(&rpc.vote),
            last_entry: log_id_to_wire(rpc.last_log_id.as_ref()),
        };
        let patience = option.soft_ttl().max(DISK_MAX);
        let response = self.call(&request, patience, RPCTypes::Vote).await?;
        self.accepted(response.error_code, response.directory_id)?;
        let vote = vote_from_wire(&response.vote).map_err(no_sense)?;
        let last = messages::log_id_from_wire(&response.last_entry).map_err(no_sense)?;
        if response.granted && !pre_vote {
            let silent = Duration::from_millis(response.silent_ms.clamp(0, SILENT_MS_MAX) as u64);
            self.links.ballot.note(vote.leader_id.term, silent);
        }
        Ok(VoteResponse::new(vote, last, response.granted))
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: openraft::alias::SnapshotOf<TypeConfig, SnapshotHandle>,
        option: &RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, RPCError<TypeConfig>> {
        let (meta, content) = (snapshot.meta, snapshot.snapshot.0);
        let Some(last) = meta.last_log_id else { return Err(unreachable("a snapshot of nothing")) };
        let end_offset = content.image.offset() + 1;
        let (epoch, now) = (term_of(&last) as LeaderEpoch, self.links.clock.now());
        let encoded = self.links.tasks.run_blocking(move || snapshot::to_bytes(&content, epoch, now)).await;
        let bytes = match encoded {
            Some(Ok(bytes)) => Bytes::from(bytes),
            Some(Err(e)) => return Err(unreachable(e)),
            None => return Err(unreachable("the node is going down")),
        };
        let [_, (_, voters)] = super::batches::membership_records(meta.last_membership.membership());
        let mut request = RaftSnapshotRequest {
            head: self.head(),
            vote: vote_to_wire(&vote),
            end_offset,
            last_entry: log_id_to_wire(Some(&last)),
            voters_entry: log_id_to_wire(meta.last_membership.log_id().as_ref()),
            voters,
            size: bytes.len() as i64,
            position: 0,
            data: Bytes::new(),
        };
        let mut sent = 0;
        loop {
            request.position = sent as i64;
            request.data = bytes.slice(sent..bytes.len().min(sent + PIECE_BYTES));
            sent += request.data.len();
            let response = self.call(&request, option.soft_ttl(), RPCTypes::InstallSnapshot).await?;
            self.accepted(response.error_code, response.directory_id)?;
            let theirs = vote_from_wire(&response.vote).map_err(no_sense)?;
            if sent == bytes.len() || theirs.leader_id.term > vote.leader_id.term {
                return Ok(SnapshotResponse::new(theirs));
            }
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = SnapshotHandle;

    async fn append_entries(
        &mut self,
        rpc: AppendRequest,
        option: RPCOption,
    ) -> Result<AppendResponse, RPCError<TypeConfig>> {
        let ids = rpc.entries.iter().map(|entry| entry.log_id);
        let records = match self.links.log.with_log(|log| log.batches_of(ids)) {
            Ok(Some(records)) => records,
            // Somebody else leads meanwhile and has cut this log.
            Ok(None) => return Err(unreachable("the entries are gone")),
            Err(e) => return Err(unreachable(e)),
        };
        let request = RaftAppendEntriesRequest {
            head: self.head(),
            vote: vote_to_wire(&rpc.vote),
            previous: log_id_to_wire(rpc.prev_log_id.as_ref()),
            committed: log_id_to_wire(rpc.leader_commit.as_ref()),
            records,
        };
        let sent = self.links.clock.now();
        let last_of_log = self.links.log.with_log(|log| log.last_log_id());
        let last_sent = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
        let least = if rpc.entries.is_empty() { Duration::ZERO } else { DISK_MAX };
        let patience = option.soft_ttl().max(least);
        let response = self.call(&request, patience, RPCTypes::AppendEntries).await?;
        self.accepted(response.error_code, response.directory_id)?;
        let response = messages::append_response(&response).map_err(no_sense)?;
        match response {
            AppendResponse::Success => {
                self.links.note_heard(self.target.0, sent, last_sent.is_some() && last_sent == last_of_log);
            }
            AppendResponse::PartialSuccess(_) => self.links.note_heard(self.target.0, sent, false),
            AppendResponse::Conflict | AppendResponse::HigherVote(_) => {}
        }
        Ok(response)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RPCError<TypeConfig>> {
        self.ask_for_vote(rpc, &option, false).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RPCError<TypeConfig>> {
        self.ask_for_vote(rpc, &option, true).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::alias::SnapshotOf<TypeConfig, SnapshotHandle>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let mut cancel = pin!(cancel);
        tokio::select! {
            biased;
            closed = &mut cancel => Err(closed.into()),
            sent = self.send_snapshot(vote, snapshot, &option) => Ok(sent?),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferRequest,
        option: RPCOption,
    ) -> Result<TransferResponse, RPCError<TypeConfig>> {
        let request = RaftTransferLeaderRequest {
            head: self.head(),
            vote: vote_to_wire(rpc.from_leader()),
            last_entry: log_id_to_wire(rpc.last_log_id()),
        };
        let response = self.call(&request, option.soft_ttl(), RPCTypes::TransferLeader).await?;
        self.accepted(response.error_code, response.directory_id)?;
        use super::types::TransferError;
        Ok(match messages::transfer_response(&response).map_err(no_sense)? {
            0 => Ok(()),
            1 => Err(TransferError::VoteChanged {
                expected: *rpc.from_leader(),
                actual: vote_from_wire(&response.vote).map_err(no_sense)?,
            }),
            _ => Err(TransferError::LogNotFlushed {
                expected: rpc.last_log_id().copied(),
                actual: messages::log_id_from_wire(&response.last_entry).map_err(no_sense)?,
            }),
        })
    }
}
