//! Changes to consumer groups, as the shard has them carried out: with the deadlines that go with them.

use std::collections::BTreeSet;

use super::live::Live;
use super::member::{Member, MemberState};
use super::plan::{Effects, Plan, subscribed_topics};
use super::record::{Change, ResolvedRegex};
use super::state::ConsumerGroup;
use super::tombstones::{forget_member, record};
use super::{convert, regex, settings};
use crate::coordinator::group::classic::{ClassicGroup, MemberId};
use crate::coordinator::group::config::GroupConfigs;
use crate::coordinator::group::modern::hash;
use crate::coordinator::group::modern::timers::{Watch, Watches};
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::group::state::GroupId;
use crate::coordinator::group::timers::{Timer, Timers};
use crate::coordinator::shard::{Cx, Output};
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::types::Ms;

/// What a change may use.
pub(in super::super) struct Turn<'a, 'c> {
    pub(in super::super) timers: &'a mut Timers,
    pub(in super::super) watches: &'a mut Watches,
    pub(in super::super) live: &'a mut Live,
    pub(in super::super) cx: &'a mut Cx<'c, GroupConfigs>,
    pub(in super::super) out: &'a mut Output<GroupShard>,
}

/// What is left of a group after members were taken out.
pub(in super::super) enum Left {
    /// A consumer group.
    Consumer,
    /// All others speak the classic protocol, so the group does from now on.
    Classic(Box<ClassicGroup>),
}

impl Turn<'_, '_> {
    /// A plan for `group` on top of `records`, which made it what it is.
    pub(super) fn plan<R>(
        &mut self,
        id: &GroupId,
        group: &ConsumerGroup,
        records: Vec<GroupRecord>,
        with: impl FnOnce(&mut Plan<'_, '_>) -> R,
    ) -> (R, Vec<GroupRecord>, Effects) {
        let (live, new_topics_at) = (self.live.get(id), self.live.new_topics_at);
        let effects = Effects::default();
        let mut plan = Plan { id, group, cx: &mut *self.cx, live, new_topics_at, records, effects };
        let result = with(&mut plan);
        (result, plan.records, plan.effects)
    }

    /// Carries out what was planned.
    pub(super) fn carry_out(&mut self, id: &GroupId, records: Vec<GroupRecord>, effects: Effects) {
        self.out.records.extend(records);
        for member in &effects.gone {
            self.watches.forget(self.timers, id, member);
        }
        for (member, watch, in_ms) in effects.watches {
            match in_ms {
                Some(in_ms) => self.watch(id, &member, watch, in_ms),
                None => self.watches.cancel(self.timers, id, &member, watch),
            }
        }
        if effects.fresh.is_some() {
            self.live.entry(id).fresh = effects.fresh;
        }
        if effects.resolve {
            let at = self.cx.monotonic;
            let slot = &mut self.live.entry(id).resolving;
            self.timers.set(slot, at, Timer::Regexes(id.clone()));
        }
    }

    pub(super) fn watch(&mut self, id: &GroupId, member: &MemberId, watch: Watch, in_ms: Ms) {
        let at = self.cx.monotonic + in_ms.max(0);
        self.watches.set(self.timers, id, member, watch, at);
    }

    /// Begins a member's session anew.
    pub(super) fn touch(&mut self, id: &GroupId, member: &MemberId, of: &Member) {
        let in_ms = match &of.subscription.classic {
            Some(classic) => Ms::from(classic.session_timeout_ms),
            None => settings::session_timeout_ms(self.cx, id),
        };
        self.watch(id, member, Watch::Session, in_ms);
    }

    /// Forgets what the topic does not say of a group.
    pub(in super::super) fn forget(&mut self, id: &GroupId) {
        self.watches.forget_group(self.timers, id);
        if let Some(mut live) = self.live.remove(id) {
            self.timers.cancel(&mut live.resolving);
        }
    }

