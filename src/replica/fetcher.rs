//! Follows: one loop for each leader and each of its `num.replica.fetchers` slots.
//!
//! A loop fetches for all its partitions at once, appends what comes as it came, and fetches on without waiting for the
//! disk. When a sync has ended, the leader is told beside the fetch, which may be waiting for records. What [`follower`]
//! (pure) says is done; nothing is decided here.
//!
//! [`follower`]: super::follower

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::fetch_session_state::SessionState;
use super::followed::{FollowError, Took};
use super::follower::{AppendFailure, Fetched, Following, LogView, Next, Todo};
use super::leader_endpoint::{
    Asked, EndpointError, FetchedFrom, FetchedPartition, FollowerFetchAnswer, FollowerFetchRequest,
    LeaderEndpoint, SyncedPartition,
};
use super::manager::ReplicaManager;
use super::partition::Partition;
use super::remote_leader::FETCH_LANES;
use super::shared::Shared;
use super::sync_notices::SyncNotices;
use crate::config::BrokerConfig;
use crate::env::{Clock, Env, Tasks};
use crate::metadata::{NO_LEADER, Partition as Registration};
use crate::types::{ErrorCode, LeaderEpoch, Ms, NodeId, PartitionIndex, TopicId};

type Key = (TopicId, PartitionIndex);

/// How long after a partition came to a loop whose fetch waits the leader is told to answer.
const END_WAIT_AFTER: Duration = Duration::from_millis(2);
/// How long after that it is told again.
const END_WAIT_AGAIN: Duration = Duration::from_millis(20);

/// Gives the way to a broker for a slot. Called once for each leader and slot; finds the broker anew when it has moved.
pub type Endpoints = Box<dyn Fn(NodeId, u32) -> Arc<dyn LeaderEndpoint> + Send + Sync>;

/// How to fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetcherSettings {
    /// `num.replica.fetchers`, from 1 to 32.
    pub slots: u32,
    /// `replica.fetch.wait.max.ms`.
    pub wait_ms_max: i32,
    /// `replica.fetch.min.bytes`.
    pub bytes_min: i32,
    /// `replica.fetch.response.max.bytes`.
    pub response_bytes_max: i32,
    /// `replica.fetch.max.bytes`.
    pub partition_bytes_max: u32,
    /// `replica.fetch.backoff.ms`.
    pub backoff_ms: Ms,
}

impl From<&BrokerConfig> for FetcherSettings {
    fn from(config: &BrokerConfig) -> FetcherSettings {
        FetcherSettings {
            slots: config.num_replica_fetchers.clamp(1, FETCH_LANES.len()) as u32,
            wait_ms_max: config.replica_fetch_wait_max_ms,
            bytes_min: config.replica_fetch_min_bytes,
            response_bytes_max: config.replica_fetch_response_max_bytes,
            partition_bytes_max: config.replica_fetch_max_bytes.max(0) as u32,
            backoff_ms: config.replica_fetch_backoff_ms,
        }
    }
}

/// All loops of a broker.
pub(super) struct Fetchers {
    env: Env,
    shared: Arc<Shared>,
    endpoints: Endpoints,
    settings: FetcherSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A leader's loops stay, and rest while it leads nothing.
    inboxes: BTreeMap<(NodeId, u32), Arc<Inbox>>,
    /// Who follows what, and in which epoch.
    followed: BTreeMap<Key, (NodeId, LeaderEpoch)>,
}

/// What a loop is told. A partition is in it at most once.
#[derive(Default)]
struct Inbox {
    changes: Mutex<BTreeMap<Key, Change>>,
    wake: Notify,
}

enum Change {
    Follow(Arc<Partition>, LeaderEpoch),
    Leave,
}

impl Inbox {
    fn tell(&self, key: Key, change: Change) {
        self.changes.lock().insert(key, change);
        self.wake.notify_one();
    }

    fn has_more_to_follow(&self) -> bool {
        self.changes.lock().values().any(|change| matches!(change, Change::Follow(..)))
    }
}

impl Fetchers {
    pub(super) fn new(
        env: &Env,
        shared: &Arc<Shared>,
        endpoints: Endpoints,
        settings: FetcherSettings,
    ) -> Arc<Fetchers> {
        let (env, shared) = (env.clone(), Arc::clone(shared));
        Arc::new(Fetchers { env, shared, endpoints, settings, state: Mutex::default() })
    }

