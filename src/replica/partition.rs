//! One partition on this broker: its log, who leads it, and who waits for it.
//!
//! Everything that must stay consistent is behind one short lock: no call under it waits, and syncs run outside of it.
//!
//! The **high watermark** is the offset up to which records are safe and may be read. With `acks.all.durability` =
//! `fsync` a replica counts with what it has synced; with `replicated`, with what it has appended, as Kafka has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

use super::leader::{AfterAnswer, Altered, FollowerFetch, Leader, Local, Proposal, Rules};
use super::purgatory::{FetchWaiter, ProduceWaitSlot, WaitingFetches, WaitingProduces};
use super::settings::PartitionSettings;
use super::shared::Shared;
use super::sync_notices::SyncNotices;
use crate::config::topic::Durability;
use crate::metadata::Partition as Registration;
use crate::storage::producer_state::VerificationGuard;
use crate::storage::validate::{AppendOrigin, ValidateError, validate};
use crate::storage::{self, AppendBy, AppendInfo, FileSlice, Log, ReadError, StorageError};
use crate::types::{
    BrokerEpoch, Bug, ErrorCode, LeaderEpoch, Ms, NodeId, Offset, PartitionIndex, ProducerId, TopicId,
    TopicName,
};

/// How much of an append a client wants to be told: the `acks` of a produce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    /// Nothing.
    None,
    /// That the leader has appended.
    Leader,
    /// That every in-sync replica has it, as durably as `acks.all.durability` says.
    All,
}

impl Acks {
    /// What a produce says with -1, 0 or 1.
    pub fn from_code(code: i16) -> Option<Acks> {
        match code {
            0 => Some(Acks::None),
            1 => Some(Acks::Leader),
            -1 => Some(Acks::All),
            _ => None,
        }
    }
}

/// Which records a reader may see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isolation {
    /// Everything up to the high watermark.
    ReadUncommitted,
    /// What no open transaction may still take back.
    ReadCommitted,
}

impl Isolation {
    /// What `isolation_level` says on the wire: 0 uncommitted, anything else committed.
    pub fn from_level(level: i8) -> Isolation {
        if level == 0 { Isolation::ReadUncommitted } else { Isolation::ReadCommitted }
    }
}

/// An append to make.
pub struct Append {
    /// What to wait for.
    pub acks: Acks,
    /// Who made the records.
    pub origin: AppendOrigin,
    /// The wall clock.
    pub now: Ms,
    /// The partition's place in its produce, for [`ProduceWaitSlot`].
    pub index: usize,
    /// Whether a transaction's first batch must have been verified, and by what it was (KIP-890).
    pub verification: Verification,
}

/// How far it is known that a transactional batch is part of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verification {
    /// `transaction.partition.verification.enable`.
    pub is_required: bool,
    /// What [`Partition::begin_verification`] gave, once the coordinator has said yes.
    pub guard: Option<VerificationGuard>,
}

/// What an append has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record; of a retry, the offset that the first try got.
    pub first_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// The time the records were stamped with, or -1 where they keep the producer's.
    pub log_append_time: Ms,
    /// The log start offset.
    pub log_start_offset: Offset,
}

/// Why an append was refused, in the client's terms.
#[derive(Debug)]
pub struct AppendError {
    /// Kafka's error.
    pub code: ErrorCode,
    /// More about it.
    pub message: Option<String>,
    /// Records that are at fault, by their index in the batch.
    pub records: Vec<(i32, Option<String>)>,
    /// Who leads, where the client asked the wrong broker.
    pub current_leader: Option<(NodeId, LeaderEpoch)>,
}

impl From<ErrorCode> for AppendError {
    fn from(code: ErrorCode) -> AppendError {
        AppendError { code, message: None, records: Vec::new(), current_leader: None }
    }
}

impl From<ValidateError> for AppendError {
    fn from(e: ValidateError) -> AppendError {
        let records = e.refused_records().iter().map(|r| (r.batch_index, Some(r.message()))).collect();
        AppendError { code: e.code(), message: Some(e.to_string()), records, current_leader: None }
    }
}

