//! The broker's settings that the group coordinator looks at.

use crate::types::Ms;

/// Typed view of `group.*` and `offsets.*`; the fields are named after the properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfigs {
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members of one group, at least 1.
    pub max_size: usize,
    /// `offset.metadata.max.bytes`: the largest text with a committed offset. Kafka counts UTF-16 units; so does this.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: Ms,
    /// `offsets.retention.check.interval.ms`, at least 1.
    pub offsets_retention_check_interval_ms: Ms,
    /// `offsets.commit.timeout.ms`: how long a write may wait for the replicas.
    pub offsets_commit_timeout_ms: Ms,
    /// How long a JoinGroup of a member without a session may stay parked. Kafka has it fixed at five minutes.
    pub new_member_join_timeout_ms: i32,
    /// Member ids handed out to one group and not used yet (KIP-394); each costs memory until its session ends.
    pub max_pending_members: usize,
}

impl Default for GroupConfigs {
    /// Kafka's defaults.
    fn default() -> Self {
        GroupConfigs {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 10_080 * 60_000,
            offsets_retention_check_interval_ms: 600_000,
            offsets_commit_timeout_ms: 5_000,
            new_member_join_timeout_ms: 5 * 60_000,
            max_pending_members: 100_000,
        }
    }
}
