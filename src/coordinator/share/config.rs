//! Settings of the share coordinator.

/// What a shard must know; the names are the broker's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareConfigs {
    /// `share.coordinator.snapshot.update.records.per.snapshot`: updates between two snapshots of one state, 0 to 500.
    pub update_records_per_snapshot: u32,
}

impl Default for ShareConfigs {
    /// Kafka's default.
    fn default() -> Self {
        ShareConfigs { update_records_per_snapshot: 500 }
    }
}