/// A read to make.
pub struct Read<'a> {
    /// The first offset wanted.
    pub offset: Offset,
    /// The most bytes to return.
    pub bytes_max: u32,
    /// Return the first batch whole even if it is larger than that.
    pub whole_batch: bool,
    /// Which records may be seen.
    pub isolation: Isolation,
    /// The leader epoch that the reader believes in, or -1.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record that the reader has, or -1 (KIP-595).
    pub last_fetched_epoch: LeaderEpoch,
    /// Whom to tell of what arrives from here on.
    pub waiter: Option<&'a Arc<FetchWaiter>>,
    /// Set if a follower reads, which does so to the end of the log.
    pub follower: Option<FollowerRead>,
    /// True for a consumer that may read from followers (KIP-392): one whose fetch has a place for the rack.
    pub from_any_replica: bool,
    /// The consumer's rack, where consumers are to be sent to replicas in their racks.
    pub rack: Option<&'a str>,
}

/// What a follower says of itself with a read.
#[derive(Clone, Copy, Debug)]
pub struct FollowerRead {
    /// Which broker it is.
    pub node: NodeId,
    /// The epoch of its registration, or -1 (KIP-903).
    pub broker_epoch: BrokerEpoch,
    /// Its log start offset, or -1.
    pub log_start: Offset,
    /// Everything below it is on its disk; `None` if it does not tell.
    pub synced: Option<Offset>,
    /// False where a fetch that waited reads again: what it said of itself is old by then.
    pub is_first: bool,
}

/// What a read has found.
#[derive(Clone, Debug)]
pub struct PartitionRead {
    /// Kafka's error.
    pub error: ErrorCode,
    /// The high watermark; -1 with an error.
    pub high_watermark: Offset,
    /// The last stable offset; -1 with an error.
    pub last_stable_offset: Offset,
    /// The log start offset; -1 with an error.
    pub log_start_offset: Offset,
    /// Set where the reader's log is not a prefix of this one: the largest common epoch and its end.
    pub diverging_epoch: Option<(LeaderEpoch, Offset)>,
    /// Who leads, where the reader asked the wrong broker.
    pub current_leader: Option<(NodeId, LeaderEpoch)>,
    /// Aborted transactions in the range, for a reader of committed records: producer id and first offset.
    pub aborted: Option<Vec<(ProducerId, Offset)>>,
    /// Which replica the consumer should read from instead (KIP-392).
    pub preferred_replica: Option<NodeId>,
    /// The records.
    pub records: Option<FileSlice>,
}

impl PartitionRead {
    /// A read that failed.
    pub fn failed(error: ErrorCode) -> PartitionRead {
        PartitionRead {
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: None,
            current_leader: None,
            aborted: None,
            preferred_replica: None,
            records: None,
        }
    }

    /// Bytes of records found.
    pub fn records_len(&self) -> u32 {
        self.records.as_ref().map_or(0, |slice| slice.len)
    }

    /// True if it says something that must not wait for more data.
    pub fn is_urgent(&self) -> bool {
        self.error.is_err() || self.diverging_epoch.is_some() || self.preferred_replica.is_some()
    }
}

/// A partition that this broker holds a replica of.
pub struct Partition {
    pub(super) shared: Arc<Shared>,
    topic: TopicName,
    topic_id: TopicId,
    index: PartitionIndex,
    pub(super) settings: ArcSwap<PartitionSettings>,
    /// True while this broker follows and is in sync, as the metadata has it.
    follows_in_sync: AtomicBool,
    /// Tells those who wait until every replica has deleted records of each fetch of a follower.
    pub(super) starts: Notify,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    /// `None` once it is given up: deleted, or closed at the node's stop.
    log: Option<Log>,
    pub(super) role: Role,
    pub(super) high_watermark: Offset,
    /// Bytes appended since the high watermark moved last.
    pub(super) unseen_bytes: i64,
    fetches: WaitingFetches,
    /// Followers that wait for the end of the log to move.
    pub(super) follower_fetches: WaitingFetches,
    /// Produces that wait for the high watermark.
    produces: WaitingProduces,
    /// Produces that wait for a sync which `flush.messages` made due.
    flushes: WaitingProduces,
    /// For those who follow the high watermark itself; made when first asked for.
    watch: Option<watch::Sender<Offset>>,
    sync: SyncState,
    /// Whom to tell of ended syncs, while another broker leads.
    pub(super) sync_notices: Option<Arc<SyncNotices>>,
}

/// What this broker is to the partition.
pub(super) enum Role {
    /// It leads.
    Leader(Leader),
    /// Another broker leads, or none.
    NotLeader { leader: NodeId, epoch: LeaderEpoch },
    /// The disk failed it, or what is on the disk is damaged.
    Offline,
    /// The topic is deleted, or the node stops.
    Gone(ErrorCode),
}

