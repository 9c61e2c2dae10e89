//! Fetch and FetchSnapshot of `__cluster_metadata` (KIP-595, KIP-630), as the active controller answers them.
//!
//! Only what is committed is given out, so whoever fetches never has to take anything back. Voters do not fetch: the
//! leader sends them what they need.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::env::disk::{OpenMode, read_exact_at};
use crate::schema::api::fetch_request::FetchPartition;
use crate::schema::api::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData, SnapshotId,
};
use crate::schema::api::fetch_snapshot_request::PartitionSnapshot as AskedSnapshot;
use crate::schema::api::{
    BrokerId, FetchRequest, FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, TopicName,
    fetch_snapshot_response,
};
use crate::types::{ErrorCode, LeaderEpoch, NodeId, Offset, TopicId};

use super::snapshot;
use super::types::{RaftId, term_of};
use super::{CLUSTER_METADATA, Heard, Quorum, ReplicaInfo, VoterPart};

/// From this version of Fetch on topics are named by id (KIP-516).
const TOPIC_ID_FROM: i16 = 13;
/// From this version of Fetch on the answer says where leaders are (KIP-951).
const ENDPOINTS_FROM: i16 = 16;
/// Most bytes of batches in one answer, unless the first has more.
const FETCH_BYTES_MAX: i32 = 8 << 20;
/// Most bytes of a snapshot in one answer.
const PIECE_BYTES_MAX: i32 = 1 << 20;
/// How long a fetch may wait, whatever it says.
const WAIT_MS_MAX: i32 = 30_000;
/// An observer that was not heard of for so long is forgotten, as in Kafka.
const OBSERVER_FORGOTTEN: Duration = Duration::from_secs(300);
/// Most observers that are remembered.
const OBSERVERS_MAX: usize = 10_000;
/// Tag of ours in a piece of a snapshot: the rank of its last entry in the log, so that logs that begin behind it count
/// alike everywhere.
pub(super) const TAG_LAST_INDEX: i32 = 10_000;

/// How far an observer has come.
pub(super) struct Seen {
    end: Offset,
    at: Instant,
    heard: Heard,
    /// What was committed when it was heard: having this the next time means having been caught up now.
    committed: Offset,
}

impl Quorum {
    /// Answers a Fetch that came to a listener of the controller.
    pub async fn fetch(&self, version: i16, request: FetchRequest) -> FetchResponse {
        let error = |code: ErrorCode| FetchResponse::default().with_error_code(code.code());
        if request.cluster_id.as_ref().is_some_and(|id| **id != *self.identity.cluster_id) {
            return error(ErrorCode::InconsistentClusterId);
        }
        let [topic] = &request.topics[..] else { return error(ErrorCode::InvalidRequest) };
        let is_metadata = match version {
            TOPIC_ID_FROM.. => topic.topic_id == TopicId::METADATA.0,
            _ => **topic.topic == *CLUSTER_METADATA,
        };
        let asked = match &topic.partitions[..] {
            [partition] if is_metadata && partition.partition == 0 => partition,
            _ => return error(ErrorCode::InvalidRequest),
        };
        if version < 15 && request.replica_id.0 >= 0 {
            self.note_observer(request.replica_id.0, asked);
        } else if request.replica_state.replica_id.0 >= 0 {
            self.note_observer(request.replica_state.replica_id.0, asked);
        }
        let wait = Duration::from_millis(request.max_wait_ms.clamp(0, WAIT_MS_MAX) as u64);
        let partition = self.fetch_partition(asked, wait, request.max_bytes).await;
        let topic = FetchableTopicResponse::default()
            .with_topic(topic.topic.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(vec![partition]);
        let mut response = FetchResponse::default().with_responses(vec![topic]);
        if version >= ENDPOINTS_FROM
            && let Some((id, host, port)) = self.leader_endpoint()
        {
            let endpoint = NodeEndpoint::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_string(host.to_string()))
                .with_port(i32::from(port));
            response.node_endpoints = vec![endpoint];
        }
        response
    }

