//! What `__consumer_offsets` says: groups as last written, and committed offsets. Changed by replay only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::classic::MemberId;
use super::consumer::{ConsumerGroup, ConsumerRecord};
use super::share::{ShareGroup, ShareGroupRecord};
use crate::types::{LeaderEpoch, Ms, Offset, PartitionIndex, ProducerId, TopicId, TopicName};

/// Name of a group; shared, since it is kept in many places.
pub type GroupId = Arc<str>;

/// The hard state of a shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hard {
    /// Every group there is, of any protocol. A group whose offsets are kept has an entry here.
    pub groups: BTreeMap<GroupId, Group>,
    /// Offsets committed for good.
    pub offsets: Offsets,
    /// Offsets of transactions that have not ended, by their producer.
    pub pending: BTreeMap<ProducerId, Offsets>,
}

/// A group, as the topic has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Group {
    /// Speaks JoinGroup and SyncGroup, or commits offsets only.
    Classic(ClassicMetadata),
    /// Speaks the protocol of KIP-848, perhaps with members that speak the classic one.
    Consumer(Box<ConsumerGroup>),
    /// Speaks the protocol of KIP-932.
    Share(Box<ShareGroup>),
    /// Of a protocol that this version does not serve.
    Foreign(Foreign),
}

/// A classic group's last record (`GroupMetadataValue`). The default is a group that only keeps offsets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassicMetadata {
    /// What the members' protocols are about, such as `consumer`; none for a group that only keeps offsets.
    pub protocol_type: Option<Arc<str>>,
    /// Number of the generation, 0 and up.
    pub generation: i32,
    /// The protocol (for consumers, the assignor) that the generation chose.
    pub protocol: Option<Arc<str>>,
    /// The member that assigns.
    pub leader: Option<MemberId>,
    /// When the group came into its state.
    pub state_timestamp: Option<Ms>,
    /// The generation's members.
    pub members: Vec<MemberMetadata>,
}