    /// Takes members out. The group's epoch rises, unless all that stay speak the classic protocol and may go back to
    /// it.
    pub(in super::super) fn fence(&mut self, id: &GroupId, group: &ConsumerGroup, gone: &[MemberId]) -> Left {
        if gone.is_empty() {
            return Left::Consumer;
        }
        if let Some(classic) = convert::downgraded_without(id, group, gone, self.cx) {
            convert::downgrade_records(id, group, &classic, &mut self.out.records);
            self.forget(id);
            return Left::Classic(Box::new(classic));
        }
        let mut records = Vec::new();
        for member in gone {
            forget_member(id, member, &mut records);
            self.watches.forget(self.timers, id, member);
        }
        let members: Vec<&Member> = gone.iter().filter_map(|id| group.member(id)).map(|m| &**m).collect();
        for (regex, users) in group.regex_subscribers() {
            let leaving = members.iter().filter(|m| m.subscription.regex.as_ref() == Some(regex)).count();
            if leaving == *users && group.resolved().contains_key(regex) {
                records.push(record(id, Change::Regex(regex.clone(), None)));
            }
        }
        let topics = subscribed_topics(group, &members, None);
        let metadata_hash = hash::group_hash(topics.iter(), self.cx.cluster);
        records.push(record(id, Change::Epoch(Some((group.epochs.group + 1, metadata_hash)))));
        self.out.records.extend(records);
        Left::Consumer
    }

    /// A member did not do in time what it is watched for.
    pub(in super::super) fn out_of_time(
        &mut self,
        id: &GroupId,
        group: &ConsumerGroup,
        member: &MemberId,
        watch: Watch,
    ) -> Left {
        self.watches.passed(id, member, watch);
        let Some((member, found)) = group.entry(member) else { return Left::Consumer };
        if watch == Watch::Rebalance && found.current.state != MemberState::UnrevokedPartitions {
            return Left::Consumer;
        }
        self.fence(id, group, std::slice::from_ref(member))
    }

    /// Resolves the expressions of a group, all at once.
    pub(in super::super) fn resolve(&mut self, id: &GroupId, group: &ConsumerGroup) {
        self.live.entry(id).resolving = None;
        let mut records = Vec::new();
        let mut topics: BTreeSet<_> =
            group.name_lists().keys().flat_map(|names| names.iter()).cloned().collect();
        let mut bump = false;
        for regex in group.regex_subscribers().keys() {
            let found = regex::matching(regex, self.cx.cluster);
            bump |= group.resolved().get(regex).is_none_or(|known| known.topics != found);
            topics.extend(found.iter().cloned());
            let (version, timestamp) = (self.cx.cluster.offset(), self.cx.now);
            let resolved = ResolvedRegex { topics: found, version, timestamp };
            records.push(record(id, Change::Regex(regex.clone(), Some(resolved))));
        }
        let metadata_hash = hash::group_hash(topics.iter(), self.cx.cluster);
        if bump || metadata_hash != group.epochs.metadata_hash {
            records.push(record(id, Change::Epoch(Some((group.epochs.group + 1, metadata_hash)))));
        }
        self.out.records.extend(records);
    }

    /// After the log was replayed: everybody has a whole session before it.
    pub(in super::super) fn loaded(&mut self, id: &GroupId, group: &ConsumerGroup) {
        for (member, found) in group.members() {
            self.touch(id, member, found);
            if !found.is_classic() && found.current.state == MemberState::UnrevokedPartitions {
                let in_ms = Ms::from(found.subscription.rebalance_timeout_ms.max(0));
                self.watch(id, member, Watch::Rebalance, in_ms);
            }
        }
    }
}

/// True if the group reads a topic that is new, gone or changed.
pub(in super::super) fn reads_any(
    group: &ConsumerGroup,
    delta: &MetadataDelta,
    image: &MetadataImage,
) -> bool {
    let changed =
        delta.partitions.keys().filter_map(|id| image.topics().get_by_id(*id)).map(|topic| &topic.name);
    let mut names = delta.topics_created.values().chain(delta.topics_deleted.values()).chain(changed);
    names.any(|name| group.is_subscribed_to(name))
}