    async fn fetch_partition(&self, asked: &FetchPartition, wait: Duration, bytes_max: i32) -> PartitionData {
        let answer = self.try_fetch(asked, wait, bytes_max).await;
        let mut partition = answer.unwrap_or_else(|error| {
            PartitionData::default()
                .with_error_code(error.code())
                .with_high_watermark(-1)
                .with_records(Some(Bytes::new()))
        });
        let leadership = self.leadership.borrow();
        partition.aborted_transactions = None;
        partition.current_leader = LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(leadership.leader.unwrap_or(-1)))
            .with_leader_epoch(leadership.epoch);
        partition
    }

    async fn try_fetch(
        &self,
        asked: &FetchPartition,
        wait: Duration,
        bytes_max: i32,
    ) -> Result<PartitionData, ErrorCode> {
        let part = self.leads()?;
        let epoch = self.leadership.borrow().epoch;
        match asked.current_leader_epoch {
            known @ 0.. if known < epoch => return Err(ErrorCode::FencedLeaderEpoch),
            known @ 0.. if known > epoch => return Err(ErrorCode::UnknownLeaderEpoch),
            _ => {}
        }
        let mut answer = PartitionData::default().with_records(Some(Bytes::new()));
        if let Some(urgent) = part.must_know(asked) {
            match urgent {
                MustKnow::Snapshot(id) => answer.snapshot_id = id,
                MustKnow::Divergence(end) => answer.diverging_epoch = end,
            }
        } else {
            self.wait_for_records(asked.fetch_offset, wait).await;
            // Who has lost the leadership meanwhile may have cut its log.
            self.leads()?;
        }
        let end = self.image().offset() + 1;
        answer.high_watermark = end;
        answer.last_stable_offset = end;
        answer.log_start_offset = part.log.with_log(|log| log.start_offset());
        let is_plain = answer.snapshot_id.end_offset < 0 && answer.diverging_epoch.epoch < 0;
        if is_plain && asked.fetch_offset >= answer.log_start_offset {
            let most = asked.partition_max_bytes.min(bytes_max).clamp(1, FETCH_BYTES_MAX) as usize;
            let read = part.log.with_log(|log| log.batches_from(asked.fetch_offset, end, most));
            answer.records = Some(read.map_err(|_| ErrorCode::KafkaStorageError)?);
        }
        Ok(answer)
    }

    /// This node's part if it leads, and knows it: a leader that has not heard from a majority for long may be none.
    pub(super) fn leads(&self) -> Result<&VoterPart, ErrorCode> {
        let part = self.voter().filter(|_| self.leadership.borrow().is_me);
        let part = part.ok_or(ErrorCode::NotLeaderOrFollower)?;
        let metrics = part.raft.metrics();
        let seen = metrics.borrow_watched();
        let is_alone = seen.membership_config.membership().voter_ids().nth(1).is_none();
        let heard = seen.last_quorum_acked.as_ref().is_none_or(|at| at.elapsed() <= part.leader_lease);
        if is_alone || heard { Ok(part) } else { Err(ErrorCode::NotLeaderOrFollower) }
    }

    /// True if this node leads and a majority has heard it lately, so that nobody else can be elected yet. What is said
    /// without writing anything may only be said while this holds.
    pub fn leads_for_certain(&self) -> bool {
        self.leads().is_ok()
    }

    /// Waits until `offset` is committed, or `wait` is over, or another leads.
    async fn wait_for_records(&self, offset: Offset, wait: Duration) {
        if self.image().offset() >= offset || wait.is_zero() {
            return;
        }
        let mut leadership = self.leadership.clone();
        let deadline = Instant::now() + wait;
        tokio::select! {
            biased;
            _image = self.publisher.wait_for(offset) => {}
            _lost = leadership.wait_for(|l| !l.is_me) => {}
            () = sleep_until(deadline) => {}
        }
    }

    fn note_observer(&self, id: NodeId, asked: &FetchPartition) {
        let Some(part) = self.voter().filter(|_| self.leadership.borrow().is_me) else { return };
        let now = Instant::now();
        let mut observers = part.observers.lock();
        let key = (id, asked.replica_directory_id);
        if observers.len() >= OBSERVERS_MAX && !observers.contains_key(&key) {
            observers.retain(|_, seen| now - seen.at < OBSERVER_FORGOTTEN);
        }
        if observers.len() < OBSERVERS_MAX || observers.contains_key(&key) {
            let (end, committed) = (asked.fetch_offset, self.image().offset() + 1);
            let last_fetch = part.links.clock.now();
            let before = observers.get(&key);
            let last_caught_up = match before {
                _ if end >= committed => last_fetch,
                Some(before) if end >= before.committed => before.heard.last_fetch,
                Some(before) => before.heard.last_caught_up,
                None => -1,
            };
            let heard = Heard { last_fetch, last_caught_up };
            observers.insert(key, Seen { end, at: now, heard, committed });
        }
    }

    /// Answers a FetchSnapshot that came to a listener of the controller.
    pub async fn fetch_snapshot(&self, request: FetchSnapshotRequest) -> FetchSnapshotResponse {
        let error = |code: ErrorCode| FetchSnapshotResponse::default().with_error_code(code.code());
        if request.cluster_id.as_ref().is_some_and(|id| **id != *self.identity.cluster_id) {
            return error(ErrorCode::InconsistentClusterId);
        }
        let [topic] = &request.topics[..] else { return error(ErrorCode::InvalidRequest) };
        let asked = match &topic.partitions[..] {
            [partition] if **topic.name == *CLUSTER_METADATA && partition.partition == 0 => partition,
            _ => return error(ErrorCode::InvalidRequest),
        };
        let mut partition = match self.try_fetch_snapshot(asked, request.max_bytes).await {
            Ok(partition) => partition,
            Err(error) => fetch_snapshot_response::PartitionSnapshot::default().with_error_code(error.code()),
        };
        let leadership = self.leadership.borrow().clone();
        partition.current_leader = fetch_snapshot_response::LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(leadership.leader.unwrap_or(-1)))
            .with_leader_epoch(leadership.epoch);
        let topic = fetch_snapshot_response::TopicSnapshot::default()
            .with_name(TopicName(StrBytes::from_static_str(CLUSTER_METADATA)))
            .with_partitions(vec![partition]);
        FetchSnapshotResponse::default().with_topics(vec![topic])
    }

    async fn try_fetch_snapshot(
        &self,
        asked: &AskedSnapshot,
        bytes_max: i32,
    ) -> Result<fetch_snapshot_response::PartitionSnapshot, ErrorCode> {
        let part = self.leads()?;
        let (last, end) = part.log.snapshot().ok_or(ErrorCode::SnapshotNotFound)?;
        let id = snapshot::SnapshotId { end, epoch: term_of(&last) as LeaderEpoch };
        if (asked.snapshot_id.end_offset, asked.snapshot_id.epoch) != (id.end, id.epoch) {
            return Err(ErrorCode::SnapshotNotFound);
        }
        let position = u64::try_from(asked.position).map_err(|_| ErrorCode::PositionOutOfRange)?;
        let (disk, path) = (part.disk.clone(), id.path(&part.dir));
        let most = bytes_max.clamp(1, PIECE_BYTES_MAX) as u64;
        let read = part.links.tasks.run_blocking(move || {
            let file = disk.open(&path, OpenMode::Read)?;
            let size = file.len()?;
            let mut piece = vec![0; size.saturating_sub(position).min(most) as usize];
            read_exact_at(&*file, position, &mut piece)?;
            std::io::Result::Ok((size, Bytes::from(piece)))
        });
        let (size, piece) = match read.await {
            Some(Ok(read)) => read,
            // A newer one has taken its place meanwhile, most likely.
            Some(Err(_)) | None => return Err(ErrorCode::SnapshotNotFound),
        };
        if position > size {
            return Err(ErrorCode::PositionOutOfRange);
        }
        let mut partition = fetch_snapshot_response::PartitionSnapshot::default()
            .with_snapshot_id(
                fetch_snapshot_response::SnapshotId::default().with_end_offset(id.end).with_epoch(id.epoch),
            )
            .with_size(size as i64)
            .with_position(asked.position)
            .with_unaligned_records(piece);
        let index = Bytes::copy_from_slice(&last.index().to_be_bytes());
        partition.unknown_tagged_fields.insert(TAG_LAST_INDEX, index);
        Ok(partition)
    }

    /// Who leads, and where it listens, as far as that is known.
    pub fn leader_endpoint(&self) -> Option<(NodeId, std::sync::Arc<str>, u16)> {
        let leader = self.leadership.borrow().leader?;
        match &self.part {
            super::Part::Voter(part) => {
                let (host, port) = part.endpoint_of(leader)?;
                Some((leader, host, port))
            }
            super::Part::Observer(part) => part.leader_endpoint().filter(|(id, ..)| *id == leader),
        }
    }
}

