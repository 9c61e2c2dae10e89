//! A member's next step towards its target.
//!
//! A member first gives up what is not in its target, and keeps its epoch until it has; then it comes to the target's
//! epoch and gets what is free of its target; then it waits for the rest. So a partition has one owner at all times,
//! whatever heartbeats are lost or late: it is given to nobody before its owner's record says that it was given up.

use super::member::{Assigned, Current, Member, MemberState};
use crate::coordinator::group::modern::{Partitions, TopicIdPartition};
use crate::types::{ErrorCode, TopicId};

/// Where a member is led to.
pub(super) struct Goal<'a> {
    /// The epoch of the target.
    pub(super) epoch: i32,
    /// The target.
    pub(super) partitions: &'a Partitions,
    /// False for topics that the member does not read any more: the target may be older than its subscription.
    pub(super) reads: &'a dyn Fn(TopicId) -> bool,
    /// True if nobody holds the partition.
    pub(super) is_free: &'a dyn Fn(TopicIdPartition) -> bool,
    /// What the member says it has; `None` if it does not say.
    pub(super) owned: Option<&'a [TopicIdPartition]>,
}

/// What `member` has next. An error fences it.
pub(super) fn next(member: &Member, goal: &Goal<'_>) -> Result<Current, ErrorCode> {
    let current = &member.current;
    let epoch = current.epochs.current;
    let next = match current.state {
        MemberState::Stable if epoch == goal.epoch && keeps_reading(current, goal) => {
            return Ok(current.clone());
        }
        MemberState::Stable | MemberState::UnreleasedPartitions => towards(current, epoch, goal),
        MemberState::UnrevokedPartitions if goal.still_owns(&current.revoking) => {
            if keeps_reading(current, goal) {
                return Ok(current.clone());
            }
            // What it has stopped reading meanwhile is to be given up with the rest.
            let (keep, more): (Vec<_>, Vec<_>) =
                current.assigned.iter().partition(|(of, _)| (goal.reads)(of.0));
            let revoking = current.revoking.iter().chain(more).collect();
            Current { assigned: keep.into_iter().collect(), revoking, ..current.clone() }
        }
        MemberState::UnrevokedPartitions => towards(current, (epoch + 1).min(goal.epoch), goal),
        // It must come back with nothing.
        MemberState::Unknown if goal.owned.is_none_or(|owned| !owned.is_empty()) => {
            return Err(ErrorCode::FencedMemberEpoch);
        }
        MemberState::Unknown => towards(current, goal.epoch, goal),
    };
    // The epoch before is kept as long as nothing else changes: the answer with this one may have been lost.
    let same = next.epochs.current == epoch
        && (next.state, &next.assigned, &next.revoking)
            == (current.state, &current.assigned, &current.revoking);
    Ok(if same { current.clone() } else { next })
}

fn keeps_reading(current: &Current, goal: &Goal<'_>) -> bool {
    current.assigned.iter().all(|(of, _)| (goal.reads)(of.0))
}

/// From `epoch`, which is where the member is or one further.
fn towards(current: &Current, epoch: i32, goal: &Goal<'_>) -> Current {
    let wanted = |of: TopicIdPartition| goal.partitions.contains(of) && (goal.reads)(of.0);
    let (keep, give_up): (Vec<_>, Vec<_>) = current.assigned.iter().partition(|(of, _)| wanted(*of));
    let give_up: Assigned = give_up.into_iter().collect();
    if goal.still_owns(&give_up) {
        return Current {
            epochs: current.epochs.then(epoch),
            state: MemberState::UnrevokedPartitions,
            assigned: keep.into_iter().collect(),
            revoking: give_up,
        };
    }
    let mut assigned = keep;
    let mut waits = false;
    for of in goal.partitions.iter().filter(|of| (goal.reads)(of.0)) {
        if current.assigned.contains(of) {
            continue;
        }
        // What it gives up in this very step is free for it again.
        if (goal.is_free)(of) || current.revoking.contains(of) {
            assigned.push((of, goal.epoch));
        } else {
            waits = true;
        }
    }
    Current {
        epochs: current.epochs.then(goal.epoch),
        state: if waits { MemberState::UnreleasedPartitions } else { MemberState::Stable },
        assigned: assigned.into_iter().collect(),
        revoking: Assigned::default(),
    }
}

impl Goal<'_> {
    /// True if the member may still have any of these: it says so, or does not say.
    fn still_owns(&self, given_up: &Assigned) -> bool {
        match self.owned {
            _ if given_up.is_empty() => false,
            None => true,
            Some(owned) => owned.iter().any(|&of| given_up.contains(of)),
        }
    }
}
