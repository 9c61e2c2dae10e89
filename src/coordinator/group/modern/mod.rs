//! What the groups of the newer protocols have in common: consumer groups (KIP-848), and after them share groups
//! (KIP-932) and Streams groups (KIP-1071).
//!
//! In all of them the coordinator assigns. A group has an epoch that rises with every change that asks for a new
//! assignment; a target assignment, computed for one of these epochs; and members that are led there, each with an epoch
//! of its own. [`GroupEpochs`] and [`MemberEpochs`] keep these books, [`Partitions`] is what somebody is to read,
//! [`hash`] tells whether the topics have changed, [`timers`] watches the members.

pub mod hash;
pub mod partitions;
pub mod timers;

pub use partitions::{Partitions, TopicIdPartition};

use crate::types::{ErrorCode, Ms};

/// The epoch with which a member joins, again too.
pub const JOIN_EPOCH: i32 = 0;
/// The epoch with which a member leaves for good, and that of a member that is about to be forgotten.
pub const LEAVE_EPOCH: i32 = -1;
/// The epoch with which a static member leaves to come back (KIP-848).
pub const LEAVE_STATIC_EPOCH: i32 = -2;
/// The epochs of a group that nothing was written of; its first change makes them 2.
pub const INITIAL_EPOCH: i32 = 1;

/// The longest that a group goes without looking whether its topics have changed. Changes are noticed when they come;
/// this is for what might be missed.
pub const METADATA_REFRESH_MS: Ms = 3_600_000;

/// Where a group stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEpochs {
    /// Rises with each change that asks for a new assignment.
    pub group: i32,
    /// [`hash::group_hash`] of the topics that the group reads; 0 if there are none.
    pub metadata_hash: i64,
    /// The group's epoch that the target assignment was computed for.
    pub target: i32,
    /// When that was; 0 if it is not known or there was none (KIP-1263).
    pub assigned_at: Ms,
}

impl Default for GroupEpochs {
    fn default() -> Self {
        GroupEpochs { group: INITIAL_EPOCH, metadata_hash: 0, target: INITIAL_EPOCH, assigned_at: 0 }
    }
}

impl GroupEpochs {
    /// True if the target may be computed anew: at most once per `interval_ms`, so that many who come or go at once lead
    /// to few assignments (KIP-1263). A clock that was set back does not stop a group for longer than the interval.
    pub fn may_assign(&self, now: Ms, interval_ms: Ms) -> bool {
        let since = now - self.assigned_at;
        self.assigned_at == 0 || interval_ms <= 0 || !(0..interval_ms).contains(&since)
    }
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberEpochs {
    /// What it was told last, or [`LEAVE_STATIC_EPOCH`].
    pub current: i32,
    /// What it was told before.
    pub previous: i32,
}

impl Default for MemberEpochs {
    fn default() -> Self {
        MemberEpochs { current: JOIN_EPOCH, previous: JOIN_EPOCH }
    }
}

impl MemberEpochs {
    /// The epochs after the member has been told `epoch`.
    pub fn then(self, epoch: i32) -> MemberEpochs {
        MemberEpochs { current: epoch, previous: self.current }
    }

    /// Refuses a heartbeat of another epoch. The one before is let pass if `owns_no_more` says that the member holds
    /// nothing but what it was given: then the answer that told it the new one was lost.
    pub fn check(
        self,
        received: i32,
        owns_no_more: impl FnOnce() -> bool,
    ) -> Result<(), (ErrorCode, String)> {
        let which = match received {
            _ if received == self.current => return Ok(()),
            _ if received > self.current => "greater",
            _ if received == self.previous && owns_no_more() => return Ok(()),
            _ => "smaller",
        };
        let message = format!(
            "The consumer group member has a {which} member epoch ({received}) than the one known by the group \
             coordinator ({}). The member must abandon all its partitions and rejoin.",
            self.current
        );
        Err((ErrorCode::FencedMemberEpoch, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_keep_their_interval() {
        let epochs = GroupEpochs { assigned_at: 10_000, ..GroupEpochs::default() };
        assert!(GroupEpochs::default().may_assign(10_000, 1_000), "the first one does not wait");
        assert!(!epochs.may_assign(10_999, 1_000));
        assert!(epochs.may_assign(11_000, 1_000));
        assert!(epochs.may_assign(10_000, 0));
        assert!(epochs.may_assign(9_999, 1_000), "the clock was set back");
    }

    #[test]
    fn the_epoch_before_passes_if_an_answer_was_lost() {
        let epochs = MemberEpochs::default().then(5).then(7);
        assert_eq!(epochs.check(7, || false), Ok(()));
        assert_eq!(epochs.check(5, || true), Ok(()));
        for (epoch, owns_no_more) in [(5, false), (6, true), (8, true), (0, true)] {
            assert_eq!(epochs.check(epoch, || owns_no_more).unwrap_err().0, ErrorCode::FencedMemberEpoch);
        }
    }
}