/// What somebody who fetches must know before it can go on.
enum MustKnow {
    /// The log begins later: only a snapshot helps.
    Snapshot(SnapshotId),
    /// Its log has another history.
    Divergence(EpochEndOffset),
}

impl VoterPart {
    fn must_know(&self, asked: &FetchPartition) -> Option<MustKnow> {
        let (start, end) = self.log.with_log(|log| (log.start_offset(), log.end_offset()));
        if asked.fetch_offset < start {
            let (last, end) = self.log.snapshot()?;
            let id = SnapshotId::default().with_end_offset(end).with_epoch(term_of(&last) as LeaderEpoch);
            return Some(MustKnow::Snapshot(id));
        }
        let diverging = |(epoch, end)| {
            Some(MustKnow::Divergence(EpochEndOffset::default().with_epoch(epoch).with_end_offset(end)))
        };
        if asked.last_fetched_epoch < 0 {
            return if asked.fetch_offset > end { diverging((0, 0)) } else { None };
        }
        match self.log.with_log(|log| log.end_of_epoch(asked.last_fetched_epoch)) {
            Some((epoch, end)) if epoch == asked.last_fetched_epoch && end >= asked.fetch_offset => None,
            Some(there) => diverging(there),
            None => diverging((0, 0)),
        }
    }

    /// Where a voter listens.
    pub(super) fn endpoint_of(&self, id: NodeId) -> Option<(std::sync::Arc<str>, u16)> {
        if let Some(configured) = self.links.configured.get(&id) {
            return Some(configured.clone());
        }
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        let voter = seen.membership_config.membership().get_node(&RaftId(id))?;
        let (_, host, port) = voter.endpoints.first()?;
        Some((host.as_str().into(), *port))
    }

    /// Who has fetched lately.
    pub(super) fn seen_observers(&self) -> Vec<ReplicaInfo> {
        let now = Instant::now();
        let observers = self.observers.lock();
        let recent = observers.iter().filter(|(_, seen)| now - seen.at < OBSERVER_FORGOTTEN);
        let info = |((id, directory), seen): (&(NodeId, Uuid), &Seen)| ReplicaInfo {
            id: *id,
            directory: *directory,
            log_end_offset: seen.end,
            endpoints: Vec::new(),
            heard: seen.heard,
        };
        recent.map(info).collect()
    }
}
