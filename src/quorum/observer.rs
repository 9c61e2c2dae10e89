//! A broker that is no controller: it follows the committed metadata log without a vote.
//!
//! It fetches from the active controller with Kafka's Fetch, keeps the batches in the same files as a controller does,
//! and applies them by the same code. Everything that it is given is committed, so nothing is ever taken back; a log that
//! differs from the controller's was not kept by an observer of this cluster, and ends this node's part. Where the
//! controller's log begins later than this one ends, a snapshot comes in between (KIP-630).

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::client::{Backoff, CallError, Peer, Pool};
use crate::env::Env;
use crate::schema::api::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use crate::schema::api::fetch_response::{LeaderIdAndEpoch, NodeEndpoint, PartitionData};
use crate::schema::api::fetch_snapshot_request::{
    PartitionSnapshot, SnapshotId as WireSnapshotId, TopicSnapshot,
};
use crate::schema::api::{BrokerId, FetchRequest, FetchSnapshotRequest, TopicName};
use crate::types::{ErrorCode, LeaderEpoch, NodeId, Offset, Rng, TopicId};

use super::applier::Applier;
use super::log::MetadataLog;
use super::messages;
use super::publish::Publisher;
use super::serve_fetch::TAG_LAST_INDEX;
use super::snapshot::{self, Content, SnapshotId};
use super::types::{Entry, log_id, term_of};
use super::{CLUSTER_METADATA, Leadership, QuorumConfig, QuorumError};

/// The versions of what is asked; every node of a cluster has them.
const FETCH_VERSION: i16 = 17;
const FETCH_SNAPSHOT_VERSION: i16 = 1;
/// How long the controller may wait for something new.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// How long an answer may take beyond.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How long one piece of a snapshot may take.
const PIECE_MAX: Duration = Duration::from_secs(10);
const FETCH_BYTES: i32 = 8 << 20;
const PIECE_BYTES: i32 = 1 << 20;
const SNAPSHOT_BYTES_MAX: i64 = 2 << 30;
/// Entries that are read from the log at once when the node starts.
const ENTRIES_AT_ONCE: u64 = 256;
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What others see of an observer.
pub(super) struct ObserverPart {
    leader: Mutex<Option<(NodeId, Arc<str>, u16)>>,
    stop: CancellationToken,
}

impl ObserverPart {
    /// Where the leader listens that was last heard of.
    pub(super) fn leader_endpoint(&self) -> Option<(NodeId, Arc<str>, u16)> {
        self.leader.lock().clone()
    }

