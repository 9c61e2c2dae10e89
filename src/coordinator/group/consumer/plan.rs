//! What a heartbeat or a JoinGroup leads to: records, and deadlines that count once they are decided.
//!
//! A plan reads the group and changes nothing, so that an error leaves nothing behind.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::live::LiveGroup;
use super::member::{Member, MemberState, Subscription};
use super::reconcile::{self, Goal};
use super::record::Change;
use super::state::ConsumerGroup;
use super::target::{self, Changed, TopicIds};
use super::tombstones::{forget_member, record};
use super::{regex, settings};
use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::command::Refusal;
use crate::coordinator::group::config::GroupConfigs;
use crate::coordinator::group::modern::timers::Watch;
use crate::coordinator::group::modern::{METADATA_REFRESH_MS, Partitions, TopicIdPartition, hash};
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::state::GroupId;
use crate::coordinator::shard::Cx;
use crate::types::{ErrorCode, Ms, Offset, TopicName};

/// A plan for one group.
pub(super) struct Plan<'a, 'c> {
    pub(super) id: &'a GroupId,
    pub(super) group: &'a ConsumerGroup,
    pub(super) cx: &'a mut Cx<'c, GroupConfigs>,
    pub(super) live: LiveGroup,
    pub(super) new_topics_at: Offset,
    pub(super) records: Vec<GroupRecord>,
    pub(super) effects: Effects,
}

/// What is not in the records.
#[derive(Default)]
pub(super) struct Effects {
    /// Deadlines: in how many milliseconds, or none any more.
    pub(super) watches: Vec<(MemberId, Watch, Option<Ms>)>,
    /// Members that are watched for nothing any more.
    pub(super) gone: Vec<MemberId>,
    /// Until when the group's topics count as unchanged, and since which epoch.
    pub(super) fresh: Option<(Ms, i32)>,
    /// True if expressions are to be resolved.
    pub(super) resolve: bool,
}

/// A member before a change.
pub(super) enum Before {
    /// It was not there.
    New,
    /// It was.
    Known(Arc<Member>),
    /// It takes the place of a static member, whose id this is; with what that one had.
    Replaces(MemberId, Arc<Member>),
}

impl Before {
    fn member(&self) -> Option<&Arc<Member>> {
        match self {
            Before::New => None,
            Before::Known(member) | Before::Replaces(_, member) => Some(member),
        }
    }
}

impl Plan<'_, '_> {
    pub(super) fn push(&mut self, change: Change) {
        self.records.push(record(self.id, change));
    }

    pub(super) fn watch(&mut self, member: &MemberId, watch: Watch, in_ms: Ms) {
        self.effects.watches.push((member.clone(), watch, Some(in_ms)));
    }

    pub(super) fn unwatch(&mut self, member: &MemberId, watch: Watch) {
        self.effects.watches.push((member.clone(), watch, None));
    }

    /// The member `id` takes the place of the static member `old`: all that is the old one's becomes its, but it begins
    /// at epoch 0.
    pub(super) fn replace(&mut self, old: &MemberId, id: &MemberId) -> Before {
        let Some(member) = self.group.member(old) else { return Before::New };
        let mut member = (**member).clone();
        member.current.epochs = Default::default();
        member.current.assigned = member.current.assigned.since(0);
        member.current.revoking = member.current.revoking.since(0);
        forget_member(self.id, old, &mut self.records);
        self.push(Change::Member(id.clone(), Some(member.subscription.clone())));
        self.push(Change::Target(id.clone(), Some(self.group.target(old))));
        self.push(Change::Current(id.clone(), Some(member.current.clone())));
        self.effects.gone.push(old.clone());
        Before::Replaces(old.clone(), Arc::new(member))
    }

    /// Takes in what a member wants, sees to the group's epoch and target, and leads the member there. Gives back the
    /// member as it is then.
    pub(super) fn update(
        &mut self,
        id: &MemberId,
        before: &Before,
        subscription: Subscription,
        owned: Option<&[TopicIdPartition]>,
    ) -> Result<Member, Refusal> {
        let old = before.member().map(|m| m.subscription.clone());
        let mut bump = false;
        if old.as_ref() != Some(&subscription) {
            self.push(Change::Member(id.clone(), Some(subscription.clone())));
            let names = old.as_ref().map(|old| old.names.clone()).unwrap_or_default();
            bump = names != subscription.names;
        }
        let old_regex = old.as_ref().and_then(|old| old.regex.clone());
        bump |= self.update_regex(old_regex, subscription.regex.as_ref())?;
        let current = before.member().map(|m| m.current.clone()).unwrap_or_default();
        let mut member = Member { subscription, current };

        let mut epoch = self.group.epochs.group;
        if bump || self.live.is_stale(epoch, self.cx.monotonic) {
            let without: Vec<&Member> = match before {
                Before::New => Vec::new(),
                Before::Known(member) | Before::Replaces(_, member) => vec![member],
            };
            let topics = subscribed_topics(self.group, &without, Some(&member.subscription));
            let metadata_hash = hash::group_hash(topics.iter(), self.cx.cluster);
            bump |= metadata_hash != self.group.epochs.metadata_hash;
            if bump {
                epoch += 1;
                self.push(Change::Epoch(Some((epoch, metadata_hash))));
            }
            self.effects.fresh = Some((self.cx.monotonic + METADATA_REFRESH_MS, epoch));
        }

        let replaces = match before {
            Before::Replaces(old, _) => Some(old),
            Before::New | Before::Known(_) => None,
        };
        let interval_ms = settings::assignment_interval_ms(self.cx, self.id);
        let mut target_epoch = self.group.epochs.target;
        let target = if epoch > target_epoch && self.group.epochs.may_assign(self.cx.now, interval_ms) {
            target_epoch = epoch;
            let changed = Changed { member: (id, &member), replaces };
            let (when, available) = ((epoch, self.cx.now), &self.cx.config.consumer.assignors);
            target::compute(
                self.id,
                self.group,
                &changed,
                when,
                available,
                self.cx.cluster,
                &mut self.records,
            )
        } else {
            self.group.target(replaces.unwrap_or(id))
        };
        if !member.is_reconciled_to(target_epoch) || epoch > target_epoch {
            let goal = (target_epoch, &target);
            self.reconcile(id, &mut member, goal, epoch > target_epoch, owned)?;
        }
        Ok(member)
    }