/// Where a partition stands with the syncer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SyncState {
    /// Nothing to sync.
    Idle,
    /// In the queue.
    Queued,
    /// A sync runs.
    Running,
    /// A sync runs, and something has been appended since it began.
    RunningAndDirty,
}

impl Partition {
    /// A partition with its log, which nobody leads yet. `high_watermark` is what was written down of it.
    pub(super) fn new(
        shared: Arc<Shared>,
        (topic, topic_id, index): (TopicName, TopicId, PartitionIndex),
        log: Log,
        high_watermark: Option<Offset>,
        settings: PartitionSettings,
    ) -> Arc<Partition> {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let state = State {
            high_watermark: high_watermark.unwrap_or(start).clamp(start, end.max(start)),
            log: Some(log),
            role: Role::NotLeader { leader: -1, epoch: -1 },
            unseen_bytes: 0,
            fetches: WaitingFetches::default(),
            follower_fetches: WaitingFetches::default(),
            produces: WaitingProduces::default(),
            flushes: WaitingProduces::default(),
            watch: None,
            sync: SyncState::Idle,
            sync_notices: None,
        };
        let settings = ArcSwap::from_pointee(settings);
        let (starts, state) = (Notify::new(), Mutex::new(state));
        let follows_in_sync = AtomicBool::new(false);
        Arc::new(Partition { shared, topic, topic_id, index, settings, follows_in_sync, starts, state })
    }

    /// Whether this broker follows in sync.
    pub(super) fn follows_in_sync(&self) -> bool {
        self.follows_in_sync.load(Ordering::Relaxed)
    }

    /// What the metadata says of that.
    pub(super) fn set_follows_in_sync(&self, is_in_sync: bool) {
        self.follows_in_sync.store(is_in_sync, Ordering::Relaxed);
    }

    /// A fetch gave up waiting here.
    pub fn forget_waiter(&self, waiter: &Arc<FetchWaiter>) {
        let mut state = self.lock();
        state.fetches.forget(waiter);
        state.follower_fetches.forget(waiter);
    }

    /// How many connections have fetches waiting here.
    pub fn waiting_fetches(&self) -> usize {
        let state = self.lock();
        state.fetches.len() + state.follower_fetches.len()
    }

    /// Its settings, as they are now.
    pub fn settings(&self) -> Arc<PartitionSettings> {
        self.settings.load_full()
    }

    /// The topic's name.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// The partition's number.
    pub fn index(&self) -> PartitionIndex {
        self.index
    }

    /// Appends as the leader. `records` is one batch as it came from whoever made it. A wait that the append calls for
    /// is added to `wait`.
    pub fn append(
        self: &Arc<Self>,
        records: &[u8],
        append: &Append,
        wait: &mut ProduceWaitSlot,
    ) -> Result<Appended, AppendError> {
        let settings = self.settings.load();
        // The checksum and the walk over the records need no lock.
        let checked = validate(records, &settings.log.validate, append.origin, append.now);
        let mut state = self.state.lock();
        let epoch = state.leadership()?;
        // What coordinators append is for all replicas, and safe without a lease.
        if append.origin != AppendOrigin::Coordinator {
            self.shared.lease.check()?;
        }
        let mut plan = checked?;
        let rules = self.rules(&settings);
        if let Role::Leader(leader) = &state.role
            && append.acks == Acks::All
        {
            leader.check_before_append(&rules)?;
        }
        let Verification { is_required: verify, guard } = append.verification;
        let by = AppendBy { origin: append.origin, leader_epoch: epoch, guard, verify };
        let info = match state.log().append_as_leader(records, &mut plan, by, append.now) {
            Ok(info) => info,
            Err(e) => return Err(self.refused(&mut state, e)),
        };
        Ok(self.after_append(state, &settings, &info, append.acks, append.now, append.index, wait))
    }

