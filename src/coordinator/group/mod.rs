//! The group coordinator's state machine: one shard is one partition of `__consumer_offsets` (pure).
//!
//! [`state`] is what the topic says: groups as their last records have them, and committed offsets. [`classic`] is the
//! live side of classic groups: joins in flight, generations not yet written, sessions. [`offsets`] commits, fetches,
//! deletes and expires offsets; [`describe`] lists and describes; [`shard`] ties them to the contract of
//! [`crate::coordinator::shard`].
//!
//! [`modern`] is what the newer protocols have in common, [`consumer`] the one of KIP-848, [`assign`] its assignors. Groups of the others (share,
//! streams) that a Kafka broker wrote are kept apart as [`state::Foreign`]: their members are not served, their offsets
//! are.

pub mod assign;
pub mod classic;
pub mod command;
pub mod config;
pub mod consumer;
pub mod describe;
pub mod modern;
pub mod offsets;
pub mod record;
pub mod shard;
pub mod share;
pub mod state;
mod timers;

pub use command::{Command, Reply};
pub use config::GroupConfigs;
pub use shard::GroupShard;
