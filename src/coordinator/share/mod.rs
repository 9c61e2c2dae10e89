//! The share coordinator's state machine (KIP-932): one shard is one partition of `__share_group_state` (pure).
//!
//! It keeps, for each partition that a share group reads, where the group is and which records behind that are
//! delivered. Leaders of those partitions read the state when they begin to serve a group, and write what changes
//! ([`crate::share_partition`]); the group coordinator initialises and deletes it.
//!
//! [`state`] is what the topic says; [`record`] its form in the log; [`shard`] decides. A **snapshot** stands alone, an
//! **update** adds to the state before it. After some updates a snapshot is written, so that what lies before the oldest
//! snapshot that counts is of no use any more: [`Command::Redundant`] says up to where, and the node has it deleted.
//!
//! Two epochs fence writers: the **leader epoch** of the partition, and the **state epoch**, which grows whenever the
//! state is initialised anew.

pub mod command;
pub mod config;
pub mod record;
pub mod shard;
pub mod state;

pub use command::{Command, Reply};
pub use config::ShareConfigs;
pub use shard::ShareShard;
pub use state::{ShareKey, StateBatch};

#[cfg(test)]
#[path = "share_test.rs"]
mod tests;
