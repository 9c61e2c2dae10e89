//! The metadata quorum: Raft, through openraft, over a log that is Kafka's metadata log on disk.
//!
//! This is the only place that knows openraft. Entries carry Kafka's metadata records, never commands: only the leader
//! decides, everybody applies. A single node is a quorum of one and runs the same code.
//!
//! ```text
//! controller -> Quorum::propose -> openraft -> log_store -> log        (one batch for each entry, synced)
//!                                     commit -> state_machine -> image -> publish -> subscribers, readers
//! ```
//!
//! Invariants: a vote is on disk before it counts; an entry is on disk before it counts towards a commit; the image is
//! published in the log's order; after a fault of the disk nothing is promised any more ([`Quorum::failed`]).

mod batches;
mod log;
mod log_store;
mod network;
mod publish;
mod quorum_state;
mod snapshot;
mod state_machine;
mod types;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{Config, Raft, ReadPolicy, ServerState, SnapshotPolicy};
use thiserror::Error;
use tokio::sync::watch;
use uuid::Uuid;

use crate::env::Env;
use crate::env::disk::{put_in_place, read_file, write_beside};
use crate::metadata::MetadataImage;
use crate::metadata::features::METADATA_VERSION;
use crate::metadata::versions::record_version;
use crate::schema::metadata::MetadataRecord;
use crate::types::{LeaderEpoch, Ms, NodeId, Offset};

use log_store::LogStore;
use network::Network;
use state_machine::{SnapshotPressure, StateMachine};

pub use log::MetadataLogError;
pub use publish::{Publisher, Subscriber};
pub use types::Voter;
use types::{RaftId, Records, TypeConfig};

/// The directory of the metadata log within its log directory.
pub const METADATA_LOG_DIR: &str = "__cluster_metadata-0";

/// Most bytes of records in one proposal: what every node must be able to hold in memory at once.
pub const PROPOSAL_BYTES_MAX: usize = 32 << 20;

/// How often the size and age of the log are looked at for a snapshot.
const SNAPSHOT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What a node's part in the quorum needs to know.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// `node.id`.
    pub node_id: NodeId,
    /// `metadata.log.dir`, or the first log directory. The log lies in [`METADATA_LOG_DIR`] in it.
    pub log_dir: PathBuf,
    /// The id of that directory.
    pub directory_id: Uuid,
    /// The controllers, from `controller.quorum.voters` or this node alone.
    pub voters: BTreeMap<NodeId, Voter>,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 for never by time.
    pub snapshot_interval_ms: Ms,
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout_ms: u64,
    /// `controller.quorum.fetch.timeout.ms`: a leader that is not heard for so long is gone.
    pub fetch_timeout_ms: u64,
}

/// Why a node cannot take part.
#[derive(Debug, Error)]
pub enum QuorumError {
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    /// A snapshot cannot be read, or does not fit the log.
    #[error("{0}")]
    Snapshot(#[from] io::Error),
    /// openraft does not start, or stopped.
    #[error("the metadata quorum stopped: {0}")]
    Stopped(String),
}

/// Why records were not committed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProposeError {
    /// Somebody else leads. The records were not written.
    #[error("this node does not lead the quorum")]
    NotLeader(Option<NodeId>),
    /// More than one entry may hold.
    #[error("{0} bytes of records are more than one proposal may hold")]
    TooLarge(usize),
    /// A record that cannot be encoded: a bug of whoever made it.
    #[error("a record cannot be written: {0}")]
    Encode(String),
    /// The quorum stopped. Whether the records were committed is not known.
    #[error("the quorum stopped: {0}")]
    Stopped(String),
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Leadership {
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Its epoch, or the newest that is known.
    pub epoch: LeaderEpoch,
    /// True if this node leads.
    pub is_me: bool,
}

/// The quorum as DescribeQuorum tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct QuorumInfo {
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// Offset after the last committed record that this node has applied.
    pub high_watermark: Offset,
    /// The voters.
    pub voters: Vec<ReplicaInfo>,
    /// Nodes that follow without a vote.
    pub observers: Vec<ReplicaInfo>,
}

