//! Which partition of an internal topic a key belongs to.

use crate::types::PartitionIndex;

/// The topic that group coordinators keep their state in.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// The topic that transaction coordinators keep their state in.
pub const TRANSACTION_STATE: &str = "__transaction_state";
/// The topic that share coordinators keep their state in.
pub const SHARE_GROUP_STATE: &str = "__share_group_state";

/// The partition of a coordinator's topic that keeps `key`, which is a group's id, a transactional id or the text form of a
/// share partition: Java's `String.hashCode`, its sign taken off the way Kafka does, modulo the number of partitions. Every
/// broker, and every Kafka that wrote the topic, must agree on it.
///
/// `partitions` is at least 1.
pub fn partition_for(key: &str, partitions: i32) -> PartitionIndex {
    assert!(partitions > 0, "a topic has at least one partition");
    let hash = java_hash(key);
    // `i32::MIN` has no positive counterpart; Kafka's `Utils.abs` takes 0 for it.
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % partitions
}

/// `String.hashCode` of Java: over UTF-16 code units, wrapping.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("abc"), 96354);
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        assert_eq!(java_hash("gr\u{fc}ppe-\u{1f600}"), {
            let units: Vec<u16> = "gr\u{fc}ppe-\u{1f600}".encode_utf16().collect();
            units.iter().fold(0i32, |h, &u| h.wrapping_mul(31).wrapping_add(i32::from(u)))
        });
    }

    #[test]
    fn partitions_are_kafkas() {
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("abc", 50), 4);
        assert_eq!(partition_for("", 50), 0);
    }
}
