//! Words of the domain, with no behaviour of their own.
//!
//! Everything may import this module; it imports nothing of ours.

mod error_code;
mod ids;
mod planted;
mod rng;
mod transaction_version;

pub use error_code::ErrorCode;
pub use ids::{
    BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId, TopicName,
    TopicPartition, uuid_from_base64, uuid_to_base64,
};
pub use planted::Bug;
pub use rng::Rng;
pub use transaction_version::TransactionVersion;

/// Milliseconds since the Unix epoch, or a span of milliseconds. -1 often means "none" on the wire.
pub type Ms = i64;

/// A hash map with a fixed seed, for data paths; iteration order is the same in every run.
pub type FastMap<K, V> = rustc_hash::FxHashMap<K, V>;

/// A hash set with a fixed seed, for data paths; iteration order is the same in every run.
pub type FastSet<K> = rustc_hash::FxHashSet<K>;
