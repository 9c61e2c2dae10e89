//! In which version a record is written, by the finalized level of `metadata.version`.
//!
//! Levels are those of Kafka's `MetadataVersion`; a broker or controller that can do a level can read what it writes.

use crate::schema::metadata::MetadataRecord;

/// Lowest `metadata.version` that Kafka 4 can run with: 3.3-IV3.
pub const METADATA_VERSION_MIN: i16 = 7;
/// 3.7-IV2: partitions name the directories of their replicas (KIP-858).
const DIRECTORY_ASSIGNMENT: i16 = 17;
/// 3.7-IV2 too: registrations name log directories.
const LOG_DIRS: i16 = 17;
/// 4.0-IV1: eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS: i16 = 23;
/// 4.3-IV0: cordoned log directories (KIP-1066).
const CORDONED_LOG_DIRS: i16 = 30;
/// The newest level that this release knows: 4.4-IV2.
pub const METADATA_VERSION_MAX: i16 = 33;

/// The version in which to write `record` while `metadata.version` is at `level`.
pub fn record_version(record: &MetadataRecord, level: i16) -> i16 {
    match record {
        MetadataRecord::RegisterBroker(_) => match level {
            CORDONED_LOG_DIRS.. => 4,
            LOG_DIRS.. => 3,
            // 3.4-IV0 names ZooKeeper brokers that migrate; 3.3-IV3 has controlled shutdown.
            8.. => 2,
            _ => 1,
        },
        MetadataRecord::BrokerRegistrationChange(_) => match level {
            CORDONED_LOG_DIRS.. => 3,
            LOG_DIRS.. => 2,
            _ => 1,
        },
        MetadataRecord::Partition(_) | MetadataRecord::PartitionChange(_) => match level {
            ELIGIBLE_LEADER_REPLICAS.. => 2,
            DIRECTORY_ASSIGNMENT.. => 1,
            _ => 0,
        },
        other => other.highest_version(),
    }
}