    /// Draws the conclusions from an append of this leader, with what `acks` calls for added to `wait` under `index`.
    pub(super) fn after_append(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        settings: &PartitionSettings,
        info: &AppendInfo,
        acks: Acks,
        now: Ms,
        index: usize,
        wait: &mut ProduceWaitSlot,
    ) -> Appended {
        let end = info.last_offset + 1;
        state.unseen_bytes += info.bytes as i64;
        state.follower_fetches.arrived(info.bytes as i64);
        if settings.durability == Durability::Replicated && state.is_alone() {
            self.advance(&mut state, &self.rules(settings));
        }
        if acks == Acks::All && state.high_watermark < end {
            state.produces.add(end, index, wait.get());
        }
        let flush_is_due = settings.log.flush_messages < i64::MAX && state.log().sync_due(now);
        if flush_is_due && acks != Acks::None && state.log().synced_end_offset() < end {
            state.flushes.add(end, index, wait.get());
        }
        let sync = state.is_to_be_synced(settings.durability) || (flush_is_due && state.is_dirty());
        self.unlock(state, sync);
        Appended {
            first_offset: info.first_offset,
            last_offset: info.last_offset,
            log_append_time: info.append_time.unwrap_or(-1),
            log_start_offset: info.log_start_offset,
        }
    }

    /// Syncs what is appended, and lets through what has waited for it. Blocks; the syncer calls it.
    pub(super) fn sync(self: &Arc<Self>) {
        let job = {
            let mut state = self.state.lock();
            state.sync = SyncState::Running;
            state.log.as_mut().and_then(Log::sync_job)
        };
        let done = job.map(|job| job.run());
        let mut state = self.state.lock();
        let again = state.sync == SyncState::RunningAndDirty;
        state.sync = if again { SyncState::Queued } else { SyncState::Idle };
        let State { log: Some(log), .. } = &mut *state else { return };
        match done.map(|done| log.synced(done)) {
            None | Some(Ok(())) => {
                let synced = log.synced_end_offset();
                state.flushes.passed(synced, None);
                let rules = self.rules(&self.settings.load());
                if rules.durability == Durability::Fsync || state.is_alone() {
                    self.advance(&mut state, &rules);
                }
                if let Some(notices) = &state.sync_notices {
                    notices.add(self);
                }
            }
            Some(Err(e)) => self.went_offline(&mut state, &e),
        }
        if again {
            drop(state);
            self.shared.syncer.request(Arc::clone(self));
        }
    }

    /// Takes the role that the metadata gives this broker. What is older than what is known is passed over.
    pub(super) fn become_what(self: &Arc<Self>, registration: &Registration) {
        let mut state = self.state.lock();
        let known = match &state.role {
            Role::Offline | Role::Gone(_) => return,
            Role::Leader(leader) => leader.epoch(),
            Role::NotLeader { epoch, .. } => *epoch,
        };
        if registration.leader_epoch < known {
            return;
        }
        if registration.leader != self.shared.node_id {
            let (leader, epoch) = (registration.leader, registration.leader_epoch);
            state.role = Role::NotLeader { leader, epoch };
            state.end_waits(ErrorCode::NotLeaderOrFollower);
            return;
        }
        match &mut state.role {
            Role::Leader(leader) if leader.epoch() == registration.leader_epoch => {
                leader.update(registration)
            }
            _ => {
                // Followers that have records of later epochs than this log must be told where theirs end. A log without
                // followers learns of the epoch with its first batch.
                if registration.replicas.len() > 1
                    && let Err(fault) = state.log().begin_epoch(registration.leader_epoch)
                {
                    self.went_offline(&mut state, &fault);
                    return;
                }
                let end = state.log().log_end_offset();
                let leader = Leader::begin(self.shared.node_id, registration, end, self.shared.now());
                state.role = Role::Leader(leader);
                state.sync_notices = None;
            }
        }
        let rules = self.rules(&self.settings.load());
        self.advance(&mut state, &rules);
        // What a crash of the process has left unsynced must be synced before it may be read.
        let sync = rules.durability == Durability::Fsync && state.is_dirty();
        self.unlock(state, sync);
    }

    pub(super) fn rules(&self, settings: &PartitionSettings) -> Rules {
        Rules {
            durability: settings.durability,
            min_insync_replicas: settings.min_insync_replicas,
            lag_ms_max: self.shared.lag_ms_max(),
        }
    }

    /// Raises the high watermark as far as it may go now.
    pub(super) fn advance(&self, state: &mut State, rules: &Rules) {
        let State { log: Some(log), role: Role::Leader(leader), .. } = &*state else { return };
        let local = Local { log_end: log.log_end_offset(), synced: log.synced_end_offset() };
        let to = if leader.followers().is_empty() {
            Some(local.counted(rules.durability))
        } else {
            leader.high_watermark(local, rules, &self.shared.brokers.load(), self.shared.now())
        };
        let failed = leader.check_after_append(rules).err();
        if let Some(to) = to {
            state.advance_high_watermark(to, failed);
        }
    }

