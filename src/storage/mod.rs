//! One broker's logs on disk, in Kafka's formats.
//!
//! # Files
//!
//! A log directory (`log.dirs`) holds a directory `topic-partition` for each partition that has ever had a
//! record, the checkpoint files ([`checkpoint`]), `meta.properties` and a lock file. A partition's directory
//! holds its segments, each named by its first offset: `.log`, `.index`, `.timeindex`, `.txnindex` (only with
//! aborted transactions), the `.snapshot` of producers where a segment begins; and `leader-epoch-checkpoint`
//! and `partition.metadata`.
//!
//! # Who may write
//!
//! [`Log`] is the only writer of a partition's directory, [`dir::LogDir`] of the files beside them. A [`Log`]
//! is owned by one partition; it does not know whether that partition leads.
//!
//! # Durability
//!
//! Appends reach the page cache. What is durable is said by [`Log::synced_end_offset`], and moves only when a
//! [`SyncJob`] has ended well. Nothing is ever synced twice after a failure: a failed sync ends the log
//! directory's use.
//!
//! A log start offset that DeleteRecords raised is durable before it is answered, and one that retention raises before
//! anybody sees it: no power loss brings records back to consumers (Kafka writes the starts of both every minute).
//! Segments go only once the start above them is durable.

pub mod checkpoint;
mod closing;
mod config;
pub mod dir;
mod fault;
mod index_file;
pub mod leader_epochs;
mod log;
mod manager;
mod offset_index;
pub mod producer_state;
mod recovery;
pub mod retention;
mod segment;
mod segments;
mod slice;
mod time_index;
mod txn_index;
pub mod validate;

pub use config::{CleanupPolicy, LogConfig};
pub use fault::{ReadError, StorageError};
pub use log::{AppendBy, AppendError, AppendInfo, Log, ReadOutcome, SyncDone, SyncJob, TimestampFound};
pub use manager::{ConfigOf, Due, Found, Manager, ManagerConfig, RecoveryProgress, Retired};
pub use slice::FileSlice;
pub use txn_index::AbortedTxn;

#[cfg(test)]
pub(crate) mod test_log;

#[cfg(test)]
#[path = "kafka_test.rs"]
mod kafka_tests;