    /// Sees to it that `partition` is fetched from whom `registration` names, or from nobody.
    pub(super) fn assign(&self, partition: &Arc<Partition>, registration: &Registration) {
        let key = (partition.topic_id(), partition.index());
        partition.set_follows_in_sync(registration.isr.contains(&self.shared.node_id));
        let (leader, epoch) = (registration.leader, registration.leader_epoch);
        let follows = leader != self.shared.node_id && leader != NO_LEADER;
        let mut state = self.state.lock();
        let before = state.followed.get(&key).copied();
        if follows && before == Some((leader, epoch)) {
            return;
        }
        if let Some((old, _)) = before
            && !(follows && old == leader)
        {
            state.inbox(self, old, key).tell(key, Change::Leave);
        }
        if follows && partition.followed_epoch() == Some(epoch) {
            state.followed.insert(key, (leader, epoch));
            state.inbox(self, leader, key).tell(key, Change::Follow(Arc::clone(partition), epoch));
        } else {
            state.followed.remove(&key);
        }
    }

    /// The partition is gone.
    pub(super) fn leave(&self, topic_id: TopicId, partition: PartitionIndex) {
        let key = (topic_id, partition);
        let mut state = self.state.lock();
        if let Some((leader, _)) = state.followed.remove(&key) {
            state.inbox(self, leader, key).tell(key, Change::Leave);
        }
    }
}

impl State {
    fn inbox(&mut self, fetchers: &Fetchers, leader: NodeId, key: Key) -> Arc<Inbox> {
        let slots = u64::from(fetchers.settings.slots.max(1));
        let hash = (key.0.0.as_u128() as u64).wrapping_mul(31).wrapping_add(key.1 as u64);
        let slot = (hash % slots) as u32;
        let made = self.inboxes.entry((leader, slot)).or_insert_with(|| {
            let inbox: Arc<Inbox> = Arc::default();
            let endpoint = (fetchers.endpoints)(leader, slot);
            let notices: Arc<SyncNotices> = Arc::default();
            let fetcher = Fetcher {
                leader,
                endpoint: Arc::clone(&endpoint),
                inbox: Arc::clone(&inbox),
                notices: Arc::clone(&notices),
                tasks: fetchers.env.tasks.clone(),
                clock: Arc::clone(&fetchers.env.clock),
                shared: Arc::clone(&fetchers.shared),
                settings: fetchers.settings,
                session: SessionState::default(),
                followed: BTreeMap::new(),
                unsettled: BTreeSet::new(),
            };
            fetchers.env.tasks.spawn("replica fetcher", fetcher.run());
            fetchers.env.tasks.spawn("replica sync notices", tell_synced(endpoint, notices));
            inbox
        });
        Arc::clone(made)
    }
}

/// Tells the leader of ended syncs, all that gather while one notice is under way with the next.
async fn tell_synced(endpoint: Arc<dyn LeaderEndpoint>, notices: Arc<SyncNotices>) {
    loop {
        let (synced, end_wait) = notices.take().await;
        if end_wait && let Err(why) = endpoint.end_wait().await {
            // The wait ends by itself before long.
            tracing::debug!("a leader was not told to end a wait: {why}");
        }
        let told: Vec<SyncedPartition> = synced
            .into_iter()
            .filter_map(|partition| {
                let leader_epoch = partition.followed_epoch()?;
                Some(SyncedPartition {
                    topic_id: partition.topic_id(),
                    partition: partition.index(),
                    leader_epoch,
                    synced: partition.synced_end(leader_epoch)?,
                })
            })
            .collect();
        if !told.is_empty()
            && let Err(why) = endpoint.synced(&told).await
        {
            // The next fetch says it too.
            tracing::debug!("a leader was not told of syncs: {why}");
        }
    }
}

struct Followed {
    partition: Arc<Partition>,
    following: Following,
}

/// One loop.
struct Fetcher {
    leader: NodeId,
    endpoint: Arc<dyn LeaderEndpoint>,
    inbox: Arc<Inbox>,
    notices: Arc<SyncNotices>,
    tasks: Tasks,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    settings: FetcherSettings,
    session: SessionState,
    followed: BTreeMap<Key, Followed>,
    /// Partitions to look at before the next request: something has happened to them, or they are not being fetched. All
    /// others are fetched as the session has it.
    unsettled: BTreeSet<Key>,
}

impl Fetcher {
    async fn run(mut self) {
        loop {
            self.take_changes().await;
            self.ask_epoch_ends().await;
            self.ask_bounds().await;
            if let Some(request) = self.plan() {
                self.fetch(request).await;
            } else {
                self.rest().await;
            }
        }
    }