    /// Gives the log up: the topic is deleted, or the node stops. From here on every request is refused with `error`.
    pub(super) fn give_up_log(&self, error: ErrorCode) -> Option<Log> {
        let mut state = self.state.lock();
        state.role = Role::Gone(error);
        state.end_waits(error);
        state.log.take()
    }

    /// Reads as the leader; for consumers that may read from followers (KIP-392), also as a follower. A follower's read tells
    /// how far the follower is.
    pub fn read(self: &Arc<Self>, read: &Read<'_>) -> PartitionRead {
        let mut state = self.state.lock();
        // Followers are answered without a lease: what they have makes nothing readable that could be lost.
        if read.follower.is_none()
            && matches!(state.role, Role::Leader(_))
            && let Err(no_lease) = self.shared.lease.check()
        {
            return PartitionRead::failed(no_lease);
        }
        if let Some(node) = read.rack.and_then(|rack| self.preferred_replica(&state, rack, read.offset))
            && state.check_leader_epoch(read.current_leader_epoch).is_ok()
        {
            return state.only_says(node);
        }
        let mut found = state.read(read);
        if let Some(follower) = &read.follower
            && follower.is_first
            && !found.is_urgent()
        {
            self.fetched(&mut state, read, follower, &mut found);
        }
        if matches!(found.error, ErrorCode::FencedLeaderEpoch | ErrorCode::NotLeaderOrFollower) {
            found.current_leader = match state.role {
                Role::Leader(ref leader) => Some((self.shared.node_id, leader.epoch())),
                Role::NotLeader { leader, epoch } => Some((leader, epoch)),
                Role::Offline | Role::Gone(_) => None,
            };
        }
        if let Some(waiter) = read.waiter
            && !found.is_urgent()
        {
            match read.follower {
                None => state.fetches.add(waiter),
                Some(_) => state.follower_fetches.add(waiter),
            }
        }
        found
    }

    /// The in-sync follower in `rack` to which a consumer at `offset` is to be sent, as Kafka's rack-aware selector chooses:
    /// none if this broker is in the rack itself, and else the one that has most.
    fn preferred_replica(&self, state: &State, rack: &str, offset: Offset) -> Option<NodeId> {
        let Role::Leader(leader) = &state.role else { return None };
        let brokers = self.shared.brokers.load();
        let is_there = |node| {
            brokers.get(node).is_some_and(|b| !b.fenced && b.rack.as_ref().is_some_and(|at| **at == *rack))
        };
        if is_there(self.shared.node_id) {
            return None;
        }
        leader.readable_follower(offset, is_there)
    }

    /// Takes in what a follower has said with a read that found its log to be a prefix of this one.
    fn fetched(
        self: &Arc<Self>,
        state: &mut State,
        read: &Read<'_>,
        follower: &FollowerRead,
        found: &mut PartitionRead,
    ) {
        let log_end = state.log().log_end_offset();
        let Role::Leader(leader) = &mut state.role else { return };
        let fetch = FollowerFetch {
            node: follower.node,
            broker_epoch: follower.broker_epoch,
            offset: read.offset,
            log_start: follower.log_start,
            synced: follower.synced,
        };
        let brokers = self.shared.brokers.load();
        if let Err(error) = leader.on_fetch(&fetch, log_end, &brokers, self.shared.now()) {
            *found = PartitionRead::failed(error);
            return;
        }
        self.follower_moved(state, follower.node);
        found.high_watermark = state.high_watermark;
        self.starts.notify_waiters();
    }

    /// Draws the conclusions from news of a follower: a higher high watermark, or one more replica in sync.
    fn follower_moved(self: &Arc<Self>, state: &mut State, node: NodeId) {
        let rules = self.rules(&self.settings.load());
        self.advance(state, &rules);
        let high_watermark = state.high_watermark;
        let Role::Leader(leader) = &mut state.role else { return };
        let (brokers, own) = (self.shared.brokers.load(), self.shared.own_epoch());
        if let Some(proposal) = leader.propose_expand(node, high_watermark, &rules, &brokers, own) {
            tracing::info!("{}-{}: {node} is to join the in-sync replicas", self.topic, self.index);
            self.shared.isr_changes.add(Arc::clone(self), proposal);
        }
    }

