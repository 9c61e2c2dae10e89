//! The metadata quorum: Raft, through openraft, over a log that is Kafka's metadata log on disk.
//!
//! This is the only place that knows openraft. Entries carry Kafka's metadata records, never commands: only the leader
//! decides, everybody applies. A single node is a quorum of one and runs the same code.
//!
//! ```text
//! controller -> Quorum::propose -> openraft -> log_store -> log        (one batch for each entry, synced)
//!                                     network -> answer (on other voters) -> openraft -> log_store -> log
//!                                     commit -> state_machine -> applier -> publish -> subscribers, readers
//! ```
//!
//! A broker that is no controller is an observer: it fetches what is committed from the leader (`observer`,
//! `serve_fetch`) and applies it by the same code. Controllers vote and keep the log as openraft has it; see `docs/cluster.md`. The batches are the leader's on all of
//! them, to the byte.
//!
//! Invariants: a vote is on disk before it counts; an entry is on disk before it counts towards a commit; the image is
//! published in the log's order; after a fault of the disk nothing is promised any more ([`Quorum::failed`]).

mod answer;
mod applier;
mod batches;
mod first_election;
mod log;
mod log_store;
mod messages;
mod network;
mod observer;
mod publish;
mod quorum_state;
mod serve_fetch;
mod silence;
mod snapshot;
mod state_machine;
mod suspicion;
mod types;
mod voters;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, Config, Raft, ReadPolicy, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::watch;
use uuid::Uuid;

use crate::client::{ConnectionSettings, Pool};
use crate::env::disk::{put_in_place, read_file, write_beside};
use crate::env::{Disk, Env, Net};
use crate::metadata::MetadataImage;
use crate::metadata::features::METADATA_VERSION;
use crate::metadata::versions::record_version;
use crate::schema::metadata::MetadataRecord;
use crate::types::{LeaderEpoch, Ms, NodeId, Offset};

use answer::Reception;
use log_store::LogStore;
use network::{Links, Network};
use observer::{Observer, ObserverPart};
use serve_fetch::Seen;
use silence::Silence;
use state_machine::{SnapshotPressure, StateMachine};

pub use log::MetadataLogError;
pub use messages::check_request;
pub use publish::{Publisher, Subscriber};
pub use types::Voter;
use types::{RaftId, Records, TypeConfig};
pub use voters::VoterChangeError;

/// The directory of the metadata log within its log directory.
pub const METADATA_LOG_DIR: &str = "__cluster_metadata-0";

/// The metadata log's topic, of which there is one partition.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Most bytes of records in one proposal: what every node must be able to hold in memory at once.
pub const PROPOSAL_BYTES_MAX: usize = 32 << 20;

/// How often the size and age of the log are looked at for a snapshot.
const SNAPSHOT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long one piece of a snapshot may take on its way, the last one with installing the whole.
const SNAPSHOT_PIECE_MS: u64 = 30_000;

/// How long to wait before the directories of voters are written down again after that failed.
const NAMING_PAUSE: Duration = Duration::from_secs(1);

/// How long a leader that stops waits until another leads.
const TRANSFER_MAX: Duration = Duration::from_secs(1);

/// What a node's part in the quorum needs to know.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// `cluster.id`.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: NodeId,
    /// `metadata.log.dir`, or the first log directory. The log lies in [`METADATA_LOG_DIR`] in it.
    pub log_dir: PathBuf,
    /// The id of that directory.
    pub directory_id: Uuid,
    /// The controllers, from `controller.quorum.voters` or this node alone. Where there are several and the log does not
    /// know them yet, all of them must be given the same, so without directories unless all know them. Without this node
    /// among them it waits to be added to the voters.
    pub voters: BTreeMap<NodeId, Voter>,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 for never by time.
    pub snapshot_interval_ms: Ms,
    /// Entries that are kept behind a snapshot where there are several voters, so that one that was away for a little
    /// while needs no snapshot.
    pub kept_entries: u64,
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
    /// When it was last heard; never for the leader, who does not hear itself.
    pub heard: Heard,
}

/// When a node was last heard by the leader, by the wall clock; -1 if it never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When it last asked for records, or took what it was sent.
    pub last_fetch: Ms,
    /// When it last had all that the leader had.
    pub last_caught_up: Ms,
}

impl Heard {
    /// Never.
    pub const NEVER: Heard = Heard { last_fetch: -1, last_caught_up: -1 };
}

/// This node's part in the quorum. Clones share it.
#[derive(Clone)]
pub struct Quorum {
    part: Part,
    publisher: Publisher,
    leadership: watch::Receiver<Leadership>,
    failure: watch::Receiver<Option<String>>,
    identity: Arc<Identity>,
}

