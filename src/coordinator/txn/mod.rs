//! The transaction coordinator's state machine: one shard is one partition of `__transaction_state` (pure).
//!
//! [`state`] is what the topic says of each transactional id; [`transitions`] are Kafka's rules for what may become of
//! one; [`pending`] are the markers that are owed to partitions; [`shard`] ties them to the contract of
//! [`crate::coordinator::shard`].
//!
//! A transaction ends in two steps. A record says how it is to end (`PrepareCommit`, `PrepareAbort`): from then on nothing
//! can change that, and each of its partitions is owed a marker. When all have theirs, a record says so
//! (`CompleteCommit`, `CompleteAbort`) and the next transaction may begin. Nothing in here can write to other partitions:
//! whoever does asks for work ([`command::Command::Work`]), gets it once the record is replicated, and tells what is
//! done. What a coordinator owes when it dies follows from its log, so its successor pays.

pub mod command;
pub mod config;
pub mod pending;
pub mod record;
pub mod shard;
pub mod state;
mod transitions;
mod waiting;

pub use command::{Command, Reply};
pub use config::TxnConfigs;
pub use shard::TxnShard;
pub use transitions::{EPOCH_LAST, EPOCH_MAX};

#[cfg(test)]
#[path = "txn_test.rs"]
mod tests;