/// One node's part, as the leader knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaInfo {
    /// The node.
    pub id: NodeId,
    /// Id of the directory of its metadata log.
    pub directory: Uuid,
    /// Offset after the last record that it has; -1 if not known.
    pub log_end_offset: Offset,
    /// Where it listens: listener name, host, port.
    pub endpoints: Vec<(String, String, u16)>,
}

/// This node's part in the quorum. Clones share it.
#[derive(Clone)]
pub struct Quorum {
    raft: Raft<TypeConfig, StateMachine>,
    log: LogStore,
    publisher: Publisher,
    leadership: watch::Receiver<Leadership>,
    failure: watch::Receiver<Option<String>>,
    node_id: NodeId,
}

impl Quorum {
    /// Opens the log and takes part. A quorum of one has elected itself when this returns.
    ///
    /// Subscribers that shall see all of the log subscribe to `publisher` before.
    pub async fn start(env: &Env, config: QuorumConfig, publisher: Publisher) -> Result<Quorum, QuorumError> {
        let (log, machine, pristine, has_voters) = {
            let (env, config, publisher) = (env.clone(), config.clone(), publisher.clone());
            let tasks = env.tasks.clone();
            let opened = tasks.run_blocking(move || open(&env, &config, publisher)).await;
            opened.ok_or_else(|| QuorumError::Stopped("the node is going down".to_owned()))??
        };
        let pressure = machine.pressure();
        let stopped = |e: &dyn std::fmt::Display| QuorumError::Stopped(e.to_string());
        let election = config.election_timeout_ms.max(10);
        let raft_config = Config {
            cluster_name: "__cluster_metadata".to_owned(),
            election_timeout_min: config.fetch_timeout_ms.max(10),
            election_timeout_max: config.fetch_timeout_ms.max(10) + election,
            heartbeat_interval: (config.fetch_timeout_ms / 4).max(1),
            // One entry may be large; the network's frames bound what is sent at once.
            max_payload_entries: 64,
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: 0,
            enable_pre_vote: Some(true),
            // A restarted leader is elected anew, as in Kafka: who believes in the old epoch learns of the change.
            enable_leader_restore: Some(false),
            ..Config::default()
        };
        let raft_config = Arc::new(raft_config.validate().map_err(|e| stopped(&e))?);
        let raft_nodes: BTreeMap<RaftId, Voter> =
            config.voters.iter().map(|(id, voter)| (RaftId(*id), voter.clone())).collect();
        let raft = Raft::new(RaftId(config.node_id), raft_config, Network, log.clone(), machine)
            .await
            .map_err(|e| stopped(&e))?;
        end_with_the_node(env, &raft);
        let me = RaftId(config.node_id);
        if pristine && !has_voters {
            raft.initialize(raft_nodes).await.map_err(|e| stopped(&e))?;
        }
        let alone = raft
            .with_raft_state(move |state| state.membership_state.effective().voter_ids().eq([me]))
            .await
            .map_err(|e| stopped(&e))?;
        if alone && (has_voters || !pristine) {
            // Nobody else can lead, so there is nothing to wait for.
            raft.trigger().elect(false).await.map_err(|e| stopped(&e))?;
        }
        let (leadership, failure) = watch_raft(env, &raft, config.node_id);
        let quorum = Quorum { raft, log, publisher, leadership, failure, node_id: config.node_id };
        if alone {
            let mut leadership = quorum.leadership.clone();
            let mut failure = quorum.failure.clone();
            tokio::select! {
                biased;
                why = failure.wait_for(Option::is_some) => {
                    let why = why.ok().and_then(|why| why.clone()).unwrap_or_default();
                    return Err(QuorumError::Stopped(why));
                }
                _led = leadership.wait_for(|l| l.is_me) => {}
            }
        }
        quorum.spawn_snapshots(env, pressure, &config);
        Ok(quorum)
    }