    fn reconcile(
        &mut self,
        id: &MemberId,
        member: &mut Member,
        (epoch, partitions): (i32, &Partitions),
        is_stale: bool,
        owned: Option<&[TopicIdPartition]>,
    ) -> Result<(), Refusal> {
        // A target of before the last change may give the member what it does not read any more.
        let reads = is_stale.then(|| {
            let mut ids = TopicIds::new(self.cx.cluster, self.group.resolved());
            ids.of(&member.subscription)
        });
        let goal = Goal {
            epoch,
            partitions,
            reads: &|topic| reads.as_ref().is_none_or(|ids| ids.binary_search(&topic).is_ok()),
            is_free: &|of| self.group.owner(of).is_none(),
            owned,
        };
        let next = reconcile::next(member, &goal).map_err(|error| {
            let why = "The consumer group member is in a unknown state. The member must abandon all its partitions \
                       and rejoin.";
            Refusal::new(error, why)
        })?;
        if next == member.current {
            return Ok(());
        }
        member.current = next;
        self.push(Change::Current(id.clone(), Some(member.current.clone())));
        if !member.is_classic() {
            match member.current.state {
                MemberState::UnrevokedPartitions => {
                    let in_ms = Ms::from(member.subscription.rebalance_timeout_ms.max(0));
                    self.watch(id, Watch::Rebalance, in_ms);
                }
                MemberState::Stable | MemberState::UnreleasedPartitions | MemberState::Unknown => {
                    self.unwatch(id, Watch::Rebalance);
                }
            }
        }
        Ok(())
    }

    /// True if a new assignment is needed for the member's expression. Those that nobody has resolved are resolved right
    /// after this, all of the group at once, so that they lead to one assignment.
    fn update_regex(&mut self, old: Option<Arc<str>>, new: Option<&Arc<str>>) -> Result<bool, Refusal> {
        let group = self.group;
        let users = |regex: &Arc<str>| group.regex_subscribers().get(regex).copied().unwrap_or(0);
        let (mut bump, mut resolve) = (false, false);
        let mut in_use: BTreeSet<&Arc<str>> = group.regex_subscribers().keys().collect();
        if old.as_ref() != new {
            if let Some(old) = old.as_ref().filter(|old| users(old) == 1) {
                in_use.remove(old);
                if group.resolved().contains_key(old) {
                    self.push(Change::Regex(old.clone(), None));
                }
            }
            // With another expression the change comes once its topics are known.
            bump = new.is_none();
            if let Some(new) = new {
                if users(new) == 0 {
                    regex::compile(new).map_err(|why| {
                        let why =
                            format!("SubscribedTopicRegex `{new}` is not a valid regular expression: {why}.");
                        Refusal::new(ErrorCode::InvalidRegularExpression, why)
                    })?;
                    resolve = true;
                } else {
                    bump = group.resolved().contains_key(new);
                }
                in_use.insert(new);
            }
        }
        if in_use.is_empty() || self.live.resolving.is_some() {
            return Ok(bump);
        }
        let last = group.resolved().values().next();
        let since = last.map_or(Ms::MAX, |last| self.cx.now - last.timestamp);
        if (0..=regex::MIN_INTERVAL_MS).contains(&since) {
            return Ok(bump);
        }
        resolve |= in_use.iter().any(|regex| !group.resolved().contains_key(*regex));
        resolve |= last.is_none_or(|last| last.version < self.new_topics_at);
        resolve |= since > self.cx.config.consumer.regex_refresh_ms;
        self.effects.resolve |= resolve;
        Ok(bump)
    }
}

/// The topics that a group reads without some of its members, and with what one wants.
pub(super) fn subscribed_topics(
    group: &ConsumerGroup,
    without: &[&Member],
    with: Option<&Subscription>,
) -> BTreeSet<TopicName> {
    let mut lists = group.name_lists().clone();
    let mut regexes = group.regex_subscribers().clone();
    for member in without {
        if let Some(count) = lists.get_mut(&member.subscription.names) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = member.subscription.regex.as_ref().and_then(|regex| regexes.get_mut(regex)) {
            *count = count.saturating_sub(1);
        }
    }
    let named = lists.iter().filter(|(_, count)| **count > 0).flat_map(|(names, _)| names.iter());
    let used = |regex: &Arc<str>| {
        regexes.get(regex).is_some_and(|count| *count > 0)
            || with.is_some_and(|s| s.regex.as_ref() == Some(regex))
    };
    let matched =
        group.resolved().iter().filter(|(regex, _)| used(regex)).flat_map(|(_, found)| &found.topics);
    let own = with.into_iter().flat_map(|subscription| subscription.names.iter());
    named.chain(matched).chain(own).cloned().collect()
}
