//! Share groups (KIP-932): members read the same partitions, and nobody has to give anything up first.
//!
//! [`state`] is what the topic says, [`record`] how it stands there, [`assign`] who reads what, [`heartbeat`] serves members,
//! [`offsets`] what administrators ask of the group's positions. The positions themselves are kept by share coordinators: a
//! group only knows for which partitions they have begun a state, and assigns no others.

mod assign;
pub(super) mod heartbeat;
pub(super) mod offsets;
pub mod record;
pub mod state;
pub(super) mod tombstones;

pub use record::{Change, ShareGroupRecord};
pub use state::{Member, ShareGroup, Topics};

use crate::metadata::{ConfigResource, MetadataImage};
use crate::types::Ms;

/// Settings of share groups: what a group does not set for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareGroupConfigs {
    /// `group.share.session.timeout.ms`.
    pub session_timeout_ms: Ms,
    /// `group.share.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: Ms,
    /// `group.share.assignment.interval.ms`.
    pub assignment_interval_ms: Ms,
    /// `group.share.initialize.retry.interval.ms`: how long after it was asked for a state is asked for again.
    pub initialize_retry_ms: Ms,
    /// `group.share.max.size`: the most members.
    pub max_size: usize,
}

impl Default for ShareGroupConfigs {
    /// Kafka's defaults.
    fn default() -> Self {
        ShareGroupConfigs {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
            initialize_retry_ms: 30_000,
            max_size: 200,
        }
    }
}

impl ShareGroupConfigs {
    /// What holds for one group.
    pub fn of(mut self, group: &str, image: &MetadataImage) -> ShareGroupConfigs {
        let own = image.configs().of(&ConfigResource::group(group));
        let number = |key: &str, or: Ms| own.get(key).and_then(|text| text.trim().parse().ok()).unwrap_or(or);
        self.session_timeout_ms = number("share.session.timeout.ms", self.session_timeout_ms).max(1);
        self.heartbeat_interval_ms = number("share.heartbeat.interval.ms", self.heartbeat_interval_ms).max(1);
        // The broker's own key may change while it runs, for all brokers.
        let of_all = image.configs().of(&ConfigResource::cluster());
        let of_all = of_all.get("group.share.assignment.interval.ms");
        let of_all = of_all.and_then(|text| text.trim().parse().ok()).unwrap_or(self.assignment_interval_ms);
        self.assignment_interval_ms = number("share.assignment.interval.ms", of_all);
        self
    }
}

#[cfg(test)]
#[path = "group_test.rs"]
mod tests;
