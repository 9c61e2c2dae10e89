//! What the topic does not say of consumer groups: when to look at their topics again.

use std::collections::BTreeMap;

use crate::coordinator::group::state::GroupId;
use crate::coordinator::group::timers::TimerId;
use crate::types::{Ms, Offset};

/// Of all groups of a shard.
#[derive(Default, Debug)]
pub struct Live {
    groups: BTreeMap<GroupId, LiveGroup>,
    /// The metadata offset at which topics were new last: expressions resolved before may match more now.
    pub new_topics_at: Offset,
}

/// Of one group.
#[derive(Clone, Copy, Default, Debug)]
pub struct LiveGroup {
    /// Until when, on the clock that only goes forward, its topics count as unchanged; and since which of its epochs.
    /// `None` if they have to be looked at.
    pub fresh: Option<(Ms, i32)>,
    /// When its expressions are resolved, if that is to happen.
    pub(in super::super) resolving: Option<TimerId>,
}

impl LiveGroup {
    /// True if the group's topics have to be looked at.
    pub(super) fn is_stale(&self, epoch: i32, monotonic: Ms) -> bool {
        // An epoch behind the one that was looked at was not written in the end.
        self.fresh.is_none_or(|(until, since)| monotonic >= until || epoch < since)
    }
}

impl Live {
    /// What is known of a group.
    pub fn get(&self, group: &str) -> LiveGroup {
        self.groups.get(group).copied().unwrap_or_default()
    }

    /// To change it.
    pub(in super::super) fn entry(&mut self, group: &GroupId) -> &mut LiveGroup {
        self.groups.entry(group.clone()).or_default()
    }

    /// The group's topics have changed.
    pub(in super::super) fn topics_changed(&mut self, group: &str) {
        if let Some(live) = self.groups.get_mut(group) {
            live.fresh = None;
        }
    }

    /// Forgets a group.
    pub(in super::super) fn remove(&mut self, group: &str) -> Option<LiveGroup> {
        self.groups.remove(group)
    }
}
