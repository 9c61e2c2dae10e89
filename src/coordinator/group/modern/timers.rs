//! Deadlines of members.

use std::collections::BTreeMap;

use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::state::GroupId;
use crate::coordinator::group::timers::{Timer, TimerId, Timers};
use crate::types::Ms;

/// What a member must do in time, or is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    /// Send a heartbeat.
    Session,
    /// Give up partitions.
    Rebalance,
    /// Send JoinGroup: it speaks the classic protocol and was told of a rebalance.
    Join,
    /// Send SyncGroup: it speaks the classic protocol and has joined.
    Sync,
}

/// The deadlines of all members of all groups of one shard.
#[derive(Default, Debug)]
pub struct Watches {
    groups: BTreeMap<GroupId, BTreeMap<MemberId, [Option<TimerId>; 4]>>,
}

impl Watches {
    /// Has the member watched until `at`; what was set for the same thing before does not count any more.
    pub(in super::super) fn set(
        &mut self,
        timers: &mut Timers,
        group: &GroupId,
        member: &MemberId,
        watch: Watch,
        at: Ms,
    ) {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.clone(), BTreeMap::new());
        }
        let Some(members) = self.groups.get_mut(group) else { return };
        let slots = members.entry(member.clone()).or_default();
        timers.set(&mut slots[watch as usize], at, Timer::Member(group.clone(), member.clone(), watch));
    }

    /// True if the member is watched for that.
    pub fn has(&self, group: &str, member: &str, watch: Watch) -> bool {
        let slots = self.groups.get(group).and_then(|members| members.get(member));
        slots.is_some_and(|slots| slots[watch as usize].is_some())
    }

    /// Ends one watch.
    pub(in super::super) fn cancel(&mut self, timers: &mut Timers, group: &str, member: &str, watch: Watch) {
        if let Some(slots) = self.groups.get_mut(group).and_then(|members| members.get_mut(member)) {
            timers.cancel(&mut slots[watch as usize]);
        }
    }

    /// A deadline has passed: it is not set any more.
    pub(in super::super) fn passed(&mut self, group: &str, member: &str, watch: Watch) {
        if let Some(slots) = self.groups.get_mut(group).and_then(|members| members.get_mut(member)) {
            slots[watch as usize] = None;
        }
    }

    /// Ends all watches over a member.
    pub(in super::super) fn forget(&mut self, timers: &mut Timers, group: &str, member: &str) {
        let Some(members) = self.groups.get_mut(group) else { return };
        if let Some(mut slots) = members.remove(member) {
            slots.iter_mut().for_each(|slot| timers.cancel(slot));
        }
        if members.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Ends all watches over a group's members.
    pub(in super::super) fn forget_group(&mut self, timers: &mut Timers, group: &str) {
        for slots in self.groups.remove(group).into_iter().flatten().map(|(_, slots)| slots) {
            slots.into_iter().for_each(|mut slot| timers.cancel(&mut slot));
        }
    }

    /// Who is watched.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupId, &MemberId)> {
        self.groups.iter().flat_map(|(group, members)| members.keys().map(move |member| (group, member)))
    }
}
