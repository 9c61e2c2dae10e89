//! Three brokers' partitions in one process, on simulated disks, with a controller that only knows in-sync sets.

use std::path::PathBuf;

use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::config::topic::{Durability, TopicConfig};
use crate::env::Seeds;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::replica::alter_partition::{AlterPartition, IsrChange};
use crate::replica::leader::Altered;
use crate::replica::leader_endpoint::{BoundsAnswer, EpochEndAnswer, ReplicaSynced};
use crate::replica::{
    Acks, Append, FetchWaiter, FollowerRead, Isolation, OffsetQuery, PartitionRead, PartitionSettings,
    ProduceWaitSlot, Read, Verification,
};
use crate::schema::metadata::{
    BrokerRegistrationChangeRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    RegisterBrokerRecord, TopicRecord,
};
use crate::sim::clock::SimClock;
use crate::sim::disk::SimDisk;
use crate::storage::validate::AppendOrigin;
use crate::storage::{Manager, ManagerConfig};
use crate::types::{Offset, Rng};
use crate::wire::batch::batches;
use crate::wire::records::BatchBuilder;

const TOPIC: TopicId = TopicId(Uuid::from_u128(77));
const LAG_MS: Ms = 3000;
const DEADLINE: Duration = Duration::from_secs(60);

struct Host {
    manager: Arc<ReplicaManager>,
    tasks: Tasks,
}

/// The brokers that run, their disks, and the cluster's metadata.
struct Cluster {
    disks: BTreeMap<NodeId, SimDisk>,
    settings: PartitionSettings,
    state: Mutex<ClusterState>,
}

struct ClusterState {
    hosts: BTreeMap<NodeId, Host>,
    image: MetadataImage,
    offset: i64,
    rng: Rng,
    /// Followers whose calls do not get through.
    cut_off: Vec<NodeId>,
}

impl Cluster {
    fn new(durability: Durability, min_insync_replicas: usize) -> Arc<Cluster> {
        let settings = PartitionSettings {
            durability,
            min_insync_replicas,
            ..PartitionSettings::from(&TopicConfig::default())
        };
        let state = ClusterState {
            hosts: BTreeMap::new(),
            image: MetadataImage::empty(),
            offset: 0,
            rng: Rng::new(5),
            cut_off: Vec::new(),
        };
        let disks = (1..=3).map(|node| (node, SimDisk::new())).collect();
        Arc::new(Cluster { disks, settings, state: Mutex::new(state) })
    }

