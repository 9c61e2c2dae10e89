//! Topics that Kafka keeps for itself.

/// Where group coordinators keep their state.
pub use crate::coordinator::routing::CONSUMER_OFFSETS;
/// Where transaction coordinators keep theirs.
pub use crate::coordinator::routing::TRANSACTION_STATE;
/// Share groups' positions.
pub const SHARE_GROUP_STATE: &str = "__share_group_state";

/// True for a topic that clients should not write to by themselves.
pub fn is_internal(topic: &str) -> bool {
    [CONSUMER_OFFSETS, TRANSACTION_STATE, SHARE_GROUP_STATE].contains(&topic)
}
