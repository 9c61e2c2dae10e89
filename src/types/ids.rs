//! Identities, offsets and epochs.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Id of a broker or controller, `node.id`; 0 and up. -1 on the wire means "no node".
pub type NodeId = i32;
/// Number of a partition within its topic, 0 and up.
pub type PartitionIndex = i32;
/// Position of a record in a partition, 0 and up.
pub type Offset = i64;
/// Epoch of a partition's leadership, 0 and up; -1 means "unknown" (KIP-101).
pub type LeaderEpoch = i32;
/// Epoch of a broker's registration: the metadata offset of its `RegisterBrokerRecord` (KIP-631).
pub type BrokerEpoch = i64;
/// Id of an idempotent or transactional producer, 0 and up; -1 means "none" (KIP-98).
pub type ProducerId = i64;
/// Epoch of a producer id, 0 and up; -1 means "none" (KIP-98).
pub type ProducerEpoch = i16;
/// Name of a topic; shared, since it is kept in many places.
pub type TopicName = Arc<str>;

/// The id of a topic (KIP-516): 128 bits, shown as 22 characters of URL-safe base64.
///
/// The nil id means "no topic id".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// No topic id.
    pub const NIL: TopicId = TopicId(Uuid::nil());
    /// The id of `__cluster_metadata`, the same in every cluster.
    pub const METADATA: TopicId = TopicId(Uuid::from_u128(1));

    /// True for [`TopicId::NIL`].
    pub fn is_nil(self) -> bool {
        self.0.is_nil()
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&uuid_to_base64(self.0))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Kafka's text form of a UUID: URL-safe base64 without padding, 22 characters.
pub fn uuid_to_base64(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// The reverse of [`uuid_to_base64`]; padding is accepted, as Kafka does. `None` unless the text names 16 bytes.
pub fn uuid_from_base64(text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    Some(Uuid::from_bytes(bytes.try_into().ok()?))
}

/// A partition by the name of its topic.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: TopicName,
    /// The partition's number.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    pub fn new(topic: impl Into<TopicName>, partition: PartitionIndex) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_kafkas_text_form() {
        let id = Uuid::from_u128(1);
        assert_eq!(uuid_to_base64(id), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(uuid_from_base64("AAAAAAAAAAAAAAAAAAAAAQ"), Some(id));
        assert_eq!(uuid_from_base64("AAAAAAAAAAAAAAAAAAAAAQ=="), Some(id));
        assert_eq!(uuid_from_base64("AAAA"), None);
        assert_eq!(uuid_from_base64("not base64!"), None);
    }
}