    /// A cluster with one partition that all three hold and 1 leads.
    fn with_partition(durability: Durability, min_insync_replicas: usize) -> Arc<Cluster> {
        let cluster = Cluster::new(durability, min_insync_replicas);
        (1..=3).for_each(|node| cluster.start(node));
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id: TOPIC.0,
            replicas: vec![1, 2, 3],
            isr: vec![1, 2, 3],
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            directories: vec![Uuid::from_u128(1000); 3],
            ..PartitionRecord::default()
        };
        cluster.publish(&[TopicRecord { name: "t".into(), topic_id: TOPIC.0 }.into(), partition.into()]);
        cluster
    }

    /// Starts a broker, with what is on its disk.
    fn start(self: &Arc<Self>, node: NodeId) {
        let mut state = self.state.lock();
        let env = Env {
            clock: Arc::new(SimClock::new()),
            disk: Arc::new(self.disks[&node].clone()),
            net: Env::os().net,
            seeds: Seeds::from_seed(state.rng.next_u64()),
            tasks: Tasks::simulated_late(state.rng.split(), 5),
        };
        env.disk.create_dir_all(&PathBuf::from("/d")).unwrap();
        let logs = Manager::open(
            Arc::clone(&env.disk),
            &[PathBuf::from("/d")],
            ManagerConfig::default(),
            env.clock.now(),
        );
        let logs = Arc::new(logs.unwrap());
        let config = Arc::clone(&self.settings.log);
        logs.recover_here(|_| Arc::clone(&config));
        let settings = self.settings.clone();
        let manager = ReplicaManager::new(node, &env, logs, Box::new(move |_, _| settings.clone()));
        manager.set_replica_lag_ms_max(LAG_MS);
        let cluster = Arc::clone(self);
        let endpoints: Endpoints = Box::new(move |leader, _slot| {
            Arc::new(InMemory { cluster: Arc::clone(&cluster), me: node, leader }) as Arc<dyn LeaderEndpoint>
        });
        let fetching = FetcherSettings {
            slots: 1,
            wait_ms_max: 500,
            bytes_min: 1,
            response_bytes_max: 1 << 20,
            partition_bytes_max: 4096,
            backoff_ms: 200,
        };
        manager.start_fetching(endpoints, fetching);
        manager.start_altering(Arc::new(Controller { cluster: Arc::clone(self), me: node }));
        let whole = MetadataDelta::of_snapshot(&MetadataImage::empty(), &state.image);
        manager.apply(&state.image, &whole);
        state.hosts.insert(node, Host { manager, tasks: env.tasks });
        state.offset += 1;
        let record = RegisterBrokerRecord {
            broker_id: node,
            broker_epoch: state.offset,
            fenced: false,
            ..RegisterBrokerRecord::default()
        };
        state.publish(&[record.into()]);
    }

    fn publish(&self, records: &[MetadataRecord]) {
        self.state.lock().publish(records);
    }

    /// Ends a broker's process; with `power`, its disk loses what was not synced. The controller notices.
    async fn crash(&self, node: NodeId, power: bool) {
        let host = self.state.lock().hosts.remove(&node);
        let Some(host) = host else { return };
        host.tasks.kill();
        host.tasks.ended().await;
        drop(host);
        let mut rng = self.state.lock().rng.split();
        match power {
            true => self.disks[&node].crash(&mut rng),
            false => self.disks[&node].kill(),
        }
        let mut state = self.state.lock();
        let fence = BrokerRegistrationChangeRecord {
            broker_id: node,
            broker_epoch: state.image.brokers().get(node).map_or(-1, |b| b.epoch),
            fenced: 1,
            ..BrokerRegistrationChangeRecord::default()
        };
        state.publish(&[fence.into()]);
    }

    /// The controller takes a broker out of the in-sync set and gives leadership to `leader`.
    fn elect(&self, leader: NodeId, isr: &[NodeId]) {
        let change = PartitionChangeRecord {
            partition_id: 0,
            topic_id: TOPIC.0,
            isr: Some(isr.to_vec()),
            leader,
            ..PartitionChangeRecord::default()
        };
        self.publish(&[change.into()]);
    }

    fn isr(&self) -> Vec<NodeId> {
        let mut isr = self.state.lock().image.topics().get("t").unwrap().partition(0).unwrap().isr.to_vec();
        isr.sort_unstable();
        isr
    }

    fn partition(&self, node: NodeId) -> Arc<Partition> {
        self.state.lock().hosts[&node].manager.partition("t", 0).unwrap()
    }

    /// Appends a batch of one record at `node`, and waits for all in-sync replicas.
    async fn produce(&self, node: NodeId, value: &str) -> Result<Offset, ErrorCode> {
        let mut wait = ProduceWaitSlot::default();
        let offset = self.append(node, value, &mut wait)?;
        if let Some(wait) = wait.into_wait() {
            let in_time = tokio::time::timeout(DEADLINE, wait.done()).await.is_ok();
            if let Some((_, error)) = match in_time {
                true => wait.failures().pop(),
                false => Some((0, ErrorCode::RequestTimedOut)),
            } {
                return Err(error);
            }
        }
        Ok(offset)
    }

    fn append(&self, node: NodeId, value: &str, wait: &mut ProduceWaitSlot) -> Result<Offset, ErrorCode> {
        let mut batch = BatchBuilder::new(0);
        batch.append(1_700_000_000_000, None, Some(value.as_bytes()));
        let append = Append {
            acks: Acks::All,
            origin: AppendOrigin::Client,
            now: 1_700_000_000_000,
            index: 0,
            verification: Verification::default(),
        };
        let appended = self.partition(node).append(&batch.finish(), &append, wait);
        appended.map(|appended| appended.first_offset).map_err(|refused| refused.code)
    }

    /// Everything in a broker's log, whoever leads: base offset, epoch and checksum of each batch.
    fn content(&self, node: NodeId) -> Vec<(Offset, LeaderEpoch, Vec<u8>)> {
        let partition = self.partition(node);
        let mut state = partition.lock();
        let end = state.log().log_end_offset();
        let Some(slice) = state.log().read(0, u32::MAX, end, true).unwrap().slice else { return Vec::new() };
        let bytes = slice.read().unwrap();
        let all = batches(&bytes).map(|batch| {
            let batch = batch.unwrap();
            let header = batch.header();
            (header.base_offset(), header.partition_leader_epoch(), batch.bytes()[17..].to_vec())
        });
        all.collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Cluster) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Every running broker's log is the same, and readable to its end.
    async fn until_equal(&self) {
        self.until("equal logs", |cluster| {
            let nodes: Vec<_> = cluster.state.lock().hosts.keys().copied().collect();
            let first = cluster.content(nodes[0]);
            nodes.iter().all(|&node| {
                let end = cluster.partition(node).log_offsets().1;
                cluster.content(node) == first && cluster.partition(node).high_watermark() == end
            })
        })
        .await;
    }

    async fn stop(&self) {
        for node in 1..=3 {
            self.crash(node, false).await;
        }
    }
}

