//! A share group as the topic has it. Changed by replay only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::record::{Change, Subscription};
use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::modern::{GroupEpochs, MemberEpochs, Partitions, TopicIdPartition};
use crate::types::{PartitionIndex, TopicId, TopicName};

/// A member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// What it wants.
    pub subscription: Subscription,
    /// Where it stands.
    pub epochs: MemberEpochs,
    /// What it was told to read.
    pub assigned: Partitions,
}

/// Partitions by topic, with the topics' names.
pub type Topics = BTreeMap<TopicId, (TopicName, BTreeSet<PartitionIndex>)>;

/// For which partitions share coordinators keep a state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatePartitions {
    /// Where it was asked for.
    pub initializing: Topics,
    /// Where it is there.
    pub initialized: Topics,
    /// Topics of which it is being forgotten.
    pub deleting: BTreeMap<TopicId, TopicName>,
}

/// A share group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShareGroup {
    /// Where it stands.
    pub epochs: GroupEpochs,
    /// Who is in it.
    pub members: BTreeMap<MemberId, Arc<Member>>,
    /// What each member is to read.
    pub targets: BTreeMap<MemberId, Partitions>,
    /// Where its positions are kept.
    pub states: StatePartitions,
}

impl ShareGroup {
    /// Kafka's name for where it stands.
    pub fn state(&self) -> &'static str {
        if self.members.is_empty() { "Empty" } else { "Stable" }
    }

    /// Topics that members want, each once.
    pub fn subscribed(&self) -> BTreeSet<&TopicName> {
        self.members.values().flat_map(|member| member.subscription.names.iter()).collect()
    }

    /// True if a member wants the topic.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.subscription.names.iter().any(|name| **name == *topic))
    }

    /// Takes a record in; false if the group is gone with it.
    pub(in super::super) fn apply(&mut self, change: &Change) -> bool {
        match change {
            Change::Epoch(Some((epoch, hash))) => {
                self.epochs.group = *epoch;
                self.epochs.metadata_hash = *hash;
            }
            Change::Epoch(None) => return false,
            Change::Member(id, Some(subscription)) => {
                let mut member = self.members.get(id).map(|member| (**member).clone()).unwrap_or_default();
                member.subscription = subscription.clone();
                self.members.insert(id.clone(), Arc::new(member));
            }
            Change::Member(id, None) => {
                self.members.remove(id);
            }
            Change::TargetEpoch(Some((epoch, at))) => {
                self.epochs.target = *epoch;
                self.epochs.assigned_at = *at;
            }
            Change::TargetEpoch(None) => {
                let fresh = GroupEpochs::default();
                self.epochs.target = fresh.target;
                self.epochs.assigned_at = fresh.assigned_at;
            }
            Change::Target(id, Some(partitions)) => {
                self.targets.insert(id.clone(), partitions.clone());
            }
            Change::Target(id, None) => {
                self.targets.remove(id);
            }
            Change::Current(id, Some((epochs, assigned))) => {
                let mut member = self.members.get(id).map(|member| (**member).clone()).unwrap_or_default();
                (member.epochs, member.assigned) = (*epochs, assigned.clone());
                self.members.insert(id.clone(), Arc::new(member));
            }
            Change::Current(id, None) => {
                // The member's own tombstone follows.
                if let Some(member) = self.members.get(id) {
                    let subscription = member.subscription.clone();
                    self.members.insert(id.clone(), Arc::new(Member { subscription, ..Member::default() }));
                }
            }
            Change::States(states) => self.states = states.clone().unwrap_or_default(),
        }
        true
    }
}

/// True if `topics` has the partition.
pub(super) fn has(topics: &Topics, (topic, partition): TopicIdPartition) -> bool {
    topics.get(&topic).is_some_and(|(_, partitions)| partitions.contains(&partition))
}

/// Every partition.
pub(super) fn each(topics: &Topics) -> impl Iterator<Item = TopicIdPartition> + '_ {
    topics.iter().flat_map(|(&topic, (_, partitions))| partitions.iter().map(move |&p| (topic, p)))
}
