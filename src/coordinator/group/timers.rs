//! Deadlines of a shard: a queue ordered by time, where cancelling is removing.

use std::collections::BTreeMap;

use super::classic::MemberId;
use super::modern::timers::Watch;
use super::state::GroupId;
use crate::types::Ms;

/// What happens when a deadline passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// A member, or a member to be, was not heard of for its session timeout.
    Session(GroupId, MemberId),
    /// The join phase has lasted long enough.
    Join(GroupId),
    /// The sync phase has.
    Sync(GroupId),
    /// A member of a newer protocol did not do in time what it is watched for.
    Member(GroupId, MemberId, Watch),
    /// Expressions of a consumer group are to be resolved.
    Regexes(GroupId),
    /// Time to look for expired offsets.
    Expiry,
}

/// Names a deadline in the queue. The number keeps deadlines of one instant apart, first come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerId(Ms, u64);

/// The queue.
#[derive(Default, Debug)]
pub(super) struct Timers {
    queue: BTreeMap<TimerId, Timer>,
    made: u64,
}

impl Timers {
    /// Puts `timer` at `at` and forgets what `slot` named before.
    pub(super) fn set(&mut self, slot: &mut Option<TimerId>, at: Ms, timer: Timer) {
        self.cancel(slot);
        self.made += 1;
        let id = TimerId(at, self.made);
        self.queue.insert(id, timer);
        *slot = Some(id);
    }

    /// Takes the deadline that `slot` names out.
    pub(super) fn cancel(&mut self, slot: &mut Option<TimerId>) {
        if let Some(id) = slot.take() {
            self.queue.remove(&id);
        }
    }

    /// When the first one is due.
    pub(super) fn next(&self) -> Option<Ms> {
        self.queue.keys().next().map(|id| id.0)
    }

    /// The first one if it is due, taken out.
    pub(super) fn pop(&mut self, now: Ms) -> Option<Timer> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}
