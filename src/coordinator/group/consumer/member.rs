//! A member of a consumer group, as the topic has it: what it wants, and what it has.

use std::sync::Arc;

use crate::coordinator::group::command::Protocol;
use crate::coordinator::group::modern::partitions::by_topic;
use crate::coordinator::group::modern::{MemberEpochs, Partitions, TopicIdPartition};
use crate::types::{PartitionIndex, TopicId, TopicName};

/// A member. Shared, and replaced when something changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// What it wants (`ConsumerGroupMemberMetadata`).
    pub subscription: Subscription,
    /// What it has (`ConsumerGroupCurrentMemberAssignment`).
    pub current: Current,
}

/// What a member wants, and who it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Its name across restarts, if it is a static member.
    pub instance_id: Option<Arc<str>>,
    /// Where it runs.
    pub rack_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where it is, as `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// The topics it names, in order.
    pub names: Arc<[TopicName]>,
    /// The expression that its topics match.
    pub regex: Option<Arc<str>>,
    /// How long it may take to give up partitions.
    pub rebalance_timeout_ms: i32,
    /// The assignor it would like.
    pub assignor: Option<Arc<str>>,
    /// What it said in its JoinGroup, if it speaks the classic protocol.
    pub classic: Option<Arc<ClassicMember>>,
}

impl Default for Subscription {
    fn default() -> Self {
        let nothing: Arc<str> = Arc::from("");
        Subscription {
            instance_id: None,
            rack_id: None,
            client_id: nothing.clone(),
            client_host: nothing,
            names: Arc::default(),
            regex: None,
            rebalance_timeout_ms: -1,
            assignor: None,
            classic: None,
        }
    }
}

/// What a member that speaks the classic protocol said in its JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    /// How long it may stay silent.
    pub session_timeout_ms: i32,
    /// What it can follow, best first. Never empty.
    pub protocols: Vec<Protocol>,
}

/// How far a member has come on its way to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It is there.
    #[default]
    Stable,
    /// It must give up partitions before it may have a new epoch.
    UnrevokedPartitions,
    /// It has the newest epoch and waits for partitions that others have not given up.
    UnreleasedPartitions,
    /// Something that a later version wrote.
    Unknown,
}

impl MemberState {
    /// Its number in the topic.
    pub fn code(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }

    /// The reverse of [`MemberState::code`].
    pub fn from_code(code: i8) -> MemberState {
        match code {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

/// What a member has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Current {
    /// Its epochs.
    pub epochs: MemberEpochs,
    /// How far it has come.
    pub state: MemberState,
    /// What it may read.
    pub assigned: Assigned,
    /// What it has been told to give up and has not.
    pub revoking: Assigned,
}

impl Member {
    /// True if it speaks the classic protocol.
    pub fn is_classic(&self) -> bool {
        self.subscription.classic.is_some()
    }

    /// True if it has come to the target of that epoch.
    pub fn is_reconciled_to(&self, target: i32) -> bool {
        self.current.state == MemberState::Stable && self.current.epochs.current == target
    }

    /// The epoch in which the member got the partition, be it that it has to give it up.
    pub fn assignment_epoch(&self, of: TopicIdPartition) -> Option<i32> {
        self.current.assigned.epoch(of).or_else(|| self.current.revoking.epoch(of))
    }
}

/// Partitions that a member holds, each with the member's epoch when it got it (KIP-1251). In order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assigned(Box<[(TopicIdPartition, i32)]>);

impl Assigned {
    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if `of` is among them.
    pub fn contains(&self, of: TopicIdPartition) -> bool {
        self.at(of).is_some()
    }

    /// When `of` was given to the member; `None` if it was not.
    pub fn epoch(&self, of: TopicIdPartition) -> Option<i32> {
        self.at(of).map(|at| self.0[at].1)
    }

    fn at(&self, of: TopicIdPartition) -> Option<usize> {
        self.0.binary_search_by_key(&of, |one| one.0).ok()
    }

    /// Each, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TopicIdPartition, i32)> + '_ {
        self.0.iter().copied()
    }

    /// Without the epochs.
    pub fn partitions(&self) -> Partitions {
        self.0.iter().map(|one| one.0).collect()
    }

    /// By topic: numbers and epochs.
    pub fn by_topic(&self) -> impl Iterator<Item = (TopicId, Vec<PartitionIndex>, Vec<i32>)> + '_ {
        by_topic(&self.0, |one| one.0.0).map(|(topic, run)| {
            let (partitions, epochs) = run.iter().map(|one| (one.0.1, one.1)).unzip();
            (topic, partitions, epochs)
        })
    }

    /// The same partitions, all of them as if given in `epoch`.
    pub fn since(&self, epoch: i32) -> Assigned {
        self.0.iter().map(|one| (one.0, epoch)).collect()
    }
}

impl FromIterator<(TopicIdPartition, i32)> for Assigned {
    fn from_iter<I: IntoIterator<Item = (TopicIdPartition, i32)>>(all: I) -> Assigned {
        let mut all: Vec<_> = all.into_iter().collect();
        if !all.is_sorted() {
            all.sort_unstable();
        }
        all.dedup_by_key(|one| one.0);
        Assigned(all.into())
    }
}
