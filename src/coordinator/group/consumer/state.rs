//! A consumer group as the topic has it. Changed by replay only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::member::Member;
use super::record::{Change, ResolvedRegex};
use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::modern::{GroupEpochs, Partitions, TopicIdPartition};
use crate::types::{FastMap, TopicName};

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody is in it.
    Empty,
    /// Something has changed and the target was not computed yet.
    Assigning,
    /// Not all members have come to the target.
    Reconciling,
    /// All have.
    Stable,
}

impl State {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Assigning => "Assigning",
            State::Reconciling => "Reconciling",
            State::Stable => "Stable",
        }
    }
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerGroup {
    /// Where it stands.
    pub epochs: GroupEpochs,
    members: BTreeMap<MemberId, Arc<Member>>,
    targets: BTreeMap<MemberId, Partitions>,
    regexes: BTreeMap<Arc<str>, ResolvedRegex>,
    /// True if a record stands in the topic that Kafka 4.0 wrote and later ones do not.
    pub has_partition_metadata: bool,
    index: Index,
}

/// What follows from the members.
#[derive(Clone, Debug, Default, PartialEq)]
struct Index {
    static_members: BTreeMap<Arc<str>, MemberId>,
    /// Who holds which partition: no other may read it.
    owners: FastMap<TopicIdPartition, MemberId>,
    /// How many members name which topics. The lists are shared with the members.
    names: BTreeMap<Arc<[TopicName]>, usize>,
    /// How many members use which expression.
    regexes: BTreeMap<Arc<str>, usize>,
    /// How many members would like which assignor.
    assignors: BTreeMap<Arc<str>, usize>,
    classic: usize,
    /// How many of the classic members know which protocol.
    classic_protocols: BTreeMap<Arc<str>, usize>,
}

impl ConsumerGroup {
    /// Who is in it, by id.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&MemberId, &Arc<Member>)> {
        self.members.iter()
    }

    /// One member.
    pub fn member(&self, id: &str) -> Option<&Arc<Member>> {
        self.members.get(id)
    }

    /// One member with the id under which it is kept.
    pub fn entry(&self, id: &str) -> Option<(&MemberId, &Arc<Member>)> {
        self.members.get_key_value(id)
    }

    /// The id of the static member of that name.
    pub fn static_member(&self, instance_id: &str) -> Option<&MemberId> {
        self.index.static_members.get(instance_id)
    }

    /// What a member is to have in the end.
    pub fn target(&self, id: &str) -> Partitions {
        self.targets.get(id).cloned().unwrap_or_default()
    }

    /// What everybody is to have in the end.
    pub fn targets(&self) -> &BTreeMap<MemberId, Partitions> {
        &self.targets
    }

    /// Who holds a partition, be it that it has to give it up.
    pub fn owner(&self, of: TopicIdPartition) -> Option<&MemberId> {
        self.index.owners.get(&of)
    }

    /// The expressions whose topics are known.
    pub fn resolved(&self) -> &BTreeMap<Arc<str>, ResolvedRegex> {
        &self.regexes
    }

    /// The expressions that members use, and how many do.
    pub fn regex_subscribers(&self) -> &BTreeMap<Arc<str>, usize> {
        &self.index.regexes
    }

    /// The lists of topics that members name, and how many do.
    pub fn name_lists(&self) -> &BTreeMap<Arc<[TopicName]>, usize> {
        &self.index.names
    }

    /// The assignors that members would like, and how many do.
    pub fn assignor_votes(&self) -> &BTreeMap<Arc<str>, usize> {
        &self.index.assignors
    }

    /// How many members speak the classic protocol.
    pub fn classic_members(&self) -> usize {
        self.index.classic
    }

    /// True if all members that speak the classic protocol know this one.
    pub fn is_known_to_all_classic(&self, protocol: &str) -> bool {
        self.index.classic_protocols.get(protocol).copied().unwrap_or(0) == self.index.classic
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        if self.members.is_empty() {
            State::Empty
        } else if self.epochs.group > self.epochs.target {
            State::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.epochs.target)) {
            State::Stable
        } else {
            State::Reconciling
        }
    }

    /// True if a member reads `topic`, by name or by expression.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.index.names.keys().any(|names| names.binary_search_by(|name| (**name).cmp(topic)).is_ok())
            || self.regexes.values().any(|regex| regex.topics.contains(topic))
    }

    /// The topics that members read.
    pub fn subscribed_topics(&self) -> BTreeSet<TopicName> {
        let by_name = self.index.names.keys().flat_map(|names| names.iter());
        by_name.chain(self.regexes.values().flat_map(|regex| &regex.topics)).cloned().collect()
    }

    /// Takes in what a record says. False if the group is gone with it.
    pub fn apply(&mut self, change: &Change) -> bool {
        match change {
            Change::Epoch(Some((epoch, hash))) => {
                self.epochs.group = *epoch;
                self.epochs.metadata_hash = *hash;
            }
            Change::Epoch(None) => return false,
            Change::PartitionMetadata(value) => self.has_partition_metadata = value.is_some(),
            Change::Member(id, Some(subscription)) => {
                let mut subscription = subscription.clone();
                if let Some((names, _)) = self.index.names.get_key_value(&subscription.names) {
                    subscription.names = names.clone();
                }
                let current = self.members.get(id).map(|member| member.current.clone());
                self.put(id, Member { subscription, current: current.unwrap_or_default() });
            }
            Change::Member(id, None) => {
                self.take(id);
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
            Change::Current(id, Some(current)) => {
                let subscription = self.members.get(id).map(|member| member.subscription.clone());
                let subscription = subscription.unwrap_or_default();
                self.put(id, Member { subscription, current: current.clone() });
            }
            Change::Current(id, None) => {
                // The member's own tombstone follows; until then it holds nothing.
                if let Some(member) = self.members.get(id) {
                    let subscription = member.subscription.clone();
                    self.put(id, Member { subscription, ..Member::default() });
                }
            }
            Change::Regex(regex, Some(resolved)) => {
                self.regexes.insert(regex.clone(), resolved.clone());
            }
            Change::Regex(regex, None) => {
                self.regexes.remove(regex);
            }
        }
        true
    }

    fn put(&mut self, id: &MemberId, member: Member) {
        let before = self.members.get(id).cloned();
        let subscription = &member.subscription;
        if before.as_ref().is_none_or(|before| before.subscription != *subscription) {
            if let Some(before) = &before {
                self.index.count(id, before, false);
            }
            self.index.count(id, &member, true);
        }
        if before.as_ref().is_none_or(|before| before.current != member.current) {
            if let Some(before) = &before {
                self.index.release(id, before);
            }
            self.index.hold(id, &member);
        }
        self.members.insert(id.clone(), Arc::new(member));
    }

    fn take(&mut self, id: &str) {
        let Some((id, member)) = self.members.remove_entry(id) else { return };
        self.index.count(&id, &member, false);
        self.index.release(&id, &member);
    }
}

