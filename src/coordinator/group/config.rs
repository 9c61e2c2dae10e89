//! The broker's settings that the group coordinator looks at.

use super::assign::Assignor;
use super::share::ShareGroupConfigs;
use crate::types::{Ms, NodeId};

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
    /// Settings of share groups.
    pub share: ShareGroupConfigs,
    /// Member ids handed out to one group and not used yet (KIP-394); each costs memory until its session ends.
    pub max_pending_members: usize,
    /// `group.consumer.*`.
    pub consumer: ConsumerConfigs,
    /// `node.id`: whose dynamic settings count.
    pub node_id: NodeId,
}

/// A span that a group may have a value of its own for, within bounds; in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis {
    /// What groups get that have none.
    pub value: Ms,
    /// The least that a group may have.
    pub min: Ms,
    /// The most that a group may have.
    pub max: Ms,
}

/// Typed view of `group.consumer.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerConfigs {
    /// `session.timeout.ms`: how long a member may stay silent.
    pub session_timeout_ms: Millis,
    /// `heartbeat.interval.ms`: how often members are told to send heartbeats.
    pub heartbeat_interval_ms: Millis,
    /// `assignment.interval.ms`: the shortest time between two assignments of a group.
    pub assignment_interval_ms: Millis,
    /// `max.size`: members of one group, at least 1.
    pub max_size: usize,
    /// `assignors`: the first is for groups whose members ask for none. Not empty.
    pub assignors: Vec<Assignor>,
    /// `migration.policy`.
    pub migration: MigrationPolicy,
    /// `regex.refresh.interval.ms`: how often expressions are matched anew though nothing seems to have changed.
    pub regex_refresh_ms: Ms,
}

impl Default for ConsumerConfigs {
    /// Kafka's defaults.
    fn default() -> Self {
        ConsumerConfigs {
            session_timeout_ms: Millis { value: 45_000, min: 45_000, max: 60_000 },
            heartbeat_interval_ms: Millis { value: 5_000, min: 5_000, max: 15_000 },
            assignment_interval_ms: Millis { value: 1_000, min: 0, max: 15_000 },
            max_size: i32::MAX as usize,
            assignors: vec![Assignor::Uniform, Assignor::Range],
            migration: MigrationPolicy::Bidirectional,
            regex_refresh_ms: 600_000,
        }
    }
}

/// Which ways groups may go between the protocols with members in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Neither.
    Disabled,
    /// To the consumer protocol.
    Upgrade,
    /// To the classic protocol.
    Downgrade,
    /// Both.
    Bidirectional,
}

impl MigrationPolicy {
    /// The policy of that name; case does not matter.
    pub fn from_name(name: &str) -> Option<MigrationPolicy> {
        let all = [
            ("disabled", MigrationPolicy::Disabled),
            ("upgrade", MigrationPolicy::Upgrade),
            ("downgrade", MigrationPolicy::Downgrade),
            ("bidirectional", MigrationPolicy::Bidirectional),
        ];
        all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim())).map(|(_, policy)| policy)
    }

    /// True if classic groups may become consumer groups.
    pub fn upgrades(self) -> bool {
        matches!(self, MigrationPolicy::Upgrade | MigrationPolicy::Bidirectional)
    }

    /// True if consumer groups may become classic ones.
    pub fn downgrades(self) -> bool {
        matches!(self, MigrationPolicy::Downgrade | MigrationPolicy::Bidirectional)
    }
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
            share: ShareGroupConfigs::default(),
            max_pending_members: 100_000,
            consumer: ConsumerConfigs::default(),
            node_id: -1,
        }
    }
}
