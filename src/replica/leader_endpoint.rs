//! What a follower asks of a leader's broker.

use bytes::Bytes;
use thiserror::Error;

use crate::env::net::BoxFuture;
use crate::types::{BrokerEpoch, ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};

/// No answer came, or none that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct EndpointError(pub String);

/// A partition that is fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedFrom {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The topic's name, for leaders that know no ids.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The first offset wanted: the follower's log end.
    pub offset: Offset,
    /// The epoch of the record before it, or -1.
    pub last_fetched_epoch: LeaderEpoch,
    /// The leader epoch that is followed.
    pub leader_epoch: LeaderEpoch,
    /// The follower's log start offset.
    pub log_start: Offset,
    /// Everything below it is on the follower's disk: tag [`SYNCED_END_OFFSET_TAG`] of the partition.
    pub synced: Offset,
    /// The most bytes to send.
    pub bytes_max: u32,
}

/// The tagged field of a fetched partition that says what is on the follower's disk: an INT64. Kafka's tags grow from 0;
/// brokers skip those they do not know.
pub const SYNCED_END_OFFSET_TAG: i32 = 10_000;

/// A follower's fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowerFetchRequest {
    /// The session, 0 for a new one.
    pub session_id: i32,
    /// The session's epoch: 0 begins one.
    pub session_epoch: i32,
    /// How long to wait for `bytes_min`.
    pub wait_ms_max: i32,
    /// Bytes that are worth an answer.
    pub bytes_min: i32,
    /// The most bytes to send.
    pub bytes_max: i32,
    /// What is new or changed; everything where a session begins.
    pub partitions: Vec<FetchedFrom>,
    /// What the session may forget.
    pub forgotten: Vec<(TopicId, TopicName, PartitionIndex)>,
}

/// What came of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedPartition {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// Kafka's error.
    pub error: ErrorCode,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// The leader's log start offset.
    pub log_start: Offset,
    /// Where the logs diverge: the largest common epoch and its end.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// Batches; the last may be cut off.
    pub records: Bytes,
}

/// The answer to a fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowerFetchAnswer {
    /// Kafka's error of the whole fetch.
    pub error: ErrorCode,
    /// The session, 0 if there is none.
    pub session_id: i32,
    /// Partitions with news; all that were asked for where there is no session.
    pub partitions: Vec<FetchedPartition>,
}

/// A partition that something is asked of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The topic's name.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The leader epoch that is followed.
    pub leader_epoch: LeaderEpoch,
}

/// A partition whose disk has caught up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyncedPartition {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// The leader epoch that is followed.
    pub leader_epoch: LeaderEpoch,
    /// Everything below it is on the disk.
    pub synced: Offset,
}

/// An end of an epoch: the largest epoch at or below the one that was asked for, and its end; `None` if the leader knows
/// none.
pub type EpochEndAnswer = Result<Option<(LeaderEpoch, Offset)>, ErrorCode>;
/// The log start and the log end of a leader.
pub type BoundsAnswer = Result<(Offset, Offset), ErrorCode>;

/// The broker that leads, as its followers see it. Answers to lists come in the order of the list.
pub trait LeaderEndpoint: Send + Sync {
    /// True if answers to fetches tell where logs diverge (Fetch 12 and later).
    fn tells_divergence(&self) -> bool;

    /// Fetches in the name of this broker.
    fn fetch<'a>(
        &'a self,
        request: &'a FollowerFetchRequest,
    ) -> BoxFuture<'a, Result<FollowerFetchAnswer, EndpointError>>;

    /// Where epochs end.
    fn epoch_ends<'a>(
        &'a self,
        asked: &'a [(Asked, LeaderEpoch)],
    ) -> BoxFuture<'a, Result<Vec<EpochEndAnswer>, EndpointError>>;

    /// Where logs begin and end.
    fn bounds<'a>(&'a self, asked: &'a [Asked]) -> BoxFuture<'a, Result<Vec<BoundsAnswer>, EndpointError>>;

    /// Tells what is on this broker's disk, while a fetch may be waiting. Must not wait for the fetch. A leader that is no
    /// ottla is told nothing.
    fn synced<'a>(&'a self, partitions: &'a [SyncedPartition]) -> BoxFuture<'a, Result<(), EndpointError>>;

    /// Has fetches of this broker that wait for records answered now, since there is more to ask for. One that has not
    /// come in yet goes on to wait.
    fn end_wait(&self) -> BoxFuture<'_, Result<(), EndpointError>>;
}

/// What [`SyncedPartition`]s travel as: ReplicaSynced, a private call. The handling is [`super::ReplicaManager::on_synced`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaSynced {
    /// Who tells.
    pub node: crate::types::NodeId,
    /// The epoch of its registration.
    pub broker_epoch: BrokerEpoch,
    /// What is synced.
    pub partitions: Vec<SyncedPartition>,
    /// True if the follower's fetches that wait are to be answered now.
    pub end_wait: bool,
}

/// Its API key, among the private ones.
pub const REPLICA_SYNCED_KEY: i16 = 10_010;