/// Who this node is.
struct Identity {
    cluster_id: String,
    node_id: NodeId,
    directory_id: Uuid,
}

#[derive(Clone)]
enum Part {
    Voter(Arc<VoterPart>),
    Observer(Arc<ObserverPart>),
}

/// What a controller has.
struct VoterPart {
    raft: Raft<TypeConfig, StateMachine>,
    log: LogStore,
    links: Arc<Links>,
    reception: Reception,
    /// True once a leader has spoken to this node since its start.
    heard: watch::Sender<bool>,
    /// For how long no leader has.
    silence: Silence,
    /// Who fetches without a vote, by id and directory.
    observers: Mutex<BTreeMap<(NodeId, Uuid), Seen>>,
    /// For how long voters that have heard a leader elect no other; a leader that has not heard from a majority for so
    /// long gives out nothing.
    leader_lease: Duration,
    /// Held while the set of voters is changed on request.
    changing: tokio::sync::Mutex<()>,
    disk: Arc<dyn Disk>,
    net: Arc<dyn Net>,
    dir: PathBuf,
}

impl Quorum {
    /// Opens the log and takes part as a voter. A quorum of one has elected itself when this returns; with others nobody
    /// waits here for a leader, since the others may start later.
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
        let several = config.voters.len() > 1;
        let leader_lease = leader_lease(&config);
        let raft_config = raft_config(&config, several).validate().map_err(|e| stopped(&e))?;
        let raft_nodes: BTreeMap<RaftId, Voter> =
            config.voters.iter().map(|(id, voter)| (RaftId(*id), voter.clone())).collect();
        let links = Arc::new(links(env, &config, &log));
        let network = Network(Arc::clone(&links));
        let me = RaftId(config.node_id);
        let seed = env.seeds.rng().next_u64();
        let raft =
            types::with_seed(seed, Raft::new(me, Arc::new(raft_config), network, log.clone(), machine))
                .await
                .map_err(|e| stopped(&e))?;
        end_with_the_node(env, &raft);
        // A controller that is not among the voters waits until their leader sends it the log (KIP-853).
        if pristine && !has_voters && config.voters.contains_key(&config.node_id) {
            raft.initialize(raft_nodes).await.map_err(|e| stopped(&e))?;
        }
        let voters: BTreeMap<NodeId, Voter> = raft
            .with_raft_state(|state| {
                let nodes = state.membership_state.effective().membership().nodes();
                nodes.map(|(id, voter)| (id.0, voter.clone())).collect()
            })
            .await
            .map_err(|e| stopped(&e))?;
        let alone = voters.keys().eq([&config.node_id]);
        log.set_voters(voters);
        if alone && (has_voters || !pristine) {
            // Nobody else can lead, so there is nothing to wait for.
            raft.trigger().elect(false).await.map_err(|e| stopped(&e))?;
        }
        let (leadership, failure) = watch_raft(env, &raft, config.node_id);
        let part = VoterPart {
            raft,
            log,
            links,
            reception: Reception::default(),
            heard: watch::Sender::new(false),
            observers: Mutex::default(),
            silence: Silence::new(),
            leader_lease,
            changing: tokio::sync::Mutex::default(),
            disk: Arc::clone(&env.disk),
            net: Arc::clone(&env.net),
            dir: config.log_dir.join(METADATA_LOG_DIR),
        };
        let quorum = Quorum {
            part: Part::Voter(Arc::new(part)),
            publisher,
            leadership,
            failure,
            identity: Arc::new(Identity {
                cluster_id: config.cluster_id.clone(),
                node_id: config.node_id,
                directory_id: config.directory_id,
            }),
        };
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
        } else {
            quorum.spawn_naming(env);
            quorum.spawn_first_election(env);
            quorum.spawn_silence(env);
        }
        quorum.spawn_snapshots(env, pressure, &config);
        Ok(quorum)
    }

    /// Opens the log and follows the quorum without a vote, as a broker does that is no controller. `config.voters` are the
    /// controllers as far as the configuration names them; `bootstrap` is asked besides for the leader, as
    /// `controller.quorum.bootstrap.servers` says. What is in the log is applied when this returns; nobody waits for more.
    ///
    /// The log may not have been kept by a controller: what was not committed cannot be taken back here.
    pub async fn observe(
        env: &Env,
        config: QuorumConfig,
        bootstrap: Vec<(String, u16)>,
        publisher: Publisher,
    ) -> Result<Quorum, QuorumError> {
        let (leads, leadership) = watch::channel(Leadership::default());
        let (fails, failure) = watch::channel(None);
        let voters = config.voters.values().filter_map(|voter| {
            let (_, host, port) = voter.endpoints.first()?;
            Some((Arc::from(host.as_str()), *port))
        });
        let places = bootstrap.iter().map(|(host, port)| (Arc::from(host.as_str()), *port)).chain(voters);
        let places: Vec<(Arc<str>, u16)> = places.collect();
        let identity = Arc::new(Identity {
            cluster_id: config.cluster_id.clone(),
            node_id: config.node_id,
            directory_id: config.directory_id,
        });
        let client_id = format!("broker-{}", config.node_id);
        let settings = ConnectionSettings { client_id: client_id.into(), ..ConnectionSettings::default() };
        let pool = Pool::new(env, settings);
        let opened = {
            let (env, publisher) = (env.clone(), publisher.clone());
            let tasks = env.tasks.clone();
            let open = move || Observer::open(&env, config, pool, places, publisher, leads, fails);
            tasks.run_blocking(open).await
        };
        let observer = opened.ok_or_else(|| QuorumError::Stopped("the node is going down".to_owned()))??;
        let part = Part::Observer(observer.part());
        env.tasks.spawn("metadata-observer", observer.run());
        Ok(Quorum { part, publisher, leadership, failure, identity })
    }

    fn voter(&self) -> Option<&VoterPart> {
        match &self.part {
            Part::Voter(part) => Some(part),
            Part::Observer(_) => None,
        }
    }

    fn not_leader(&self) -> ProposeError {
        ProposeError::NotLeader(self.leadership.borrow().leader)
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
        let Some(part) = self.voter() else { return Err(self.not_leader()) };
        match part.raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(_)) => Err(self.not_leader()),
            Err(RaftError::Fatal(e)) => Err(ProposeError::Stopped(e.to_string())),
        }
    }

    /// Has records committed as one entry: all of them or none. Returns the offset of the last one when this node has
    /// applied it.
    pub async fn propose(&self, records: &[MetadataRecord]) -> Result<Offset, ProposeError> {
        let Some(part) = self.voter() else { return Err(self.not_leader()) };
        let records = encode(records, self.image().features().metadata_version())?;
        match part.raft.client_write(records).await {
            Ok(written) => Ok(written.data.offset),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                Err(ProposeError::NotLeader(to.leader_id.map(|id| id.0)))
            }
            Err(e) => Err(ProposeError::Stopped(e.to_string())),
        }
    }

    /// The quorum as DescribeQuorum tells of it.
    pub fn describe(&self) -> QuorumInfo {
        match &self.part {
            Part::Voter(part) => part.describe(self.image().offset() + 1),
            Part::Observer(_) => {
                let leadership = self.leadership.borrow().clone();
                QuorumInfo {
                    leader: leadership.leader,
                    leader_epoch: leadership.epoch,
                    high_watermark: self.image().offset() + 1,
                    voters: Vec::new(),
                    observers: Vec::new(),
                }
            }
        }
    }

    /// Has a snapshot written now. An observer writes its own by size and time only.
    pub async fn snapshot(&self) -> Result<(), QuorumError> {
        let Some(part) = self.voter() else { return Ok(()) };
        part.raft.trigger().snapshot().await.map_err(|e| QuorumError::Stopped(e.to_string()))
    }

    /// Ends this node's part in order: a leader first has another voter elected, the one that has most of the log.
    pub async fn stop(&self) {
        let part = match &self.part {
            Part::Voter(part) => part,
            Part::Observer(part) => return part.stop(),
        };
        if self.leadership.borrow().is_me
            && let Some(next) = part.successor()
            && part.raft.trigger().transfer_leader(next).await.is_ok()
        {
            let mut leadership = self.leadership.clone();
            let gone = leadership.wait_for(|l| !l.is_me);
            if tokio::time::timeout(TRANSFER_MAX, gone).await.is_err() {
                tracing::info!("controller {next} did not take over in time; the others will elect a leader");
            }
        }
        if let Err(e) = part.raft.shutdown().await {
            tracing::warn!("the metadata quorum did not stop in order: {e}");
        }
    }

    /// Writes the directories of voters down in the set of voters as they become known. From then on a node that comes
    /// with another directory under the same id is not that voter.
    fn spawn_naming(&self, env: &Env) {
        let quorum = self.clone();
        env.tasks.spawn("metadata-quorum-naming", async move {
            let Some(part) = quorum.voter() else { return };
            let mut leadership = quorum.leadership.clone();
            loop {
                tokio::select! {
                    biased;
                    () = part.links.learned.notified() => {}
                    changed = leadership.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                }
                let unnamed = part.unnamed();
                if unnamed.is_empty() || !leadership.borrow().is_me {
                    continue;
                }
                // The change of the set before this one must be committed, the first set included.
                if quorum.barrier().await.is_err() {
                    continue;
                }
                let change = ChangeMembers::SetNodes(unnamed);
                if let Err(e) = part.raft.change_membership(change, true).await {
                    tracing::debug!("directories of voters are not written down yet: {e}");
                    // The next answer of any of them is another occasion; who comes first need not be the last.
                    tokio::time::sleep(NAMING_PAUSE).await;
                    part.links.learned.notify_one();
                }
            }
        });
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

impl VoterPart {
    /// Voters whose directory is known and not written down.
    fn unnamed(&self) -> BTreeMap<RaftId, Voter> {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        self.links.unnamed(seen.membership_config.membership().nodes())
    }

    /// The other voter that has most of the log.
    fn successor(&self) -> Option<RaftId> {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let others = metrics.membership_config.membership().voter_ids().filter(|id| id.0 != self.links.me);
        let matched = |id: &RaftId| metrics.replication.as_ref().and_then(|r| r.get(id)).copied().flatten();
        others.max_by_key(|id| matched(id).map(|last| last.index()))
    }

    fn describe(&self, high_watermark: Offset) -> QuorumInfo {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let end_of = |id: NodeId| {
            if id == self.links.me {
                return self.log.with_log(|log| log.end_offset());
            }
            let matched = metrics.replication.as_ref().and_then(|r| r.get(&RaftId(id))).copied().flatten();
            matched.and_then(|last| self.log.with_log(|log| log.end_of_entry(last.index()))).unwrap_or(-1)
        };
        let membership = metrics.membership_config.membership();
        let voter_ids: Vec<RaftId> = membership.voter_ids().collect();
        let log_end = end_of(self.links.me);
        let heard = |id: NodeId, end: Offset| {
            let heard = self.links.heard(id);
            if id != self.links.me && end >= log_end {
                Heard { last_caught_up: heard.last_fetch, ..heard }
            } else {
                heard
            }
        };
        let (mut voters, mut observers) = (Vec::new(), Vec::new());
        for (&id, node) in membership.nodes() {
            let log_end_offset = end_of(id.0);
            let replica = ReplicaInfo {
                id: id.0,
                directory: node.directory,
                log_end_offset,
                endpoints: node.endpoints.clone(),
                heard: heard(id.0, log_end_offset),
            };
            if voter_ids.contains(&id) { voters.push(replica) } else { observers.push(replica) }
        }
        observers.extend(self.seen_observers());
        QuorumInfo {
            leader: metrics.current_leader.map(|id| id.0),
            leader_epoch: metrics.current_term as LeaderEpoch,
            high_watermark,
            voters,
            observers,
        }
    }
}

/// Half of `controller.quorum.fetch.timeout.ms`, which is the longest that a voter waits for a leader: so there is time
/// for the election.
fn leader_lease(config: &QuorumConfig) -> Duration {
    Duration::from_millis(config.fetch_timeout_ms.max(16) / 2)
}

fn raft_config(config: &QuorumConfig, several: bool) -> Config {
    let lease_ms = leader_lease(config).as_millis() as u64;
    Config {
        cluster_name: CLUSTER_METADATA.to_owned(),
        // openraft's lease is the longest of these, and behind its end it waits for one of them again: no longer than
        // the fetch timeout in all. As a rule `silence` asks for the election before.
        election_timeout_min: lease_ms / 2,
        election_timeout_max: lease_ms,
        heartbeat_interval: (lease_ms / 4).max(1),
        install_snapshot_timeout: SNAPSHOT_PIECE_MS,
        // One entry may be large; the log's reader bounds the bytes that are sent at once.
        max_payload_entries: 1024,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: if several { config.kept_entries } else { 0 },
        enable_pre_vote: Some(true),
        // A restarted leader is elected anew, as in Kafka: who believes in the old epoch learns of the change.
        enable_leader_restore: Some(false),
        ..Config::default()
    }
}

fn links(env: &Env, config: &QuorumConfig, log: &LogStore) -> Links {
    let configured = config.voters.iter().filter_map(|(id, voter)| {
        let (_, host, port) = voter.endpoints.first()?;
        Some((*id, (Arc::from(host.as_str()), *port)))
    });
    let client_id = format!("controller-{}", config.node_id);
    let settings = ConnectionSettings { client_id: client_id.into(), ..ConnectionSettings::default() };
    Links::new(
        Pool::new(env, settings),
        &config.cluster_id,
        config.node_id,
        config.directory_id,
        configured.collect(),
        log.clone(),
        Arc::clone(&env.clock),
        env.tasks.clone(),
    )
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
    let configured =
        (!pristine && !config.voters.is_empty()).then(|| types::membership(config.voters.clone()));
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

#[cfg(test)]
#[path = "cluster_test.rs"]
mod cluster_tests;
