//! The target assignment: what every member is to have in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::member::{Member, Subscription};
use super::record::{Change, ResolvedRegex};
use super::state::ConsumerGroup;
use super::tombstones::record;
use crate::coordinator::group::assign::{self, Assignor, Candidate, Sizes};
use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::modern::Partitions;
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::state::GroupId;
use crate::metadata::MetadataImage;
use crate::types::{Ms, TopicId, TopicName};

/// Ids of topics, for lists of names that many members share.
pub(super) struct TopicIds<'a> {
    image: &'a MetadataImage,
    regexes: &'a BTreeMap<Arc<str>, ResolvedRegex>,
    known: BTreeMap<(Arc<[TopicName]>, Option<Arc<str>>), Arc<[TopicId]>>,
}

impl<'a> TopicIds<'a> {
    pub(super) fn new(
        image: &'a MetadataImage,
        regexes: &'a BTreeMap<Arc<str>, ResolvedRegex>,
    ) -> TopicIds<'a> {
        TopicIds { image, regexes, known: BTreeMap::new() }
    }

    /// The topics that a member reads and that are there.
    pub(super) fn of(&mut self, subscription: &Subscription) -> Arc<[TopicId]> {
        let key = (subscription.names.clone(), subscription.regex.clone());
        if let Some(ids) = self.known.get(&key) {
            return ids.clone();
        }
        let by_regex = subscription.regex.as_ref().and_then(|regex| self.regexes.get(regex));
        let names = subscription.names.iter().chain(by_regex.into_iter().flat_map(|regex| &regex.topics));
        let ids: BTreeSet<TopicId> =
            names.filter_map(|name| self.image.topics().get(name)).map(|t| t.id).collect();
        let ids: Arc<[TopicId]> = ids.into_iter().collect();
        self.known.insert(key, ids.clone());
        ids
    }
}

/// What changes in a group while a new target is computed for it.
pub(super) struct Changed<'a> {
    /// A member that joins or has changed.
    pub(super) member: (&'a MemberId, &'a Member),
    /// The static member that it takes the place of.
    pub(super) replaces: Option<&'a MemberId>,
}

/// The assignor that most members would like; of equals the first that the broker has.
pub(super) fn preferred(group: &ConsumerGroup, changed: &Changed<'_>, available: &[Assignor]) -> Assignor {
    let mut votes = group.assignor_votes().clone();
    let mut vote = |of: Option<&Arc<str>>, add: bool| {
        let Some(name) = of else { return };
        let count = votes.entry(name.clone()).or_default();
        *count = if add { *count + 1 } else { count.saturating_sub(1) };
    };
    let (id, member) = changed.member;
    for before in [Some(id), changed.replaces].into_iter().flatten() {
        vote(group.member(before).and_then(|m| m.subscription.assignor.as_ref()), false);
    }
    vote(member.subscription.assignor.as_ref(), true);
    let count = |assignor: &Assignor| votes.get(assignor.name()).copied().unwrap_or(0);
    let best = available.iter().copied().rev().max_by_key(|assignor| count(assignor));
    best.unwrap_or(Assignor::Uniform)
}

/// Computes the target for `epoch`, writes down what is new in it, and gives back what the changed member is to have.
pub(super) fn compute(
    id: &GroupId,
    group: &ConsumerGroup,
    changed: &Changed<'_>,
    (epoch, now): (i32, Ms),
    available: &[Assignor],
    image: &MetadataImage,
    records: &mut Vec<GroupRecord>,
) -> Partitions {
    let mut ids = TopicIds::new(image, group.resolved());
    let (changed_id, changed_member) = changed.member;
    let others = group.members().filter(|(id, _)| *id != changed_id && Some(*id) != changed.replaces);
    let mut members: Vec<(&MemberId, &Member, &MemberId)> =
        others.map(|(id, member)| (id, &**member, id)).collect();
    members.push((changed_id, changed_member, changed.replaces.unwrap_or(changed_id)));
    // Everybody's order must not depend on who asks.
    members.sort_by_key(|(id, ..)| *id);
    let mut sizes = Sizes::new();
    let mut candidates = Vec::with_capacity(members.len());
    for &(id, member, had_by) in &members {
        let topics = ids.of(&member.subscription);
        for &topic in topics.iter() {
            if let (false, Some(found)) = (sizes.contains_key(&topic), image.topics().get_by_id(topic)) {
                sizes.insert(topic, found.iter().count() as i32);
            }
        }
        let instance_id = member.subscription.instance_id.as_deref();
        candidates.push(Candidate { id, instance_id, topics, has: group.target(had_by) });
    }
    let assigned = assign::assign(preferred(group, changed, available), &candidates, &sizes);
    let mut own = Partitions::none();
    for (&(member, ..), target) in members.iter().zip(assigned) {
        if member == changed_id {
            own = target.clone();
        }
        if group.targets().get(member) != Some(&target) {
            records.push(record(id, Change::Target(member.clone(), Some(target))));
        }
    }
    records.push(record(id, Change::TargetEpoch(Some((epoch, now)))));
    own
}