    /// The newest image, and where to subscribe to changes.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The newest image.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.publisher.image()
    }

    /// Who leads, and from now on who leads next.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Waits until this node can take part no longer, and says why: its disk failed, or its log is damaged.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        let why = failure.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_else(|| "the quorum has stopped".to_owned())
    }

    /// Waits until everything that was committed anywhere before this call is applied here, and makes sure that this node
    /// leads.
    pub async fn barrier(&self) -> Result<(), ProposeError> {
        match self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(_)) => Err(ProposeError::NotLeader(self.leadership.borrow().leader)),
            Err(RaftError::Fatal(e)) => Err(ProposeError::Stopped(e.to_string())),
        }
    }

    /// Has records committed as one entry: all of them or none. Returns the offset of the last one when this node has
    /// applied it.
    pub async fn propose(&self, records: &[MetadataRecord]) -> Result<Offset, ProposeError> {
        let records = encode(records, self.image().features().metadata_version())?;
        match self.raft.client_write(records).await {
            Ok(written) => Ok(written.data.offset),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                Err(ProposeError::NotLeader(to.leader_id.map(|id| id.0)))
            }
            Err(e) => Err(ProposeError::Stopped(e.to_string())),
        }
    }

    /// The quorum as DescribeQuorum tells of it.
    pub fn describe(&self) -> QuorumInfo {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let end_of = |id: NodeId| {
            if id == self.node_id {
                return self.log.with_log(|log| log.end_offset());
            }
            let matched = metrics.replication.as_ref().and_then(|r| r.get(&RaftId(id))).copied().flatten();
            let next = matched.and_then(|last| self.log.with_log(|log| log.base_offset_of(last.index() + 1)));
            match (matched, next) {
                (Some(_), Some(next)) => next,
                (Some(_), None) => self.log.with_log(|log| log.end_offset()),
                (None, _) => -1,
            }
        };
        let membership = metrics.membership_config.membership();
        let voter_ids: Vec<RaftId> = membership.voter_ids().collect();
        let (mut voters, mut observers) = (Vec::new(), Vec::new());
        for (&id, node) in membership.nodes() {
            let replica = ReplicaInfo {
                id: id.0,
                directory: node.directory,
                log_end_offset: end_of(id.0),
                endpoints: node.endpoints.clone(),
            };
            if voter_ids.contains(&id) { voters.push(replica) } else { observers.push(replica) }
        }
        QuorumInfo {
            leader: metrics.current_leader.map(|id| id.0),
            leader_epoch: metrics.current_term as LeaderEpoch,
            high_watermark: self.image().offset() + 1,
            voters,
            observers,
        }
    }

    /// Has a snapshot written now.
    pub async fn snapshot(&self) -> Result<(), QuorumError> {
        self.raft.trigger().snapshot().await.map_err(|e| QuorumError::Stopped(e.to_string()))
    }

    /// Ends this node's part in order.
    pub async fn stop(&self) {
        if let Err(e) = self.raft.shutdown().await {
            tracing::warn!("the metadata quorum did not stop in order: {e}");
        }
    }

    /// Has snapshots written by size and by time, and only when there is something new.
    fn spawn_snapshots(&self, env: &Env, pressure: SnapshotPressure, config: &QuorumConfig) {
        let quorum = self.clone();
        let (bytes_max, interval) = (config.snapshot_bytes.max(1), config.snapshot_interval_ms);
        env.tasks.spawn("metadata-snapshots", async move {
            let mut last = tokio::time::Instant::now();
            loop {
                tokio::time::sleep(SNAPSHOT_CHECK_INTERVAL).await;
                let written = pressure.bytes();
                let is_old = interval > 0 && last.elapsed().as_millis() as Ms >= interval;
                if written == 0 || (written < bytes_max && !is_old) {
                    continue;
                }
                last = tokio::time::Instant::now();
                if quorum.snapshot().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Opens log and state machine; says whether nothing was ever written, and whether voters are known.
fn open(
    env: &Env,
    config: &QuorumConfig,
    publisher: Publisher,
) -> Result<(LogStore, StateMachine, bool, bool), QuorumError> {
    let dir = config.log_dir.join(METADATA_LOG_DIR);
    let log = LogStore::open(
        env.disk.clone(),
        env.clock.clone(),
        env.tasks.clone(),
        &dir,
        config.segment_bytes,
        config.node_id,
        config.directory_id,
    )?;
    log.set_voters(config.voters.clone());
    write_partition_metadata(env, &dir)?;
    let pristine = log.is_pristine();
    // A log that was begun with voters from the configuration goes on with them.
    let configured = (!pristine).then(|| types::membership(config.voters.clone()));
    let machine = StateMachine::open(
        env.disk.clone(),
        env.clock.clone(),
        env.tasks.clone(),
        dir,
        log.clone(),
        publisher,
        configured,
    )?;
    let has_voters = machine.has_voters();
    Ok((log, machine, pristine, has_voters))
}

/// Kafka's tools look for the topic id beside the log. Nothing here reads it, so the start does not wait for it to be on
/// disk: what a power loss took is written again.
fn write_partition_metadata(env: &Env, dir: &std::path::Path) -> io::Result<()> {
    let path = dir.join("partition.metadata");
    let text = format!("version: 0\ntopic_id: {}", crate::types::TopicId::METADATA);
    if read_file(&*env.disk, &path, text.len() as u64).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(());
    }
    write_beside(&*env.disk, &path, text.as_bytes())?;
    put_in_place(&*env.disk, &path)
}

/// openraft runs its own tasks; they end when those of the node are killed.
fn end_with_the_node(env: &Env, raft: &Raft<TypeConfig, StateMachine>) {
    let (killed, raft) = (env.tasks.killed(), raft.clone());
    // Not a task of the node: those are dropped when it is killed.
    drop(<openraft::TokioRuntime as openraft::AsyncRuntime>::spawn(async move {
        killed.await;
        let _ = raft.shutdown().await; // It may have stopped in order before.
    }));
}

/// Follows openraft's metrics.
fn watch_raft(
    env: &Env,
    raft: &Raft<TypeConfig, StateMachine>,
    me: NodeId,
) -> (watch::Receiver<Leadership>, watch::Receiver<Option<String>>) {
    let mut metrics = raft.metrics();
    let (leads, leadership) = watch::channel(Leadership::default());
    let (fails, failure) = watch::channel(None);
    env.tasks.spawn("metadata-quorum-watch", async move {
        loop {
            let now = {
                let seen = metrics.borrow_watched();
                // Writing the very first entry looks like leading term 0, in which nobody is elected.
                let is_me = seen.state == ServerState::Leader
                    && seen.current_leader == Some(RaftId(me))
                    && seen.current_term > 0;
                if let Err(e) = &seen.running_state {
                    fails.send_replace(Some(e.to_string()));
                }
                Leadership {
                    leader: seen.current_leader.map(|id| id.0),
                    epoch: seen.current_term as LeaderEpoch,
                    is_me,
                }
            };
            leads.send_if_modified(|before| {
                let changed = *before != now;
                *before = now;
                changed
            });
            if metrics.changed().await.is_err() {
                let gone = Leadership { is_me: false, ..leads.borrow().clone() };
                leads.send_replace(gone);
                fails.send_if_modified(|why| {
                    let first = why.is_none();
                    why.get_or_insert_with(|| "it was stopped".to_owned());
                    first
                });
                return;
            }
        }
    });
    (leadership, failure)
}

/// Records in the versions that `metadata.version` asks for. The first level ever holds for the records beside it.
fn encode(records: &[MetadataRecord], level: i16) -> Result<Records, ProposeError> {
    let first_level = records.iter().find_map(|record| match record {
        MetadataRecord::FeatureLevel(f) if f.name == METADATA_VERSION => Some(f.feature_level),
        _ => None,
    });
    let level = if level == 0 { first_level.unwrap_or(0) } else { level };
    let mut values = Vec::with_capacity(records.len());
    let mut buf = BytesMut::new();
    let mut total = 0;
    for record in records {
        record
            .encode(&mut buf, record_version(record, level))
            .map_err(|e| ProposeError::Encode(e.to_string()))?;
        total += buf.len();
        values.push(buf.split().freeze());
    }
    if total > PROPOSAL_BYTES_MAX {
        return Err(ProposeError::TooLarge(total));
    }
    Ok(Records(values.into()))
}

#[cfg(test)]
#[path = "quorum_test.rs"]
mod tests;
