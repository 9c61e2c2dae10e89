//! Topics and partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, Vector};
use uuid::Uuid;

use crate::types::{LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicName};

/// "No broker" where a leader would stand.
pub const NO_LEADER: NodeId = -1;

/// Where a replica lies, when that is not a directory's id (KIP-858).
pub mod directory {
    use uuid::Uuid;

    /// Not yet chosen by the broker, or the broker has one directory.
    pub const UNASSIGNED: Uuid = Uuid::nil();
    /// In a directory that failed.
    pub const LOST: Uuid = Uuid::from_u128(1);
    /// Written before directories had ids.
    pub const MIGRATING: Uuid = Uuid::from_u128(2);
}

/// Every topic, by name and by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topics {
    by_name: OrdMap<TopicName, Arc<Topic>>,
    by_id: OrdMap<TopicId, TopicName>,
    /// Names with '.' or '_' under their name in metrics, where both become '_'.
    by_metric_name: OrdMap<TopicName, TopicName>,
    partitions: usize,
}

/// One topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// Its id, never nil and never used again.
    pub id: TopicId,
    /// Its partitions, at their numbers.
    pub partitions: Vector<Arc<Partition>>,
    /// Partitions that a log told out of order, until those before them have come.
    #[allow(clippy::box_collection)] // Topics are many, and hardly one has any.
    early: Option<Box<BTreeMap<PartitionIndex, Arc<Partition>>>>,
}

/// One partition: who holds it and who leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Brokers that hold a replica, the preferred leader first.
    pub replicas: Box<[NodeId]>,
    /// In-sync replicas.
    pub isr: Box<[NodeId]>,
    /// Replicas that a reassignment will take away.
    pub removing: Box<[NodeId]>,
    /// Replicas that a reassignment adds.
    pub adding: Box<[NodeId]>,
    /// Eligible leader replicas (KIP-966).
    pub elr: Box<[NodeId]>,
    /// The last eligible leader replicas known (KIP-966).
    pub last_known_elr: Box<[NodeId]>,
    /// The log directory of each replica, in the order of `replicas`; see [`directory`].
    pub directories: Box<[Uuid]>,
    /// The leader, or [`NO_LEADER`].
    pub leader: NodeId,
    /// Rises with each change of leader.
    pub leader_epoch: LeaderEpoch,
    /// Rises with each change of anything.
    pub partition_epoch: i32,
    /// True while an unclean leader has not yet recovered (KIP-704).
    pub recovering: bool,
}

impl Partition {
    /// The directory of the replica on `broker`; `None` if it has none here.
    pub fn directory_of(&self, broker: NodeId) -> Option<Uuid> {
        let at = self.replicas.iter().position(|&r| r == broker)?;
        self.directories.get(at).copied()
    }

    /// True if a replica is on `broker`.
    pub fn is_on(&self, broker: NodeId) -> bool {
        self.replicas.contains(&broker)
    }

    /// The replica that should lead when all is well.
    pub fn preferred_leader(&self) -> NodeId {
        self.replicas.first().copied().unwrap_or(NO_LEADER)
    }

    /// True while replicas are being added or removed.
    pub fn is_reassigning(&self) -> bool {
        !self.removing.is_empty() || !self.adding.is_empty()
    }
}

impl Topic {
    /// The partition with this number.
    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// Partitions with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (PartitionIndex, &Arc<Partition>)> {
        (0..).zip(self.partitions.iter())
    }

    fn early_len(&self) -> usize {
        self.early.as_ref().map_or(0, |e| e.len())
    }
}

impl Topics {
    /// The topic with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// The topic with this id.
    pub fn get_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.get(self.by_id.get(&id)?)
    }

    /// A partition by its topic's name.
    pub fn partition(&self, topic: &str, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.get(topic)?.partition(index)
    }

    /// An existing topic whose name differs from `name` at most in '.' and '_', which metrics cannot tell apart; only
    /// among names that have one of them.
    pub fn colliding(&self, name: &str) -> Option<&TopicName> {
        self.by_metric_name.get(&*metric_name(name)?)
    }

    /// All topics in name order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// Topics in name order whose name is `from` or comes after it.
    pub fn iter_from(&self, from: &str) -> impl Iterator<Item = &Arc<Topic>> {
        let from: TopicName = from.into();
        self.by_name.range(from..).map(|(_, topic)| topic)
    }

    /// Number of topics.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True without topics.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Number of partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partitions
    }

    /// Adds an empty topic. False, and nothing done, if the name or the id is taken.
    pub(super) fn insert(&mut self, name: TopicName, id: TopicId) -> bool {
        if self.by_name.contains_key(&name) || self.by_id.contains_key(&id) {
            return false;
        }
        self.by_id.insert(id, name.clone());
        if let Some(metric_name) = metric_name(&name) {
            self.by_metric_name.insert(metric_name.into(), name.clone());
        }
        let topic = Topic { name: name.clone(), id, partitions: Vector::new(), early: None };
        self.by_name.insert(name, Arc::new(topic));
        true
    }

    /// Takes a topic out.
    pub(super) fn remove(&mut self, id: TopicId) -> Option<Arc<Topic>> {
        let name = self.by_id.remove(&id)?;
        let topic = self.by_name.remove(&name)?;
        if let Some(metric_name) = metric_name(&name)
            && self.by_metric_name.get(&*metric_name) == Some(&name)
        {
            self.by_metric_name.remove(&*metric_name);
        }
        self.partitions -= topic.partitions.len() + topic.early_len();
        Some(topic)
    }

    /// Sets a partition, new or known. False if there is no such topic.
    pub(super) fn put_partition(&mut self, id: TopicId, index: PartitionIndex, partition: Partition) -> bool {
        let Some(name) = self.by_id.get(&id) else { return false };
        let Some(topic) = self.by_name.get_mut(name) else { return false };
        let topic = Arc::make_mut(topic);
        let Ok(at) = usize::try_from(index) else { return false };
        let partition = Arc::new(partition);
        match at.cmp(&topic.partitions.len()) {
            std::cmp::Ordering::Less => {
                topic.partitions.set(at, partition);
                return true;
            }
            std::cmp::Ordering::Equal => {
                topic.partitions.push_back(partition);
                self.partitions += 1;
                let Some(early) = topic.early.as_mut() else { return true };
                while let Some(next) = early.remove(&(topic.partitions.len() as PartitionIndex)) {
                    topic.partitions.push_back(next);
                }
                if early.is_empty() {
                    topic.early = None;
                }
            }
            std::cmp::Ordering::Greater => {
                if topic.early.get_or_insert_default().insert(index, partition).is_none() {
                    self.partitions += 1;
                }
            }
        }
        true
    }

    /// A partition by its topic's id, also one that came early.
    pub(super) fn any_partition(&self, id: TopicId, index: PartitionIndex) -> Option<&Arc<Partition>> {
        let topic = self.get_by_id(id)?;
        topic.partition(index).or_else(|| topic.early.as_ref()?.get(&index))
    }
}

/// The name under which metrics know a topic; `None` if it is the name itself and has no '_'.
fn metric_name(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}