    /// Waits until there is something to do.
    async fn rest(&self) {
        let unsettled = self.unsettled.iter().filter_map(|key| self.followed.get(key));
        let now = self.shared.now();
        let due = unsettled.filter_map(|f| match f.following.next(now) {
            Next::WaitUntil(at) => Some(at),
            Next::AwaitMetadata | Next::Offline => None,
            Next::Fetch { .. } => Some(f.partition.is_held_back_for().map_or(Ms::MIN, |ms| now + ms)),
            Next::EpochEnd { .. } | Next::Bounds => Some(Ms::MIN),
        });
        let told = self.inbox.wake.notified();
        match due.min() {
            None => told.await,
            Some(at) => {
                let ms = at.saturating_sub(self.shared.now()).max(0) as u64;
                // Either way it is looked at what to do.
                let _woken_or_due = tokio::time::timeout(Duration::from_millis(ms), told).await;
            }
        }
    }

    async fn take_changes(&mut self) {
        let changes = std::mem::take(&mut *self.inbox.changes.lock());
        for (key, change) in changes {
            let Change::Follow(partition, epoch) = change else {
                self.drop_out(key);
                continue;
            };
            let view = match partition.follow(epoch, &self.notices) {
                Ok(view) => view,
                Err(why) => {
                    self.drop_out(key);
                    tracing::debug!("{} is not followed in epoch {epoch}: {why:?}", partition.name());
                    continue;
                }
            };
            let (following, todo) =
                Following::begin(epoch, self.endpoint.tells_divergence(), self.settings.backoff_ms, view);
            self.followed.insert(key, Followed { partition, following });
            self.unsettled.insert(key);
            self.act(key, todo, None).await;
        }
    }

    /// This loop does not follow the partition any more.
    fn drop_out(&mut self, key: Key) {
        self.followed.remove(&key);
        self.unsettled.remove(&key);
        self.session.forget(key);
    }

    /// Brings the session up to date with partitions that something has happened to.
    fn settle(&mut self) {
        let now = self.shared.now();
        self.unsettled.extend(self.notices.take_fetched());
        let mut still_unsettled = BTreeSet::new();
        for key in std::mem::take(&mut self.unsettled) {
            let Some(Followed { partition, following }) = self.followed.get(&key) else { continue };
            let leader_epoch = following.leader_epoch();
            let from = match following.next(now) {
                // Its time comes: too much has been fetched for replicas that are held back.
                Next::Fetch { .. } if partition.is_held_back_for().is_some() => {
                    still_unsettled.insert(key);
                    None
                }
                Next::Fetch { offset, last_fetched_epoch } => {
                    partition.fetched_bounds(leader_epoch).map(|(log_start, synced)| FetchedFrom {
                        topic_id: key.0,
                        topic: Arc::clone(partition.topic()),
                        partition: key.1,
                        offset,
                        last_fetched_epoch,
                        leader_epoch,
                        log_start,
                        synced,
                        bytes_max: self.settings.partition_bytes_max,
                    })
                }
                Next::WaitUntil(_) | Next::EpochEnd { .. } | Next::Bounds => {
                    still_unsettled.insert(key);
                    None
                }
                // Until it comes through the inbox again.
                Next::AwaitMetadata | Next::Offline => None,
            };
            match from {
                Some(from) => self.session.want(from),
                None => self.session.forget(key),
            }
        }
        self.unsettled = still_unsettled;
    }

    /// The next fetch; `None` if nothing is to be fetched now.
    fn plan(&mut self) -> Option<FollowerFetchRequest> {
        self.settle();
        if self.session.is_idle() {
            return None;
        }
        let part = self.session.plan();
        Some(FollowerFetchRequest {
            session_id: part.id,
            session_epoch: part.epoch,
            wait_ms_max: self.settings.wait_ms_max,
            bytes_min: self.settings.bytes_min,
            bytes_max: self.settings.response_bytes_max,
            partitions: part.partitions,
            forgotten: part.forgotten,
        })
    }

    async fn fetch(&mut self, request: FollowerFetchRequest) {
        let answer = match self.answer_to(&request).await {
            Ok(answer) => answer,
            Err(why) => {
                tracing::debug!(leader = self.leader, "a fetch failed: {why}");
                self.session.lost();
                self.unreachable();
                return;
            }
        };
        if !self.session.answered(answer.error, answer.session_id) {
            let of_session = matches!(
                answer.error,
                ErrorCode::FetchSessionIdNotFound
                    | ErrorCode::InvalidFetchSessionEpoch
                    | ErrorCode::FetchSessionTopicIdError
            );
            tracing::debug!(leader = self.leader, "a fetch was refused: {}", answer.error);
            if !of_session || request.session_epoch == 0 {
                self.unreachable();
            }
            return;
        }
        for fetched in answer.partitions {
            self.took(fetched).await;
        }
    }