impl Index {
    /// Counts what a member wants, or no longer.
    fn count(&mut self, id: &MemberId, member: &Member, add: bool) {
        let subscription = &member.subscription;
        if let Some(instance_id) = &subscription.instance_id {
            if add {
                self.static_members.insert(instance_id.clone(), id.clone());
            } else if self.static_members.get(instance_id) == Some(id) {
                self.static_members.remove(instance_id);
            }
        }
        count(&mut self.names, &subscription.names, add);
        if let Some(regex) = &subscription.regex {
            count(&mut self.regexes, regex, add);
        }
        if let Some(assignor) = &subscription.assignor {
            count(&mut self.assignors, assignor, add);
        }
        if let Some(classic) = &subscription.classic {
            self.classic = if add { self.classic + 1 } else { self.classic.saturating_sub(1) };
            let mut seen = BTreeSet::new();
            for protocol in classic.protocols.iter().filter(|p| seen.insert(p.name.clone())) {
                count(&mut self.classic_protocols, &protocol.name, add);
            }
        }
    }

    fn hold(&mut self, id: &MemberId, member: &Member) {
        for (of, _) in held(member) {
            self.owners.insert(of, id.clone());
        }
    }

    fn release(&mut self, id: &MemberId, member: &Member) {
        for (of, _) in held(member) {
            if self.owners.get(&of) == Some(id) {
                self.owners.remove(&of);
            }
        }
    }
}

fn held(member: &Member) -> impl Iterator<Item = (TopicIdPartition, i32)> + '_ {
    member.current.assigned.iter().chain(member.current.revoking.iter())
}

fn count<K: Ord + Clone>(counts: &mut BTreeMap<K, usize>, of: &K, add: bool) {
    match (counts.get_mut(of), add) {
        (Some(count), true) => *count += 1,
        (Some(count), false) if *count > 1 => *count -= 1,
        (Some(_), false) => drop(counts.remove(of)),
        (None, true) => drop(counts.insert(of.clone(), 1)),
        (None, false) => {}
    }
}

impl ConsumerGroup {
    /// Panics if the group contradicts itself: for tests of any depth.
    pub fn check(&self) {
        let mut owners = BTreeMap::new();
        for (id, member) in &self.members {
            for (of, epoch) in held(member) {
                assert_eq!(owners.insert(of, id), None, "{of:?} has one owner");
                assert!(epoch <= self.epochs.group, "{of:?} was given in an epoch that was");
                assert_eq!(self.owner(of), Some(id), "owners are indexed");
            }
            assert!(member.current.epochs.current <= self.epochs.target, "{id} is not ahead of the target");
        }
        assert_eq!(owners.len(), self.index.owners.len(), "nobody owns for those who are gone");
        assert_eq!(self.index.names.values().sum::<usize>(), self.members.len(), "each has its list");
        let mut targets = BTreeSet::new();
        for (id, target) in &self.targets {
            assert!(self.members.contains_key(id), "the target of {id}, who is not a member");
            assert!(target.iter().all(|of| targets.insert(of)), "the target gives each partition to one");
        }
        for regex in self.regexes.keys() {
            assert!(self.index.regexes.contains_key(regex), "{regex} is of no use");
        }
        assert!(self.epochs.target <= self.epochs.group, "no target for what has not been");
    }
}