/// A member of a classic group, as the topic has it.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberMetadata {
    /// Its id, which the coordinator made.
    pub id: MemberId,
    /// Its name across restarts, if it is a static member (KIP-345).
    pub instance_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where it was, as `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// How long it may stay silent.
    pub session_timeout_ms: i32,
    /// Its metadata for the chosen protocol.
    pub subscription: Bytes,
    /// What the leader gave it.
    pub assignment: Bytes,
}

/// Which protocol a foreign group speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKind {
    /// KIP-1071.
    Streams,
}

impl ForeignKind {
    /// Kafka's name for the group's type, as ListGroups says it. The protocol type has the same name.
    pub fn name(self) -> &'static str {
        match self {
            ForeignKind::Streams => "streams",
        }
    }
}

/// A group that this version keeps but does not serve.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// Its protocol.
    pub kind: ForeignKind,
    /// Who is in it, by the members' records.
    pub members: BTreeSet<MemberId>,
    /// Keys of all its records, as bytes: what must be written as tombstones to forget the group.
    pub keys: BTreeSet<Vec<u8>>,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedOffset {
    /// The offset of the next record to read.
    pub offset: Offset,
    /// Leader epoch of the last record read; -1 if the client did not say (KIP-320).
    pub leader_epoch: LeaderEpoch,
    /// The client's own note.
    pub metadata: Arc<str>,
    /// When it was committed.
    pub commit_timestamp: Ms,
    /// When it expires, if the client said so (OffsetCommit 2 to 4).
    pub expire_timestamp: Option<Ms>,
    /// The topic's id; nil if the client used names.
    pub topic_id: TopicId,
    /// Where the record stands: the later of two wins when a transaction commits.
    pub at: Offset,
}

/// Offsets by group, topic and partition. No level is ever empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offsets {
    groups: BTreeMap<GroupId, TopicOffsets>,
}

/// One group's offsets.
pub type TopicOffsets = BTreeMap<TopicName, BTreeMap<PartitionIndex, CommittedOffset>>;

impl Offsets {
    /// What `group` committed for a partition.
    pub fn get(&self, group: &str, topic: &str, partition: PartitionIndex) -> Option<&CommittedOffset> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// All that `group` committed.
    pub fn of(&self, group: &str) -> Option<&TopicOffsets> {
        self.groups.get(group)
    }

    /// All groups that committed something.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupId, &TopicOffsets)> {
        self.groups.iter()
    }

    /// True if nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    fn put(&mut self, group: &GroupId, topic: &TopicName, partition: PartitionIndex, to: CommittedOffset) {
        let topics = self.groups.entry(group.clone()).or_default();
        topics.entry(topic.clone()).or_default().insert(partition, to);
    }

    fn remove(&mut self, group: &str, topic: &str, partition: PartitionIndex) {
        let Some(topics) = self.groups.get_mut(group) else { return };
        if let Some(partitions) = topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.is_empty() {
            self.groups.remove(group);
        }
    }
}

impl Hard {
    /// The classic group of that name.
    pub fn classic(&self, group: &str) -> Option<&ClassicMetadata> {
        match self.groups.get(group) {
            Some(Group::Classic(metadata)) => Some(metadata),
            Some(Group::Consumer(_) | Group::Share(_) | Group::Foreign(_)) | None => None,
        }
    }

    /// The consumer group of that name.
    pub fn consumer(&self, group: &str) -> Option<&ConsumerGroup> {
        match self.groups.get(group) {
            Some(Group::Consumer(group)) => Some(group),
            Some(Group::Classic(_) | Group::Share(_) | Group::Foreign(_)) | None => None,
        }
    }

    /// The share group of that name.
    pub fn share(&self, group: &str) -> Option<&ShareGroup> {
        match self.groups.get(group) {
            Some(Group::Share(group)) => Some(group),
            Some(Group::Classic(_) | Group::Consumer(_) | Group::Foreign(_)) | None => None,
        }
    }

    /// True if a transaction that has not ended holds an offset of that partition.
    pub fn has_pending(&self, group: &str, topic: &str, partition: PartitionIndex) -> bool {
        self.pending.values().any(|offsets| offsets.get(group, topic, partition).is_some())
    }

    /// True if a transaction that has not ended holds any offset of the group.
    pub fn has_open_transaction(&self, group: &str) -> bool {
        self.pending.values().any(|offsets| offsets.of(group).is_some())
    }

    pub(super) fn put_group(&mut self, group: &GroupId, metadata: Option<ClassicMetadata>) {
        match metadata {
            Some(metadata) => {
                self.groups.insert(group.clone(), Group::Classic(metadata));
            }
            // A tombstone that compaction has kept says nothing about a group of another protocol.
            None if self.classic(group).is_some() => {
                self.groups.remove(group);
            }
            None => {}
        }
    }

    pub(super) fn put_consumer(&mut self, record: &ConsumerRecord) {
        if !matches!(self.groups.get(&record.group), Some(Group::Consumer(_))) {
            if record.change.is_tombstone() {
                return;
            }
            // What keeps offsets only, or was classic before, gives way.
            self.groups.insert(record.group.clone(), Group::Consumer(Box::default()));
        }
        let Some(Group::Consumer(group)) = self.groups.get_mut(&record.group) else { return };
        if !group.apply(&record.change) {
            self.groups.remove(&record.group);
        }
    }

    pub(super) fn put_share(&mut self, record: &ShareGroupRecord) {
        if !matches!(self.groups.get(&record.group), Some(Group::Share(_))) {
            if record.change.is_tombstone() {
                return;
            }
            self.groups.insert(record.group.clone(), Group::Share(Box::default()));
        }
        let Some(Group::Share(group)) = self.groups.get_mut(&record.group) else { return };
        if !group.apply(&record.change) {
            self.groups.remove(&record.group);
        }
    }

    pub(super) fn put_offset(
        &mut self,
        producer: Option<ProducerId>,
        group: &GroupId,
        topic: &TopicName,
        partition: PartitionIndex,
        to: Option<CommittedOffset>,
    ) {
        match to {
            Some(to) => {
                // Who commits without being a member has a group all the same: a classic one without a protocol.
                if !self.groups.contains_key(group) {
                    self.groups.insert(group.clone(), Group::Classic(ClassicMetadata::default()));
                }
                let offsets = match producer {
                    Some(id) => self.pending.entry(id).or_default(),
                    None => &mut self.offsets,
                };
                offsets.put(group, topic, partition, to);
            }
            None => {
                self.offsets.remove(group, topic, partition);
                for offsets in self.pending.values_mut() {
                    offsets.remove(group, topic, partition);
                }
                self.pending.retain(|_, offsets| !offsets.is_empty());
            }
        }
    }

    pub(super) fn end_transaction(&mut self, producer: ProducerId, committed: bool) {
        let Some(ended) = self.pending.remove(&producer) else { return };
        if !committed {
            return;
        }
        for (group, topics) in ended.groups {
            for (topic, partitions) in topics {
                for (partition, offset) in partitions {
                    // An offset that was committed outside the transaction, after this one was written, stays.
                    let newer =
                        self.offsets.get(&group, &topic, partition).is_none_or(|had| had.at < offset.at);
                    if newer {
                        self.offsets.put(&group, &topic, partition, offset);
                    }
                }
            }
        }
    }

    pub(super) fn put_foreign(&mut self, record: &super::record::ForeignRecord) {
        let fresh = |kind| Foreign { kind, members: BTreeSet::new(), keys: BTreeSet::new() };
        let is_foreign = matches!(self.groups.get(&record.group), Some(Group::Foreign(_)));
        if record.value.is_some() && !is_foreign {
            self.groups.insert(record.group.clone(), Group::Foreign(fresh(record.kind)));
        }
        let Some(Group::Foreign(group)) = self.groups.get_mut(&record.group) else { return };
        if record.value.is_some() {
            group.kind = record.kind;
            group.keys.insert(record.key.clone());
            group.members.extend(record.member.clone());
            return;
        }
        group.keys.remove(&record.key);
        if let Some(member) = &record.member {
            group.members.remove(member);
        }
        if record.is_group || group.keys.is_empty() {
            self.groups.remove(&record.group);
        }
    }
}