    /// Ends the loop.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

/// Why a round did not go well.
enum Setback {
    /// It may go well the next time, perhaps with another controller.
    Passing(String),
    /// It will never.
    Fatal(String),
}

fn passing<T>(why: impl ToString) -> Result<T, Setback> {
    Err(Setback::Passing(why.to_string()))
}

impl From<CallError> for Setback {
    fn from(error: CallError) -> Setback {
        Setback::Passing(error.to_string())
    }
}

/// A fault of the disk, or a record that cannot be applied.
impl From<io::Error> for Setback {
    fn from(error: io::Error) -> Setback {
        Setback::Fatal(error.to_string())
    }
}

/// The loop's state.
pub(super) struct Observer {
    env: Env,
    config: QuorumConfig,
    dir: PathBuf,
    pool: Pool,
    rng: Rng,
    log: Arc<Mutex<MetadataLog>>,
    applier: Applier,
    /// Where to ask when the leader is not known, in turn.
    bootstrap: Vec<(Arc<str>, u16)>,
    next_bootstrap: usize,
    part: Arc<ObserverPart>,
    leadership: watch::Sender<Leadership>,
    failure: watch::Sender<Option<String>>,
    bytes_since_snapshot: u64,
    last_snapshot: Instant,
}

impl Observer {
    /// Opens the log and applies all that is in it. Blocks.
    #[allow(clippy::too_many_arguments)] // One call, with names at it.
    pub(super) fn open(
        env: &Env,
        config: QuorumConfig,
        pool: Pool,
        bootstrap: Vec<(Arc<str>, u16)>,
        publisher: Publisher,
        leadership: watch::Sender<Leadership>,
        failure: watch::Sender<Option<String>>,
    ) -> Result<Observer, QuorumError> {
        let dir = config.log_dir.join(super::METADATA_LOG_DIR);
        let log = MetadataLog::open(env.disk.clone(), &dir, config.segment_bytes)?;
        super::write_partition_metadata(env, &dir)?;
        let mut applier = Applier::new(publisher);
        match snapshot::newest_that_meets(&*env.disk, &dir, &log)? {
            Some(id) => {
                let content = snapshot::read(&*env.disk, &dir, id)?;
                if log.entry_before(id.end).is_none() && id.end > 0 {
                    let why = format!("the snapshot up to offset {} does not meet the metadata log", id.end);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why).into());
                }
                applier.install(content.image);
            }
            None if log.start_offset() > 0 => {
                let why = "the metadata log does not begin at its start and there is no snapshot";
                return Err(io::Error::new(io::ErrorKind::InvalidData, why).into());
            }
            None => {}
        }
        let mut bytes_since_snapshot = 0;
        let mut index = match log.entry_before(applier.end()) {
            Some(last) => last.index() + 1,
            None => 0,
        };
        while index < log.next_index() {
            let entries = log.entries(index, index + ENTRIES_AT_ONCE)?;
            index += entries.len() as u64;
            for entry in &entries {
                let epoch = term_of(&entry.log_id) as LeaderEpoch;
                bytes_since_snapshot += applier.apply(&entry.payload.content, epoch)?;
            }
        }
        applier.publish();
        Ok(Observer {
            env: env.clone(),
            dir,
            pool,
            rng: env.seeds.rng(),
            log: Arc::new(Mutex::new(log)),
            applier,
            bootstrap,
            next_bootstrap: 0,
            part: Arc::new(ObserverPart { leader: Mutex::new(None), stop: CancellationToken::new() }),
            leadership,
            failure,
            bytes_since_snapshot,
            last_snapshot: Instant::now(),
            config,
        })
    }

    pub(super) fn part(&self) -> Arc<ObserverPart> {
        Arc::clone(&self.part)
    }

    /// Follows until it is stopped, or cannot go on.
    pub(super) async fn run(mut self) {
        let stop = self.part.stop.clone();
        let why = tokio::select! {
            biased;
            () = stop.cancelled() => "it was stopped".to_owned(),
            why = self.follow() => why,
        };
        self.leadership.send_modify(|l| l.leader = None);
        self.failure.send_replace(Some(why));
    }

    async fn follow(&mut self) -> String {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        loop {
            let Some(peer) = self.target() else { return "no controller is configured".to_owned() };
            let setback = match self.round(&peer).await {
                Ok(()) => {
                    backoff.reset();
                    continue;
                }
                Err(setback) => setback,
            };
            match setback {
                Setback::Passing(why) => tracing::debug!("{}:{}: {why}", peer.host, peer.port),
                Setback::Fatal(why) => return why,
            }
            let wait = backoff.next(&mut self.rng);
            sleep(wait).await;
        }
    }

    /// Whom to ask: who leads as far as is known, or else the next of those that are configured.
    fn target(&mut self) -> Option<Peer> {
        let known = self.part.leader.lock().clone().map(|(_, host, port)| (host, port));
        let (host, port) = known.or_else(|| {
            let place = self.bootstrap.get(self.next_bootstrap % self.bootstrap.len().max(1)).cloned();
            self.next_bootstrap = self.next_bootstrap.wrapping_add(1);
            place
        })?;
        Some(Peer { host, port, lane: "metadata" })
    }

    /// One fetch and what follows from it.
    async fn round(&mut self, peer: &Peer) -> Result<(), Setback> {
        let outcome = self.fetch(peer).await;
        if outcome.is_err() {
            // It leads no more, or cannot be reached: others may know better, unless it has named the leader.
            let mut leader = self.part.leader.lock();
            let named_another =
                leader.as_ref().is_some_and(|(_, host, port)| (host, *port) != (&peer.host, peer.port));
            if !named_another {
                *leader = None;
            }
        }
        outcome
    }

    async fn fetch(&mut self, peer: &Peer) -> Result<(), Setback> {
        let (end, epoch, start) = {
            let log = self.log.lock();
            let epoch = log.last_log_id().map_or(-1, |last| term_of(&last) as LeaderEpoch);
            (log.end_offset(), epoch, log.start_offset())
        };
        let partition = FetchPartition::default()
            .with_partition(0)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(end)
            .with_last_fetched_epoch(epoch)
            .with_log_start_offset(start)
            .with_partition_max_bytes(FETCH_BYTES)
            .with_replica_directory_id(self.config.directory_id);
        let request = FetchRequest::default()
            .with_cluster_id(Some(StrBytes::from_string(self.config.cluster_id.clone())))
            .with_replica_state(ReplicaState::default().with_replica_id(BrokerId(self.config.node_id)))
            .with_max_wait_ms(FETCH_WAIT.as_millis() as i32)
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES)
            .with_session_epoch(-1)
            .with_topics(vec![
                FetchTopic::default().with_topic_id(TopicId::METADATA.0).with_partitions(vec![partition]),
            ]);
        let deadline = Instant::now() + FETCH_WAIT + ANSWER_MAX;
        let response = self.pool.call(peer, FETCH_VERSION, &request, deadline).await?;
        if response.error_code != 0 {
            return passing(error_name(response.error_code));
        }
        let mut partitions = response.responses.into_iter().flat_map(|topic| topic.partitions);
        let Some(partition) = partitions.next() else { return passing("an answer without the partition") };
        self.learn_leader(&partition.current_leader, &response.node_endpoints);
        if partition.error_code != 0 {
            return passing(error_name(partition.error_code));
        }
        if partition.diverging_epoch.epoch >= 0 {
            return Err(Setback::Fatal(format!(
                "the metadata log in {} differs from the controllers', which have epoch {} up to offset {}",
                self.dir.display(),
                partition.diverging_epoch.epoch,
                partition.diverging_epoch.end_offset
            )));
        }
        if partition.snapshot_id.end_offset >= 0 {
            let id = &partition.snapshot_id;
            return self.take_snapshot(peer, SnapshotId { end: id.end_offset, epoch: id.epoch }).await;
        }
        self.take_records(partition, end).await
    }

    fn learn_leader(&mut self, leader: &LeaderIdAndEpoch, endpoints: &[NodeEndpoint]) {
        let (id, epoch) = (leader.leader_id.0, leader.leader_epoch);
        if epoch < self.leadership.borrow().epoch {
            return;
        }
        let known = Leadership { leader: (id >= 0).then_some(id), epoch, is_me: false };
        self.leadership.send_if_modified(|before| {
            let changed = *before != known;
            *before = known;
            changed
        });
        if id < 0 {
            return;
        }
        let named = endpoints.iter().find(|e| e.node_id.0 == id);
        let named = named.and_then(|e| Some((Arc::from(&*e.host), u16::try_from(e.port).ok()?)));
        let configured = || {
            let (_, host, port) = self.config.voters.get(&id)?.endpoints.first()?;
            Some((Arc::from(host.as_str()), *port))
        };
        if let Some((host, port)) = named.or_else(configured) {
            *self.part.leader.lock() = Some((id, host, port));
        }
    }

    async fn take_records(&mut self, partition: PartitionData, end: Offset) -> Result<(), Setback> {
        let records = partition.records.unwrap_or_default();
        if records.is_empty() {
            return Ok(());
        }
        let previous = self.log.lock().last_log_id();
        let (entries, first) = messages::entries(previous, LeaderEpoch::MAX as u64, records)
            .map_err(|e| Setback::Passing(e.to_string()))?;
        if first != Some(end) {
            return passing(format!("records at {first:?} where {end} was asked for"));
        }
        let (log, clock, kept) = (Arc::clone(&self.log), Arc::clone(&self.env.clock), entries.clone());
        let written = self.env.tasks.run_blocking(move || {
            let mut log = log.lock();
            log.append(kept, clock.now(), 0, &BTreeMap::new())?;
            if let Some(file) = log.file_to_sync()
                && let Err(e) = file.sync()
            {
                log.fail();
                return Err(e);
            }
            io::Result::Ok(())
        });
        written.await.unwrap_or_else(|| Err(io::Error::other("the node is going down")))?;
        self.apply(&entries)?;
        self.snapshot_if_due().await
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<(), Setback> {
        for entry in entries {
            let epoch = term_of(&entry.log_id) as LeaderEpoch;
            self.bytes_since_snapshot += self.applier.apply(&entry.payload.content, epoch)?;
        }
        self.applier.publish();
        Ok(())
    }

    /// Fetches a whole snapshot and goes on behind it.
    async fn take_snapshot(&mut self, peer: &Peer, id: SnapshotId) -> Result<(), Setback> {
        let mut bytes = Vec::new();
        let last_index = loop {
            let partition = PartitionSnapshot::default()
                .with_partition(0)
                .with_current_leader_epoch(-1)
                .with_snapshot_id(WireSnapshotId::default().with_end_offset(id.end).with_epoch(id.epoch))
                .with_position(bytes.len() as i64)
                .with_replica_directory_id(self.config.directory_id);
            let request = FetchSnapshotRequest::default()
                .with_cluster_id(Some(StrBytes::from_string(self.config.cluster_id.clone())))
                .with_replica_id(BrokerId(self.config.node_id))
                .with_max_bytes(PIECE_BYTES)
                .with_topics(vec![
                    TopicSnapshot::default()
                        .with_name(TopicName(StrBytes::from_static_str(CLUSTER_METADATA)))
                        .with_partitions(vec![partition]),
                ]);
            let deadline = Instant::now() + PIECE_MAX;
            let response = self.pool.call(peer, FETCH_SNAPSHOT_VERSION, &request, deadline).await?;
            if response.error_code != 0 {
                return passing(error_name(response.error_code));
            }
            let mut partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
            let Some(piece) = partitions.next() else { return passing("an answer without the partition") };
            if piece.error_code != 0 {
                return passing(error_name(piece.error_code));
            }
            let is_next =
                piece.position == bytes.len() as i64 && (1..=SNAPSHOT_BYTES_MAX).contains(&piece.size);
            if !is_next || piece.unaligned_records.is_empty() {
                return passing("a piece of a snapshot that does not fit");
            }
            let index = piece.unknown_tagged_fields.get(&TAG_LAST_INDEX);
            let index = index.and_then(|index| index.first_chunk()).map(|index| u64::from_be_bytes(*index));
            bytes.extend_from_slice(&piece.unaligned_records);
            if bytes.len() as i64 >= piece.size {
                break index;
            }
        };
        // Whoever does not say its rank is no node of ours; a rank that is too high does no harm to an observer.
        let index = last_index.unwrap_or(id.end as u64).min(i64::MAX as u64 / 2);
        let last = log_id(u64::try_from(id.epoch).unwrap_or(0), index);
        let (disk, dir, log) = (Arc::clone(&self.env.disk), self.dir.clone(), Arc::clone(&self.log));
        let taken = self.env.tasks.run_blocking(move || {
            let bytes = Bytes::from(bytes);
            let mut content: Content = match snapshot::parse(&bytes) {
                Ok(content) => content,
                Err(why) => return Ok(Err(why)),
            };
            content.image.set_position(id.end - 1, id.epoch);
            snapshot::write(&*disk, &dir, id, &bytes)?;
            log.lock().reset_to(last, id.end)?;
            snapshot::remove_older(&*disk, &dir, id)?;
            io::Result::Ok(Ok(content))
        });
        let taken = taken.await.unwrap_or_else(|| Err(io::Error::other("the node is going down")))?;
        let content = taken.map_err(Setback::Passing)?;
        self.bytes_since_snapshot = 0;
        self.last_snapshot = Instant::now();
        self.applier.install(content.image);
        Ok(())
    }

    /// Writes a snapshot of its own and drops the log before it, by the rules that controllers have.
    async fn snapshot_if_due(&mut self) -> Result<(), Setback> {
        let interval = self.config.snapshot_interval_ms;
        let is_old = interval > 0 && self.last_snapshot.elapsed().as_millis() as i64 >= interval;
        let is_due = self.bytes_since_snapshot >= self.config.snapshot_bytes.max(1) || is_old;
        if !is_due || self.applier.in_transaction() {
            return Ok(());
        }
        let id = SnapshotId { end: self.applier.end(), epoch: self.applier.image().epoch() };
        let content = Content { image: self.applier.image().clone(), membership: None };
        let (disk, dir, log, clock) = (
            Arc::clone(&self.env.disk),
            self.dir.clone(),
            Arc::clone(&self.log),
            Arc::clone(&self.env.clock),
        );
        let written = self.env.tasks.run_blocking(move || {
            let bytes = snapshot::to_bytes(&content, id.epoch, clock.now())?;
            snapshot::write(&*disk, &dir, id, &bytes)?;
            let mut log = log.lock();
            if let Some(last) = log.entry_before(id.end) {
                log.purge(last, Some(id.end))?;
            }
            snapshot::remove_older(&*disk, &dir, id)
        });
        written.await.unwrap_or_else(|| Err(io::Error::other("the node is going down")))?;
        self.bytes_since_snapshot = 0;
        self.last_snapshot = Instant::now();
        Ok(())
    }
}

fn error_name(code: i16) -> &'static str {
    ErrorCode::from_code(code).map_or("an unknown error", ErrorCode::name)
}