    /// The answer to a fetch. Where there is more to follow meanwhile, the leader is told to answer now; it may not have got
    /// the fetch yet, so it is told until the answer is there.
    async fn answer_to(&self, request: &FollowerFetchRequest) -> Result<FollowerFetchAnswer, EndpointError> {
        let mut fetch = self.endpoint.fetch(request);
        loop {
            tokio::select! {
                biased;
                answer = &mut fetch => return answer,
                () = self.inbox.wake.notified() => {}
            }
            // What comes with one change of the metadata goes into one fetch.
            let mut pause = END_WAIT_AFTER;
            while self.inbox.has_more_to_follow() {
                if let Ok(answer) = tokio::time::timeout(pause, &mut fetch).await {
                    return answer;
                }
                self.notices.end_wait();
                pause = END_WAIT_AGAIN;
            }
        }
    }

    /// None of the partitions can be fetched now.
    fn unreachable(&mut self) {
        let now = self.shared.now();
        for (key, followed) in &mut self.followed {
            followed.following.unreachable(now);
            self.unsettled.insert(*key);
        }
    }

    async fn took(&mut self, fetched: FetchedPartition) {
        let key = (fetched.topic_id, fetched.partition);
        let Some(asked_at) =
            self.session.asked(fetched.topic_id, fetched.partition).map(|asked| asked.offset)
        else {
            return;
        };
        let now = self.shared.now();
        let Some(Followed { partition, following }) = self.followed.get_mut(&key) else { return };
        self.unsettled.insert(key);
        let told = Fetched { error: fetched.error, diverging: fetched.diverging };
        if told.error.is_err() {
            tracing::debug!("{} cannot be fetched: {}", partition.name(), told.error);
        }
        let log_end = partition.log_offsets().1;
        let own_end_of = |epoch| partition.own_end_of(epoch);
        let todo = following.on_fetched(asked_at, told, log_end, own_end_of, now);
        self.act(key, todo, Some(&fetched)).await;
    }

    /// Does to the log what an answer calls for.
    async fn act(&mut self, key: Key, todo: Todo, fetched: Option<&FetchedPartition>) {
        let Some(Followed { partition, following }) = self.followed.get_mut(&key) else { return };
        let epoch = following.leader_epoch();
        let changed = match (todo, fetched) {
            (Todo::Nothing, _) | (Todo::Take, None) => return,
            (Todo::Take, Some(fetched)) => {
                let took = Took {
                    records: &fetched.records,
                    high_watermark: fetched.high_watermark,
                    log_start: fetched.log_start,
                };
                partition.took_from_leader(fetched.records.len());
                partition.take(epoch, took, self.clock.now())
            }
            (Todo::Truncate(to), _) => {
                let partition = Arc::clone(partition);
                self.blocking(move || partition.truncate(epoch, to)).await
            }
            (Todo::StartOver(at), _) => {
                let partition = Arc::clone(partition);
                self.blocking(move || partition.start_over(epoch, at)).await
            }
        };
        self.log_changed(key, changed);
    }

    async fn blocking(
        &self,
        work: impl FnOnce() -> Result<LogView, FollowError> + Send + 'static,
    ) -> Result<LogView, FollowError> {
        self.tasks.run_blocking(work).await.unwrap_or(Err(FollowError::NotFollowing))
    }

    fn log_changed(&mut self, key: Key, changed: Result<LogView, FollowError>) {
        let now = self.shared.now();
        let Some(Followed { partition, following }) = self.followed.get_mut(&key) else { return };
        self.unsettled.insert(key);
        match changed {
            Ok(view) => following.log_changed(view),
            // Another role is on its way here through the inbox, or the log is gone.
            Err(FollowError::NotFollowing | FollowError::Disk) => self.drop_out(key),
            Err(FollowError::Refused(why)) => {
                tracing::warn!(
                    "{} cannot take what its leader {} sent: {why}",
                    partition.name(),
                    self.leader
                );
                self.try_again(key, now);
            }
            Err(FollowError::NoRoom) => self.try_again(key, now),
        }
    }