impl ClusterState {
    /// Applies records, here and at every broker that runs.
    fn publish(&mut self, records: &[MetadataRecord]) {
        let mut delta = MetadataDelta::from(&self.image);
        for record in records {
            self.image.apply(record, &mut delta).unwrap();
        }
        for host in self.hosts.values() {
            host.manager.apply(&self.image, &delta);
        }
    }
}

/// AlterPartition, as far as these tests go.
struct Controller {
    cluster: Arc<Cluster>,
    me: NodeId,
}

impl Controller {
    fn alter_one(&self, change: &IsrChange) -> Result<Altered, ErrorCode> {
        let mut state = self.cluster.state.lock();
        let topic = state.image.topics().get_by_id(change.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = topic.partition(change.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?.clone();
        let wanted = &change.proposal;
        if wanted.leader_epoch != partition.leader_epoch || partition.leader != self.me {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if wanted.partition_epoch != partition.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let brokers = state.image.brokers();
        let eligible = |(node, epoch): &(NodeId, i64)| {
            brokers.get(*node).is_some_and(|b| !b.fenced && (*epoch == -1 || b.epoch == *epoch))
        };
        if !wanted.isr.iter().all(eligible) {
            return Err(ErrorCode::IneligibleReplica);
        }
        let isr: Vec<NodeId> = wanted.isr.iter().map(|(node, _)| *node).collect();
        let record = PartitionChangeRecord {
            partition_id: change.partition,
            topic_id: change.topic_id.0,
            isr: Some(isr.clone()),
            ..PartitionChangeRecord::default()
        };
        state.publish(&[record.into()]);
        let (leader_epoch, partition_epoch) = (partition.leader_epoch, partition.partition_epoch + 1);
        Ok(Altered { leader_epoch, partition_epoch, isr })
    }
}

impl AlterPartition for Controller {
    fn alter<'a>(
        &'a self,
        changes: &'a [IsrChange],
    ) -> crate::env::net::BoxFuture<'a, Result<Vec<Result<Altered, ErrorCode>>, ErrorCode>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            Ok(changes.iter().map(|change| self.alter_one(change)).collect())
        })
    }
}

/// A leader in the same process. It knows no sessions, so everything is asked for each time.
struct InMemory {
    cluster: Arc<Cluster>,
    me: NodeId,
    leader: NodeId,
}

impl InMemory {
    /// The leader's partitions and the follower's broker epoch, if a call gets through.
    async fn called(&self) -> Result<(Arc<ReplicaManager>, i64), EndpointError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let state = self.cluster.state.lock();
        if state.cut_off.contains(&self.me) {
            return Err(EndpointError("cut off".to_owned()));
        }
        let host = state.hosts.get(&self.leader).ok_or_else(|| EndpointError("refused".to_owned()))?;
        let epoch = state.image.brokers().get(self.me).map_or(-1, |broker| broker.epoch);
        Ok((Arc::clone(&host.manager), epoch))
    }

    fn read(
        &self,
        manager: &ReplicaManager,
        from: &FetchedFrom,
        broker_epoch: i64,
        waiter: &Arc<FetchWaiter>,
        is_first: bool,
    ) -> FetchedPartition {
        let read = match manager.topic_by_id(from.topic_id).map(|topic| topic.partition(from.partition)) {
            None => PartitionRead::failed(ErrorCode::UnknownTopicId),
            Some(Err(error)) => PartitionRead::failed(error),
            Some(Ok(partition)) => partition.read(&Read {
                offset: from.offset,
                bytes_max: from.bytes_max,
                whole_batch: true,
                isolation: Isolation::ReadUncommitted,
                current_leader_epoch: from.leader_epoch,
                last_fetched_epoch: from.last_fetched_epoch,
                waiter: Some(waiter),
                from_any_replica: false,
                rack: None,
                follower: Some(FollowerRead {
                    node: self.me,
                    broker_epoch,
                    log_start: from.log_start,
                    synced: Some(from.synced),
                    is_first,
                }),
            }),
        };
        FetchedPartition {
            topic_id: from.topic_id,
            partition: from.partition,
            error: read.error,
            high_watermark: read.high_watermark,
            log_start: read.log_start_offset,
            diverging: read.diverging_epoch,
            records: read.records.map_or_else(Vec::new, |slice| slice.read().unwrap()).into(),
        }
    }
}

type Answering<'a, T> = crate::env::net::BoxFuture<'a, Result<T, EndpointError>>;

impl LeaderEndpoint for InMemory {
    fn tells_divergence(&self) -> bool {
        // Both ways are trodden.
        self.me != 3
    }