    /// Takes in that the disk of a follower has caught up: ReplicaSynced. What comes from another epoch of the leader or of
    /// the broker says nothing.
    pub fn on_replica_synced(
        self: &Arc<Self>,
        node: NodeId,
        broker_epoch: BrokerEpoch,
        leader_epoch: LeaderEpoch,
        synced: Offset,
    ) {
        let mut state = self.state.lock();
        let State { log: Some(log), role: Role::Leader(leader), .. } = &mut *state else { return };
        let (log_end, now) = (log.log_end_offset(), self.shared.now());
        if leader.epoch() == leader_epoch && leader.on_synced(node, broker_epoch, synced, log_end, now) {
            self.follower_moved(&mut state, node);
        }
    }

    /// Looks for in-sync followers that have not kept up; due every half of `replica.lag.time.max.ms`.
    pub(super) fn check_followers(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let rules = self.rules(&self.settings.load());
        let State { log: Some(log), role: Role::Leader(leader), .. } = &mut *state else { return };
        if leader.followers().is_empty() {
            return;
        }
        let (end, own) = (log.log_end_offset(), self.shared.own_epoch());
        if let Some(proposal) = leader.propose_shrink(end, &rules, own, self.shared.now()) {
            tracing::info!("{}-{}: in-sync replicas shrink to {:?}", self.topic, self.index, proposal.isr);
            self.shared.isr_changes.add(Arc::clone(self), proposal);
        }
        // Whoever might have joined, and has held the high watermark for that, may have been silent for too long.
        self.advance(&mut state, &rules);
    }

    /// Takes in what the controller says to a change of the in-sync set.
    pub(super) fn on_isr_answer(
        &self,
        proposal: &Proposal,
        answer: Result<Altered, ErrorCode>,
    ) -> AfterAnswer {
        let mut state = self.state.lock();
        let Role::Leader(leader) = &mut state.role else { return AfterAnswer::Stale };
        let after = leader.on_answer(proposal, answer.as_ref().map_err(|error| *error));
        if after == AfterAnswer::Settled {
            tracing::info!("{}-{}: in-sync replicas are {:?}", self.topic, self.index, leader.isr());
            let rules = self.rules(&self.settings.load());
            self.advance(&mut state, &rules);
        }
        after
    }