    /// Fetches from the end of the log as it is, after a while.
    fn try_again(&mut self, key: Key, now: Ms) {
        let Some(Followed { partition, following }) = self.followed.get_mut(&key) else { return };
        match partition.followed_view(following.leader_epoch()) {
            Ok(view) => following.append_failed(AppendFailure::Refused, view, now),
            Err(_not_following) => self.drop_out(key),
        }
    }

    /// The partitions of which something else than records is asked, with what `wanted` makes of it.
    fn asking<T>(&self, wanted: impl Fn(Next, Asked) -> Option<T>) -> (Vec<Key>, Vec<T>) {
        let now = self.shared.now();
        let unsettled = self.unsettled.iter();
        let asked =
            unsettled.filter_map(|key| self.followed.get_key_value(key)).filter_map(|(key, followed)| {
                let asked = Asked {
                    topic_id: key.0,
                    topic: Arc::clone(followed.partition.topic()),
                    partition: key.1,
                    leader_epoch: followed.following.leader_epoch(),
                };
                wanted(followed.following.next(now), asked).map(|wanted| (*key, wanted))
            });
        asked.unzip()
    }

    async fn ask_epoch_ends(&mut self) {
        let (keys, asked) = self.asking(|next, asked| match next {
            Next::EpochEnd { epoch } => Some((asked, epoch)),
            _ => None,
        });
        if asked.is_empty() {
            return;
        }
        let endpoint = Arc::clone(&self.endpoint);
        let answers = endpoint.epoch_ends(&asked).await;
        self.answered(keys, answers, |following, partition, answer, view, now| {
            following.on_epoch_end(answer, view, |epoch| partition.own_end_of(epoch), now)
        })
        .await;
    }

    async fn ask_bounds(&mut self) {
        let (keys, asked) = self.asking(|next, asked| (next == Next::Bounds).then_some(asked));
        if asked.is_empty() {
            return;
        }
        let endpoint = Arc::clone(&self.endpoint);
        let answers = endpoint.bounds(&asked).await;
        self.answered(keys, answers, |following, _, answer, view, now| {
            following.on_bounds(answer, view, now)
        })
        .await;
    }

    async fn answered<T>(
        &mut self,
        keys: Vec<Key>,
        answers: Result<Vec<Result<T, ErrorCode>>, EndpointError>,
        take_in: impl Fn(&mut Following, &Partition, Result<T, ErrorCode>, LogView, Ms) -> Todo,
    ) {
        let mut answers = match answers {
            Ok(answers) => answers.into_iter(),
            Err(why) => {
                tracing::debug!(leader = self.leader, "no answer: {why}");
                Vec::new().into_iter()
            }
        };
        let now = self.shared.now();
        for key in keys {
            let answer = answers.next().unwrap_or(Err(ErrorCode::RequestTimedOut));
            let Some(Followed { partition, following }) = self.followed.get_mut(&key) else { continue };
            let todo = match partition.followed_view(following.leader_epoch()) {
                Ok(view) => take_in(following, partition, answer, view, now),
                Err(_not_following) => {
                    self.drop_out(key);
                    continue;
                }
            };
            self.unsettled.insert(key);
            self.act(key, todo, None).await;
        }
    }
}

impl ReplicaManager {
    /// Begins to fetch what other brokers lead, as the metadata names it from here on: call it before any is applied.
    pub fn start_fetching(&self, endpoints: Endpoints, settings: FetcherSettings) {
        let fetchers = Fetchers::new(&self.env, &self.shared, endpoints, settings);
        if self.fetchers.set(fetchers).is_err() {
            tracing::error!("the fetchers have been started before");
        }
    }

    /// Tells partitions that are led here of syncs at a follower: the handling of ReplicaSynced. Partitions that are not here
    /// or are led by others are passed over; whoever leads them is told by the next fetch.
    pub fn on_synced(&self, told: &super::leader_endpoint::ReplicaSynced) {
        if told.end_wait {
            self.follower_waits().end(told.node);
        }
        for synced in &told.partitions {
            let Some(topic) = self.topic_by_id(synced.topic_id) else { continue };
            if let Ok(partition) = topic.partition(synced.partition) {
                partition.on_replica_synced(told.node, told.broker_epoch, synced.leader_epoch, synced.synced);
            }
        }
    }
}

/// Set once the node is ready to fetch.
pub(super) type FetchersSlot = OnceLock<Arc<Fetchers>>;

#[cfg(test)]
#[path = "replication_test.rs"]
mod tests;