    fn fetch<'a>(&'a self, request: &'a FollowerFetchRequest) -> Answering<'a, FollowerFetchAnswer> {
        Box::pin(async move {
            let (manager, broker_epoch) = self.called().await?;
            let waiter = FetchWaiter::new();
            let deadline = Instant::now() + Duration::from_millis(request.wait_ms_max as u64);
            let mut is_first = true;
            manager.follower_waits().add(self.me, &waiter);
            let partitions = loop {
                let mut woken = Box::pin(waiter.woken());
                woken.as_mut().enable();
                waiter.arm(1);
                let read = |from| self.read(&manager, from, broker_epoch, &waiter, is_first);
                let found: Vec<_> = request.partitions.iter().map(read).collect();
                let news =
                    |p: &FetchedPartition| p.error.is_err() || p.diverging.is_some() || !p.records.is_empty();
                if found.iter().any(news)
                    || tokio::time::timeout_at(deadline, woken).await.is_err()
                    || waiter.is_over()
                {
                    break found;
                }
                is_first = false;
            };
            manager.follower_waits().remove(self.me, &waiter);
            self.called().await?;
            Ok(FollowerFetchAnswer { error: ErrorCode::None, session_id: 0, partitions })
        })
    }

    fn epoch_ends<'a>(&'a self, asked: &'a [(Asked, LeaderEpoch)]) -> Answering<'a, Vec<EpochEndAnswer>> {
        Box::pin(async move {
            let (manager, _) = self.called().await?;
            let end = |(asked, epoch): &(Asked, LeaderEpoch)| {
                manager.partition(&asked.topic, asked.partition)?.end_of_epoch(*epoch, asked.leader_epoch)
            };
            Ok(asked.iter().map(end).collect())
        })
    }

    fn bounds<'a>(&'a self, asked: &'a [Asked]) -> Answering<'a, Vec<BoundsAnswer>> {
        Box::pin(async move {
            let (manager, _) = self.called().await?;
            let bounds = |asked: &Asked| Ok(manager.partition(&asked.topic, asked.partition)?.log_offsets());
            Ok(asked.iter().map(bounds).collect())
        })
    }

    fn synced<'a>(&'a self, partitions: &'a [SyncedPartition]) -> Answering<'a, ()> {
        Box::pin(async move {
            let (manager, broker_epoch) = self.called().await?;
            manager.on_synced(&ReplicaSynced {
                node: self.me,
                broker_epoch,
                partitions: partitions.to_vec(),
                end_wait: false,
            });
            Ok(())
        })
    }

