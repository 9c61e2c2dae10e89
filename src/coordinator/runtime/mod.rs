//! The half of a coordinator that meets the world, once for all of them: one task per partition of the internal topic
//! that this broker leads.
//!
//! The task takes what is queued ([`mailbox`]), lets the shard decide, appends its records at once, replays them at the
//! offsets they got ([`append`]), and holds the replies until the high watermark has passed them ([`replies`]). Several
//! commands may wait for the replicas, or for the disk, at the same time: the next is decided while they do. Commands of
//! which none is judged by what another writes, as commits of offsets are, are decided one after another and
//! appended as one batch. The end of a transaction takes its place in the same queue, so that it is replayed in life where
//! the log has it. Either way state is never ahead of the log, so a failed append leaves nothing to take back. A
//! new leader first reads the partition from the start ([`loader`]).
//!
//! Invariants:
//! * Each request is answered exactly once: by the shard, or with a [`Refused`] when it is dropped.
//! * No reply leaves before everything it may have seen is replicated; also one without records, which waits for what
//!   was written before it. Nor does one while another broker may lead the partition: whoever asks is sent to look for it.
//! * A shard that nobody asks and that has no deadline costs nothing.

pub mod append;
pub mod loader;
pub mod mailbox;
mod replies;
mod shard_task;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

pub use mailbox::{Coordinator, Settings, TxnEnded};

use crate::env::net::BoxFuture;
use crate::replica::{TxnEnd, Verification};
use crate::types::{ErrorCode, LeaderEpoch, Offset};

/// The log of a partition that this broker leads, as a coordinator needs it. `replica` implements it.
///
/// Only the coordinator's task appends, apart from transaction markers.
pub trait PartitionLog: Send + Sync {
    /// Appends one batch as the leader, under the rules of acks=all, and returns the offset of its last record. The
    /// batch's offsets and leader epoch are filled in. Does not wait for replicas or for the disk. `verification` is for the
    /// first batch of a transaction.
    fn append(&self, batch: Vec<u8>, verification: Verification) -> Result<Offset, AppendError>;
    /// Appends the marker that ends a transaction in the partition, under the same rules, and returns its offset.
    fn append_marker(&self, end: &TxnEnd) -> Result<Offset, AppendError>;
    /// The high watermark: below it everything is replicated, and as durable as the topic wants it. The sender goes
    /// away when the partition is not led any more.
    fn high_watermark(&self) -> watch::Receiver<Offset>;
    /// Whole batches from the one that holds `from` on; at least one if there is any, else at most `max_bytes`. Nothing
    /// at the end of the log. Goes up to the end, not to the high watermark.
    fn read(&self, from: Offset, max_bytes: usize) -> BoxFuture<'_, Result<Bytes, ReadError>>;
    /// The largest batch that the partition takes: `max.message.bytes`, which may change at any time.
    fn max_batch_bytes(&self) -> usize;
    /// Offset of the first record.
    fn start_offset(&self) -> Offset;
    /// Offset after the last record.
    fn end_offset(&self) -> Offset;
    /// False while another broker may lead the partition without this one having heard of it: what it knows may be old.
    fn is_certain(&self) -> bool {
        true
    }
    /// The epoch of this leadership.
    fn leader_epoch(&self) -> LeaderEpoch;
}

/// Why a batch was not appended. Nothing of it is in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Another broker leads, or a newer epoch of this one.
    #[error("the partition is not led here any more")]
    NotLeader,
    /// Fewer replicas in sync than `min.insync.replicas`.
    #[error("not enough replicas are in sync")]
    NotEnoughReplicas,
    /// Above `max.message.bytes`.
    #[error("the batch is too large")]
    TooLarge,
    /// The disk is full. It may have room again.
    #[error("no room on the disk")]
    Full,
    /// The producer may not write this, or the coordinator may not end its transaction; Kafka's error.
    #[error("the producer may not write this: {0}")]
    Producer(ErrorCode),
    /// The disk failed.
    #[error("storage failed: {0}")]
    Storage(String),
}

/// Why the log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Another broker leads.
    #[error("the partition is not led here any more")]
    NotLeader,
    /// The disk failed.
    #[error("storage failed: {0}")]
    Storage(String),
}

/// Why a command got no answer from the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// This broker does not lead the partition (any more).
    #[error("this broker does not coordinate the partition")]
    NotCoordinator,
    /// The partition is being read.
    #[error("the partition is being loaded")]
    Loading,
    /// Too few replicas to write now.
    #[error("the coordinator cannot write now")]
    NotAvailable,
    /// What was written has not been replicated in time. It may be yet.
    #[error("the replicas have not confirmed the write in time")]
    TimedOut,
    /// The records are too large for the topic.
    #[error("the records are too large")]
    TooLarge,
    /// The producer of a transaction may not write this, or the coordinator may not end its transaction.
    #[error("the producer may not write this: {0}")]
    Producer(ErrorCode),
}

impl Refused {
    /// What a client is told, in general; some APIs differ.
    pub fn error_code(self) -> ErrorCode {
        match self {
            Refused::NotCoordinator => ErrorCode::NotCoordinator,
            Refused::Loading => ErrorCode::CoordinatorLoadInProgress,
            Refused::NotAvailable | Refused::TimedOut => ErrorCode::CoordinatorNotAvailable,
            Refused::TooLarge => ErrorCode::UnknownServerError,
            Refused::Producer(error) => error,
        }
    }
}

impl From<AppendError> for Refused {
    fn from(error: AppendError) -> Refused {
        match error {
            AppendError::NotLeader | AppendError::Storage(_) => Refused::NotCoordinator,
            AppendError::NotEnoughReplicas | AppendError::Full => Refused::NotAvailable,
            AppendError::TooLarge => Refused::TooLarge,
            AppendError::Producer(error) => Refused::Producer(error),
        }
    }
}

/// A shared log.
pub type SharedLog = Arc<dyn PartitionLog>;

#[cfg(test)]
mod memory_log;
#[cfg(test)]
#[path = "runtime_test.rs"]
mod tests;
