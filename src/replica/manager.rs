//! All partitions of this broker, by topic.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use imbl::Vector;
use parking_lot::{Mutex, RwLock};

use super::fetcher::FetchersSlot;
use super::follower_waits::FollowerWaits;
use super::lease::Lease;
use super::partition::Partition;
use super::roles::SettingsOf;
use super::shared::Shared;
use super::syncer::Syncer;
use crate::env::Env;
use crate::storage::Manager as LogManager;
use crate::types::{
    ErrorCode, FastMap, Ms, NodeId, Offset, PartitionIndex, Rng, TopicId, TopicName, TopicPartition,
};

/// The partitions that this broker holds replicas of.
pub struct ReplicaManager {
    pub(super) node_id: NodeId,
    pub(super) env: Env,
    pub(super) logs: Arc<LogManager>,
    pub(super) shared: Arc<Shared>,
    pub(super) fetchers: FetchersSlot,
    follower_waits: FollowerWaits,
    /// What was written down of high watermarks; read when the first partition with followers is opened.
    pub(super) high_watermarks: OnceLock<BTreeMap<TopicPartition, Offset>>,
    pub(super) settings_of: SettingsOf,
    pub(super) rng: Mutex<Rng>,
    pub(super) topics: RwLock<Topics>,
    /// All that was decided before this broker registered has been applied: partitions that come now are new here.
    pub(super) is_caught_up: AtomicBool,
}

/// Topics by name and by id.
#[derive(Default)]
pub(super) struct Topics {
    pub(super) by_name: FastMap<TopicName, Arc<TopicReplicas>>,
    pub(super) by_id: FastMap<TopicId, Arc<TopicReplicas>>,
}

/// The partitions of one topic. Replaced when the topic changes, by one that shares what has not changed.
pub struct TopicReplicas {
    /// The topic's name.
    pub name: TopicName,
    /// The topic's id.
    pub id: TopicId,
    /// Partitions at their numbers.
    pub(super) partitions: Vector<Slot>,
}

/// What this broker has of a partition.
#[derive(Clone)]
pub(super) enum Slot {
    /// No replica.
    Elsewhere,
    /// A replica whose log could not be opened.
    Offline,
    /// A replica.
    Here(Arc<Partition>),
}

impl TopicReplicas {
    /// The partition with this number. `UNKNOWN_TOPIC_OR_PARTITION` if the topic has none such,
    /// `NOT_LEADER_OR_FOLLOWER` if it is on other brokers, `KAFKA_STORAGE_ERROR` if its log cannot be used.
    pub fn partition(&self, index: PartitionIndex) -> Result<Arc<Partition>, ErrorCode> {
        let slot = usize::try_from(index).ok().and_then(|at| self.partitions.get(at));
        match slot {
            None => Err(ErrorCode::UnknownTopicOrPartition),
            Some(Slot::Elsewhere) => Err(ErrorCode::NotLeaderOrFollower),
            Some(Slot::Offline) => Err(ErrorCode::KafkaStorageError),
            Some(Slot::Here(partition)) => Ok(Arc::clone(partition)),
        }
    }

    /// The partitions on this broker.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.partitions.iter().filter_map(|slot| match slot {
            Slot::Here(partition) => Some(partition),
            Slot::Elsewhere | Slot::Offline => None,
        })
    }
}

impl ReplicaManager {
    /// A manager over the logs of this broker, without partitions until metadata names them.
    pub fn new(
        node_id: NodeId,
        env: &Env,
        logs: Arc<LogManager>,
        settings_of: SettingsOf,
    ) -> Arc<ReplicaManager> {
        let syncer = Syncer::new(env.tasks.clone());
        Arc::new(ReplicaManager {
            node_id,
            env: env.clone(),
            logs,
            shared: Shared::new(node_id, syncer),
            fetchers: FetchersSlot::new(),
            follower_waits: FollowerWaits::default(),
            high_watermarks: OnceLock::new(),
            settings_of,
            rng: Mutex::new(env.seeds.rng()),
            topics: RwLock::default(),
            is_caught_up: AtomicBool::new(false),
        })
    }

    /// How long a follower may lag before it leaves the in-sync replicas: `replica.lag.time.max.ms`.
    pub fn set_replica_lag_ms_max(&self, ms: Ms) {
        self.shared.set_lag_ms_max(ms);
    }

    /// For how long this broker may act as a leader. Unlimited until somebody extends it.
    pub fn lease(&self) -> &Lease {
        &self.shared.lease
    }

    /// Fetches of followers that wait here.
    pub fn follower_waits(&self) -> &FollowerWaits {
        &self.follower_waits
    }

    /// The topic of this name, if this broker knows it.
    pub fn topic(&self, name: &str) -> Option<Arc<TopicReplicas>> {
        self.topics.read().by_name.get(name).cloned()
    }

    /// The topic of this id, if this broker knows it.
    pub fn topic_by_id(&self, id: TopicId) -> Option<Arc<TopicReplicas>> {
        self.topics.read().by_id.get(&id).cloned()
    }

    /// Every topic, in no order.
    pub fn topics(&self) -> Vec<Arc<TopicReplicas>> {
        self.topics.read().by_name.values().cloned().collect()
    }

    /// The partition of this topic and number.
    pub fn partition(&self, topic: &str, index: PartitionIndex) -> Result<Arc<Partition>, ErrorCode> {
        self.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?.partition(index)
    }

    /// The log directories and what is in them.
    pub fn logs(&self) -> &Arc<LogManager> {
        &self.logs
    }
}