    fn end_wait(&self) -> Answering<'_, ()> {
        Box::pin(async move {
            self.called().await?.0.follower_waits().end(self.me);
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_is_acknowledged_once_every_in_sync_replica_has_it() {
    for durability in [Durability::Fsync, Durability::Replicated] {
        let cluster = Cluster::with_partition(durability, 2);
        for i in 0..20 {
            let began = Instant::now();
            assert_eq!(cluster.produce(1, &format!("value {i}")).await, Ok(i));
            assert!(began.elapsed() < Duration::from_millis(400), "nothing waits for a fetch to time out");
            for node in 1..=3 {
                let partition = cluster.partition(node);
                let mut state = partition.lock();
                let safe = match durability {
                    Durability::Fsync => state.log().synced_end_offset(),
                    Durability::Replicated => state.log().log_end_offset(),
                };
                assert!(safe > i, "{node} has up to {safe} of {i}");
            }
        }
        cluster.until_equal().await;
        assert_eq!(cluster.isr(), [1, 2, 3]);
        cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_is_gone_leaves_and_comes_back() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    cluster.produce(1, "a").await.unwrap();
    // Nothing but its silence is known of it.
    cluster.state.lock().cut_off.push(3);
    let began = Instant::now();
    cluster.produce(1, "b").await.unwrap();
    let took = began.elapsed().as_millis() as Ms;
    assert!((LAG_MS / 2..LAG_MS * 3).contains(&took), "it is waited for as long as it may lag: {took} ms");
    cluster.until("a smaller in-sync set", |cluster| cluster.isr() == [1, 2]).await;
    let began = Instant::now();
    cluster.produce(1, "c").await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(400), "no more waiting for who is out");
    cluster.state.lock().cut_off.clear();
    cluster.until("the whole in-sync set", |cluster| cluster.isr() == [1, 2, 3]).await;
    cluster.until_equal().await;
    // A process that ends and comes back, too.
    cluster.crash(2, false).await;
    cluster
        .until("a smaller in-sync set", |cluster| {
            cluster.append(1, "x", &mut ProduceWaitSlot::default()).unwrap();
            cluster.isr() == [1, 3]
        })
        .await;
    cluster.start(2);
    cluster.until("the whole in-sync set", |cluster| cluster.isr() == [1, 2, 3]).await;
    cluster.until_equal().await;
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn too_few_in_sync_replicas_refuse_appends() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    cluster.produce(1, "a").await.unwrap();
    cluster.state.lock().cut_off.extend([2, 3]);
    let waiting = cluster.produce(1, "b").await;
    assert_eq!(waiting, Err(ErrorCode::RequestTimedOut), "KIP-966: it is not readable either");
    assert_eq!(cluster.isr(), [1]);
    assert_eq!(cluster.partition(1).high_watermark(), 1);
    assert_eq!(cluster.produce(1, "c").await, Err(ErrorCode::NotEnoughReplicas));
    cluster.state.lock().cut_off.clear();
    cluster.until("the whole in-sync set", |cluster| cluster.isr() == [1, 2, 3]).await;
    assert_eq!(cluster.produce(1, "d").await, Ok(2));
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_is_cut_off_when_another_leads() {
    let cluster = Cluster::with_partition(Durability::Fsync, 1);
    cluster.produce(1, "a").await.unwrap();
    cluster.until_equal().await;
    // 1 goes on alone for a moment, as a leader does that has lost touch, and nobody hears of it.
    cluster.state.lock().cut_off.extend([2, 3]);
    let mut waits = ProduceWaitSlot::default();
    cluster.append(1, "lost", &mut waits).unwrap();
    cluster.append(1, "lost too", &mut waits).unwrap();
    cluster.crash(1, false).await;
    cluster.elect(2, &[2, 3]);
    cluster.state.lock().cut_off.clear();
    assert_eq!(cluster.produce(2, "b").await, Ok(1));
    // And once more: epochs are interleaved.
    cluster.crash(2, true).await;
    cluster.elect(3, &[3]);
    assert_eq!(cluster.produce(3, "c").await, Ok(2));
    cluster.start(1);
    cluster.start(2);
    cluster.until("the whole in-sync set", |cluster| cluster.isr() == [1, 2, 3]).await;
    cluster.until_equal().await;
    let epochs: Vec<_> = cluster.content(1).into_iter().map(|(offset, epoch, _)| (offset, epoch)).collect();
    assert_eq!(epochs, [(0, 0), (1, 1), (2, 2)]);
    // The waits of a leader that is none any more end.
    cluster.elect(1, &[1, 2, 3]);
    cluster.state.lock().cut_off.extend([2, 3]);
    let mut wait = ProduceWaitSlot::default();
    cluster.append(1, "d", &mut wait).unwrap();
    cluster.elect(2, &[1, 2, 3]);
    let wait = wait.into_wait().expect("acks=all waits for followers");
    tokio::time::timeout(DEADLINE, wait.done()).await.unwrap();
    assert_eq!(wait.failures(), [(0, ErrorCode::NotLeaderOrFollower)]);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_acknowledged_is_lost_when_power_fails_everywhere() {
    for seed in 0..12 {
        let cluster = Cluster::with_partition(Durability::Fsync, 2);
        cluster.state.lock().rng = Rng::new(seed);
        let mut acknowledged = Vec::new();
        let mut leader = 1;
        for round in 0..4 {
            for i in 0..1 + seed {
                let value = format!("{round} {i}");
                let offset = cluster.produce(leader, &value).await.unwrap();
                acknowledged.push((offset, value));
            }
            // More is on its way when the lights go out.
            for _ in 0..3 {
                let _unacknowledged = cluster.append(leader, "on its way", &mut ProduceWaitSlot::default());
                tokio::time::sleep(Duration::from_millis(seed % 4)).await;
            }
            let isr = cluster.isr();
            for node in 1..=3 {
                cluster.crash(node, true).await;
            }
            // Any of those in sync may come first.
            leader = isr[(seed as usize + round) % isr.len()];
            cluster.start(leader);
            cluster.elect(leader, &isr);
            (1..=3).filter(|&node| node != leader).for_each(|node| cluster.start(node));
            cluster.until("the whole in-sync set", |cluster| cluster.isr() == [1, 2, 3]).await;
            cluster.until_equal().await;
            let content = cluster.content(leader);
            for (offset, value) in &acknowledged {
                let found = content.iter().find(|(at, ..)| at == offset);
                let bytes = &found.unwrap_or_else(|| panic!("seed {seed}: offset {offset} is lost")).2;
                let holds = bytes.windows(value.len()).any(|part| part == value.as_bytes());
                assert!(holds, "seed {seed}: offset {offset} holds something else");
            }
        }
        cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn followers_start_over_where_the_leader_has_deleted_everything_they_have() {
    let cluster = Cluster::with_partition(Durability::Fsync, 1);
    for i in 0..5 {
        cluster.produce(1, &format!("{i}")).await.unwrap();
    }
    cluster.until_equal().await;
    // A follower that keeps up takes the log start over.
    cluster.partition(1).delete_records(2).unwrap();
    cluster.until("the log start", |cluster| cluster.partition(2).log_offsets().0 == 2).await;
    cluster.crash(3, false).await;
    cluster.elect(1, &[1, 2]);
    for i in 5..9 {
        cluster.produce(1, &format!("{i}")).await.unwrap();
    }
    cluster.partition(1).delete_records(8).unwrap();
    cluster.start(3);
    cluster.until("the whole in-sync set", |cluster| cluster.isr() == [1, 2, 3]).await;
    cluster.until("3 to have the rest", |cluster| cluster.partition(3).log_offsets() == (8, 9)).await;
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_does_not_tell_an_end_that_readers_have_seen_behind() {
    let cluster = Cluster::with_partition(Durability::Fsync, 1);
    let latest = |node| {
        let query = OffsetQuery::Latest(Isolation::ReadUncommitted);
        cluster.partition(node).find_offset(query, -1).map(|found| found.map(|at| at.offset))
    };
    for i in 0..3 {
        cluster.produce(1, &format!("{i}")).await.unwrap();
    }
    assert_eq!(latest(1), Ok(Some(3)));
    cluster.state.lock().cut_off.extend([1, 3]);
    // 2 has everything, and may not know that all of it was acknowledged.
    let known = cluster.partition(2).high_watermark();
    cluster.elect(2, &[1, 2, 3]);
    let expected = if known < 3 { Err(ErrorCode::OffsetNotAvailable) } else { Ok(Some(3)) };
    assert_eq!(latest(2), expected);
    assert_eq!(known, 2, "else this shows nothing");
    cluster.state.lock().cut_off.clear();
    cluster.until("the high watermark", |cluster| cluster.partition(2).high_watermark() == 3).await;
    assert_eq!(latest(2), Ok(Some(3)));
    let end = cluster.partition(2).find_offset(OffsetQuery::LogEnd, -1);
    assert_eq!(end.map(|found| found.map(|at| at.offset)), Ok(Some(3)));
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_no_replica_or_believes_in_another_epoch_is_refused() {
    let cluster = Cluster::with_partition(Durability::Fsync, 1);
    cluster.produce(1, "a").await.unwrap();
    let read = |node: NodeId, current_leader_epoch: LeaderEpoch, broker_epoch: i64| {
        let follower = FollowerRead { node, broker_epoch, log_start: 0, synced: None, is_first: true };
        cluster.partition(1).read(&Read {
            offset: 1,
            bytes_max: 1000,
            whole_batch: true,
            isolation: Isolation::ReadUncommitted,
            current_leader_epoch,
            last_fetched_epoch: 0,
            waiter: None,
            from_any_replica: false,
            rack: None,
            follower: Some(follower),
        })
    };
    assert_eq!(read(9, 0, -1).error, ErrorCode::UnknownLeaderEpoch);
    assert_eq!(read(9, -1, -1).error, ErrorCode::NotLeaderOrFollower);
    assert_eq!(read(2, 7, -1).error, ErrorCode::UnknownLeaderEpoch);
    assert_eq!(
        read(2, 0, 0).error,
        ErrorCode::NotLeaderOrFollower,
        "an earlier life of the broker (KIP-903)"
    );
    assert_eq!(read(2, 0, -1).error, ErrorCode::None);
    cluster.elect(1, &[1, 2, 3]);
    assert_eq!(read(2, 0, -1).error, ErrorCode::FencedLeaderEpoch);
    cluster.elect(2, &[1, 2, 3]);
    assert_eq!(read(3, 0, -1).error, ErrorCode::NotLeaderOrFollower);
    cluster.elect(1, &[1, 2, 3]);
    assert_eq!(read(3, 0, -1).error, ErrorCode::FencedLeaderEpoch);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_new_does_not_wait_for_the_fetch_under_way() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    cluster.produce(1, "a").await.unwrap();
    cluster.until_equal().await;
    // The followers wait for records of what they follow already.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let partition = PartitionRecord {
        partition_id: 1,
        topic_id: TOPIC.0,
        replicas: vec![1, 2, 3],
        isr: vec![1, 2, 3],
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![Uuid::from_u128(1000); 3],
        ..PartitionRecord::default()
    };
    cluster.publish(&[partition.into()]);
    let began = Instant::now();
    let new = cluster.state.lock().hosts[&1].manager.partition("t", 1).unwrap();
    let mut wait = ProduceWaitSlot::default();
    let mut batch = BatchBuilder::new(0);
    batch.append(1_700_000_000_000, None, Some(b"first"));
    let append = Append {
        acks: Acks::All,
        origin: AppendOrigin::Client,
        now: 1_700_000_000_000,
        index: 0,
        verification: Verification::default(),
    };
    new.append(&batch.finish(), &append, &mut wait).unwrap();
    let wait = wait.into_wait().expect("there are followers to wait for");
    tokio::time::timeout(DEADLINE, wait.done()).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(200), "it took {:?}", began.elapsed());
    cluster.stop().await;
}

/// A read as consumers make it.
fn consumer_read(offset: Offset, from_any_replica: bool) -> Read<'static> {
    Read {
        offset,
        bytes_max: 1 << 20,
        whole_batch: true,
        isolation: Isolation::ReadUncommitted,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        waiter: None,
        follower: None,
        from_any_replica,
        rack: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_stopped_for_too_long_does_nothing_as_a_leader() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    let manager = Arc::clone(&cluster.state.lock().hosts[&1].manager);
    let lease = manager.lease();
    lease.extend(Instant::now() + Duration::from_secs(2));
    assert_eq!(cluster.produce(1, "a").await, Ok(0));
    assert_eq!(cluster.partition(1).read(&consumer_read(0, true)).error, ErrorCode::None);
    let mut wait = ProduceWaitSlot::default();
    cluster.append(1, "appended in time", &mut wait).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(cluster.produce(1, "b").await, Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(cluster.partition(1).read(&consumer_read(0, true)).error, ErrorCode::NotLeaderOrFollower);
    assert_eq!(cluster.partition(1).delete_records(1), Err(ErrorCode::NotLeaderOrFollower));
    // Followers go on, and what coordinators wait for comes.
    cluster.until("the followers", |cluster| cluster.partition(2).log_offsets().1 == 2).await;
    cluster.until("the high watermark", |cluster| cluster.partition(1).high_watermark() == 2).await;
    lease.extend(Instant::now() + Duration::from_secs(2));
    assert_eq!(cluster.produce(1, "c").await, Ok(2));
    assert_eq!(cluster.partition(1).read(&consumer_read(0, false)).error, ErrorCode::None);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn deleting_records_waits_for_the_followers_that_run() {
    let cluster = Cluster::with_partition(Durability::Fsync, 1);
    for i in 0..5 {
        cluster.produce(1, &format!("{i}")).await.unwrap();
    }
    cluster.until_equal().await;
    let partition = cluster.partition(1);
    let deleted = partition.delete_records(2).unwrap();
    assert_eq!((deleted.to, deleted.low_watermark), (2, 0), "the followers have everything still");
    let low_watermark = tokio::time::timeout(DEADLINE, partition.deleted_everywhere(2)).await;
    assert_eq!(low_watermark.unwrap(), Ok(2));
    for node in 1..=3 {
        assert_eq!(cluster.partition(node).log_offsets().0, 2);
    }
    // One that cannot be reached is waited for until it counts as gone.
    cluster.state.lock().cut_off.push(3);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let deleted = partition.delete_records(-1).unwrap();
    assert_eq!(deleted.to, 5);
    let waiting = tokio::time::timeout(Duration::from_secs(2), partition.deleted_everywhere(5)).await;
    assert!(waiting.is_err(), "3 runs, as far as is known");
    cluster.crash(3, false).await;
    let low_watermark = tokio::time::timeout(DEADLINE, partition.deleted_everywhere(5)).await;
    assert_eq!(low_watermark.unwrap(), Ok(5));
    assert_eq!(partition.delete_records(6), Err(ErrorCode::OffsetOutOfRange));
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn consumers_may_read_from_followers_what_the_followers_know_to_be_safe() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    cluster.produce(1, "a").await.unwrap();
    cluster.until_equal().await;
    let follower = cluster.partition(2);
    assert_eq!(follower.read(&consumer_read(0, false)).error, ErrorCode::NotLeaderOrFollower);
    let found = follower.read(&consumer_read(0, true));
    assert_eq!((found.error, found.high_watermark), (ErrorCode::None, 1));
    assert!(found.records_len() > 0);
    let believes = |epoch| Read { current_leader_epoch: epoch, ..consumer_read(0, true) };
    assert_eq!(follower.read(&believes(0)).error, ErrorCode::None);
    assert_eq!(follower.read(&believes(1)).error, ErrorCode::UnknownLeaderEpoch);
    // Who waits there is woken when the follower hears that more is safe.
    let waiter = FetchWaiter::new();
    let mut woken = Box::pin(waiter.woken());
    woken.as_mut().enable();
    waiter.arm(1);
    let found = follower.read(&Read { waiter: Some(&waiter), ..consumer_read(1, true) });
    assert_eq!((found.error, found.records_len()), (ErrorCode::None, 0));
    cluster.produce(1, "b").await.unwrap();
    tokio::time::timeout(DEADLINE, woken).await.unwrap();
    assert!(follower.read(&consumer_read(1, true)).records_len() > 0);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn fewer_in_sync_replicas_are_enough_as_soon_as_the_topic_says_so() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    cluster.produce(1, "a").await.unwrap();
    cluster.state.lock().cut_off.extend([2, 3]);
    let mut wait = ProduceWaitSlot::default();
    cluster.append(1, "b", &mut wait).unwrap();
    cluster.until("a smaller in-sync set", |cluster| cluster.isr() == [1]).await;
    assert_eq!(cluster.produce(1, "c").await, Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(cluster.partition(1).high_watermark(), 1);
    let settings = PartitionSettings { min_insync_replicas: 1, ..cluster.settings.clone() };
    cluster.partition(1).set_settings(settings);
    let wait = wait.into_wait().expect("it waited for the followers");
    tokio::time::timeout(DEADLINE, wait.done()).await.unwrap();
    assert_eq!(wait.failures(), []);
    assert_eq!(cluster.produce(1, "c").await, Ok(2));
    cluster.stop().await;
}

/// A reassignment takes the partition away from 2, which deletes its log, and gives it back, which makes a new one.
#[tokio::test(start_paused = true)]
async fn a_replica_that_leaves_deletes_its_log_and_may_come_back() {
    let cluster = Cluster::with_partition(Durability::Fsync, 1);
    for value in ["a", "b"] {
        cluster.produce(1, value).await.unwrap();
    }
    cluster.until_equal().await;
    let has_log = |cluster: &Cluster| {
        let disk: &dyn crate::env::Disk = &cluster.disks[&2];
        disk.list(&PathBuf::from("/d")).unwrap().iter().any(|entry| entry.name == "t-0")
    };
    assert!(has_log(&cluster));
    let change = |replicas: &[NodeId], isr: Option<&[NodeId]>| PartitionChangeRecord {
        partition_id: 0,
        topic_id: TOPIC.0,
        replicas: Some(replicas.to_vec()),
        isr: isr.map(<[NodeId]>::to_vec),
        leader: 1,
        ..PartitionChangeRecord::default()
    };
    let old = cluster.partition(2);
    cluster.publish(&[change(&[1, 3], Some(&[1, 3])).into()]);
    assert!(!has_log(&cluster), "its name is free at once");
    let manager = Arc::clone(&cluster.state.lock().hosts[&2].manager);
    assert_eq!(manager.partition("t", 0).err(), Some(ErrorCode::NotLeaderOrFollower));
    assert!(manager.logs().found().is_empty());
    cluster.produce(1, "c").await.unwrap();

    cluster.publish(&[change(&[1, 3, 2], None).into()]);
    assert!(!Arc::ptr_eq(&old, &cluster.partition(2)));
    cluster.until_equal().await;
    cluster.until("2 is in sync", |cluster| cluster.isr() == [1, 2, 3]).await;
    assert_eq!(cluster.content(2).len(), 3);
    drop((old, manager));
    cluster.stop().await;
}

/// What a topic's other partitions are is not looked at when one of them changes.
#[tokio::test(start_paused = true)]
async fn a_change_of_one_partition_leaves_the_others_as_they_are() {
    let cluster = Cluster::with_partition(Durability::Fsync, 1);
    let partition = |index: i32, replicas: &[NodeId]| {
        MetadataRecord::from(PartitionRecord {
            partition_id: index,
            topic_id: TOPIC.0,
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            leader: replicas[0],
            directories: vec![Uuid::from_u128(1000); replicas.len()],
            ..PartitionRecord::default()
        })
    };
    // Out of order, as a log may tell them.
    cluster.publish(&[partition(2, &[3, 1])]);
    cluster.publish(&[partition(1, &[2])]);
    let of = |node: NodeId| {
        let manager = Arc::clone(&cluster.state.lock().hosts[&node].manager);
        move |index| manager.partition("t", index)
    };
    let (one, three) = (of(1), of(3));
    assert_eq!(one(1).err(), Some(ErrorCode::NotLeaderOrFollower));
    assert_eq!(one(3).err(), Some(ErrorCode::UnknownTopicOrPartition));
    assert!(one(2).unwrap().isr().is_none() && three(2).unwrap().isr().is_some());
    let before: Vec<_> = [0, 2].map(|index| one(index).unwrap()).into();
    cluster.elect(2, &[1, 2, 3]);
    let after: Vec<_> = [0, 2].map(|index| one(index).unwrap()).into();
    assert!(before.iter().zip(&after).all(|(before, after)| Arc::ptr_eq(before, after)));
    assert!(after[0].isr().is_none(), "2 leads now");
    drop((before, after, one, three));
    cluster.stop().await;
}

#[path = "transactions_test.rs"]
mod transactions;