    /// The in-sync set as the controller has committed it; `None` if this broker does not lead.
    pub fn isr(&self) -> Option<Vec<NodeId>> {
        match &self.state.lock().role {
            Role::Leader(leader) => Some(leader.isr().to_vec()),
            Role::NotLeader { .. } | Role::Offline | Role::Gone(_) => None,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Has the log synced, as soon as the syncer can.
    pub(super) fn request_sync(self: &Arc<Self>) {
        let state = self.state.lock();
        let sync = state.log.is_some();
        self.unlock(state, sync);
    }

    /// Ends a use of the state; with `sync`, the log is synced as soon as the syncer can, which takes the lock itself.
    pub(super) fn unlock(self: &Arc<Self>, mut state: MutexGuard<'_, State>, sync: bool) {
        let ask = sync && state.sync_wanted();
        drop(state);
        if ask {
            self.shared.syncer.request(Arc::clone(self));
        }
    }

    /// Takes new settings into use, from the next append on.
    pub(super) fn set_settings(&self, settings: PartitionSettings) {
        let mut state = self.state.lock();
        if let Some(log) = &mut state.log {
            log.set_config(Arc::clone(&settings.log));
        }
        let rules = self.rules(&settings);
        self.settings.store(Arc::new(settings));
        // Fewer in-sync replicas may be enough now.
        self.advance(&mut state, &rules);
    }

    /// Follows the high watermark. The sender goes away when the partition is not led here any more.
    pub fn watch_high_watermark(&self) -> watch::Receiver<Offset> {
        self.state.lock().watch_high_watermark()
    }

    /// What an error of the log means to the client; takes the partition offline where it must.
    pub(super) fn refused(&self, state: &mut State, error: storage::AppendError) -> AppendError {
        let code = match &error {
            storage::AppendError::Producer(e) => e.code(),
            storage::AppendError::TooLarge { .. } => ErrorCode::RecordListTooLarge,
            // A leader does not meet these.
            storage::AppendError::UnexpectedOffset { .. } => ErrorCode::OffsetOutOfRange,
            storage::AppendError::Stored(_) | storage::AppendError::Control(_) => ErrorCode::CorruptMessage,
            storage::AppendError::Fault(fault) => {
                if state.log().is_offline() {
                    self.went_offline(state, fault);
                }
                ErrorCode::KafkaStorageError
            }
        };
        AppendError { message: Some(error.to_string()), ..AppendError::from(code) }
    }

    pub(super) fn went_offline(&self, state: &mut State, fault: &StorageError) {
        tracing::error!("{}-{} goes offline: {fault}", self.topic, self.index);
        state.role = Role::Offline;
        state.end_waits(ErrorCode::KafkaStorageError);
    }
}

/// That who asks does not believe in another epoch than there is; -1 believes nothing (KIP-320).
fn check_epoch(believed: LeaderEpoch, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
    match believed {
        -1 => Ok(()),
        older if older < epoch => Err(ErrorCode::FencedLeaderEpoch),
        newer if newer > epoch => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// What a fault of the disk is to a client.
pub(super) fn fault_code(fault: &StorageError) -> ErrorCode {
    tracing::error!("a log cannot be read: {fault}");
    ErrorCode::KafkaStorageError
}

impl State {
    /// That this broker leads, and that who asks does not believe in another epoch; -1 believes nothing (KIP-320).
    pub(super) fn check_leader_epoch(&self, believed: LeaderEpoch) -> Result<(), ErrorCode> {
        let epoch = self.leadership().map_err(|refused| refused.code)?;
        check_epoch(believed, epoch)
    }

    /// What a leader answers that sends a consumer to another replica: no records, and where its log is.
    fn only_says(&mut self, preferred: NodeId) -> PartitionRead {
        match self.readable_end(Isolation::ReadCommitted) {
            Err(error) => PartitionRead::failed(error),
            Ok(last_stable_offset) => PartitionRead {
                error: ErrorCode::None,
                high_watermark: self.high_watermark,
                last_stable_offset,
                log_start_offset: self.log().log_start_offset(),
                preferred_replica: Some(preferred),
                ..PartitionRead::failed(ErrorCode::None)
            },
        }
    }

    /// That the high watermark has reached the start of this leader's epoch: else `OFFSET_NOT_AVAILABLE`, since readers may
    /// have seen more of the leader before (KIP-207).
    pub(super) fn check_caught_up(&self) -> Result<(), ErrorCode> {
        match &self.role {
            Role::Leader(leader)
                if !leader.followers().is_empty() && self.high_watermark < leader.epoch_start() =>
            {
                Err(ErrorCode::OffsetNotAvailable)
            }
            _ => Ok(()),
        }
    }

    /// The offset before which everything may be read.
    pub(super) fn readable_end(&mut self, isolation: Isolation) -> Result<Offset, ErrorCode> {
        match isolation {
            Isolation::ReadUncommitted if Bug::ReadsAboveHighWatermark.is_planted() => {
                Ok(self.log().log_end_offset())
            }
            Isolation::ReadUncommitted => Ok(self.high_watermark),
            Isolation::ReadCommitted => {
                let high_watermark = self.high_watermark;
                let log = self.log();
                let settled = log.settle(high_watermark);
                settled
                    .and_then(|()| log.last_stable_offset(high_watermark))
                    .map_err(|fault| fault_code(&fault))
            }
        }
    }

    fn read(&mut self, read: &Read<'_>) -> PartitionRead {
        let may_read = match self.role {
            Role::NotLeader { epoch, .. } if read.from_any_replica && read.follower.is_none() => {
                check_epoch(read.current_leader_epoch, epoch)
            }
            _ => self.check_leader_epoch(read.current_leader_epoch),
        };
        if let Err(error) = may_read {
            return PartitionRead::failed(error);
        }
        if let (Some(follower), Role::Leader(leader)) = (&read.follower, &self.role)
            && let Err(error) = leader.check_follower(follower.node, read.current_leader_epoch >= 0)
        {
            return PartitionRead::failed(error);
        }
        let last_stable_offset = match self.readable_end(Isolation::ReadCommitted) {
            Ok(offset) => offset,
            Err(error) => return PartitionRead::failed(error),
        };
        let mut found = PartitionRead {
            error: ErrorCode::None,
            high_watermark: self.high_watermark,
            last_stable_offset,
            log_start_offset: self.log().log_start_offset(),
            diverging_epoch: None,
            current_leader: None,
            aborted: None,
            preferred_replica: None,
            records: None,
        };
        if read.last_fetched_epoch >= 0 {
            match self.log().end_offset_for_epoch(read.last_fetched_epoch) {
                Err(fault) => return PartitionRead::failed(fault_code(&fault)),
                Ok(None) => return PartitionRead::failed(ErrorCode::OffsetOutOfRange),
                Ok(Some((epoch, end))) if epoch < read.last_fetched_epoch || end < read.offset => {
                    found.diverging_epoch = Some((epoch, end));
                    return found;
                }
                Ok(Some(_same_history)) => {}
            }
        }
        let end = match (&read.follower, read.isolation) {
            (Some(_), _) => self.log().log_end_offset(),
            (None, Isolation::ReadUncommitted) => self.high_watermark,
            (None, Isolation::ReadCommitted) => last_stable_offset,
        };
        match self.log().read(read.offset, read.bytes_max, end, read.whole_batch) {
            Ok(outcome) => {
                if read.isolation == Isolation::ReadCommitted && read.follower.is_none() {
                    match self.aborted_in(read.offset, &outcome, end) {
                        Ok(aborted) => found.aborted = Some(aborted),
                        Err(fault) => return PartitionRead::failed(fault_code(&fault)),
                    }
                }
                found.records = outcome.slice;
                found
            }
            Err(ReadError::OffsetOutOfRange { .. }) => PartitionRead::failed(ErrorCode::OffsetOutOfRange),
            Err(ReadError::Fault(fault)) => PartitionRead::failed(fault_code(&fault)),
        }
    }

    /// The log of a partition that has a role: [`State::leadership`] was asked before.
    pub(super) fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("only a partition that is gone has no log")
    }

    pub(super) fn log_if_any(&mut self) -> Option<&mut Log> {
        self.log.as_mut()
    }

    /// True if this broker leads and nobody else is or may be in sync.
    pub(super) fn is_alone(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.is_alone())
    }

    /// The epoch in which this broker leads.
    pub(super) fn leadership(&self) -> Result<LeaderEpoch, AppendError> {
        match self.role {
            Role::Leader(ref leader) => Ok(leader.epoch()),
            Role::NotLeader { leader, epoch } => Err(AppendError {
                current_leader: Some((leader, epoch)),
                ..AppendError::from(ErrorCode::NotLeaderOrFollower)
            }),
            Role::Offline => Err(ErrorCode::KafkaStorageError.into()),
            Role::Gone(error) => Err(error.into()),
        }
    }

    /// True if records are appended that are not synced yet.
    pub(super) fn is_dirty(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.synced_end_offset() < log.log_end_offset())
    }

    /// True if what was just appended has to be synced, of itself: where only what is durable counts, and where the log's topic id
    /// is not durable. Such a log is set aside after a power loss, with all that is in it: that is not to last.
    pub(super) fn is_to_be_synced(&mut self, durability: Durability) -> bool {
        (durability == Durability::Fsync || self.log().is_new()) && self.is_dirty()
    }

    /// True if a sync has to be asked for: none is queued, and none runs that could ask by itself.
    fn sync_wanted(&mut self) -> bool {
        let (next, ask) = match self.sync {
            SyncState::Idle => (SyncState::Queued, true),
            SyncState::Queued => (SyncState::Queued, false),
            SyncState::Running | SyncState::RunningAndDirty => (SyncState::RunningAndDirty, false),
        };
        self.sync = next;
        ask
    }

    pub(super) fn watch_high_watermark(&mut self) -> watch::Receiver<Offset> {
        let high_watermark = self.high_watermark;
        if !matches!(self.role, Role::Leader(_)) {
            return watch::channel(high_watermark).1;
        }
        self.watch.get_or_insert_with(|| watch::channel(high_watermark).0).subscribe()
    }

    /// Produces that it passes end with `failed`, if set.
    pub(super) fn advance_high_watermark(&mut self, to: Offset, failed: Option<ErrorCode>) {
        if to <= self.high_watermark {
            return;
        }
        self.high_watermark = to;
        let settled = self.settle_transactions();
        self.produces.passed(to, failed);
        if let Some(watch) = &self.watch {
            watch.send_replace(to);
        }
        let bytes = std::mem::take(&mut self.unseen_bytes);
        if settled {
            // Readers of committed records may have waited at far more than the marker's bytes.
            self.fetches.wake_all();
        } else {
            self.fetches.arrived(bytes);
        }
    }

    fn end_waits(&mut self, error: ErrorCode) {
        self.produces.fail(error);
        self.flushes.fail(error);
        self.fetches.wake_all();
        self.follower_fetches.wake_all();
        self.watch = None;
    }
}
