//! Topics that Kafka keeps for itself.

/// Where group coordinators, share coordinators and transaction coordinators keep their state.
pub use crate::coordinator::routing::{CONSUMER_OFFSETS, SHARE_GROUP_STATE, TRANSACTION_STATE};

/// True for a topic that clients should not write to by themselves.
pub fn is_internal(topic: &str) -> bool {
    [CONSUMER_OFFSETS, TRANSACTION_STATE, SHARE_GROUP_STATE].contains(&topic)
}
