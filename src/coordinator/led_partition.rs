//! A partition that this broker leads, as a coordinator's log.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::runtime::{AppendError, PartitionLog, ReadError};
use crate::env::net::BoxFuture;
use crate::env::{Clock, Tasks};
use crate::replica::{self, Acks, Append, Partition, ProduceWaitSlot, TxnEnd, Verification};
use crate::storage::validate::AppendOrigin;
use crate::types::{ErrorCode, LeaderEpoch, Offset};
use crate::wire::batch::batches;

/// The partition, in one of its leaderships.
pub struct LedPartition {
    partition: Arc<Partition>,
    epoch: LeaderEpoch,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
}

impl LedPartition {
    /// `partition`, which this broker leads in `epoch`.
    pub fn new(
        partition: Arc<Partition>,
        epoch: LeaderEpoch,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Arc<LedPartition> {
        Arc::new(LedPartition { partition, epoch, clock, tasks })
    }

    /// What a refused append means to a coordinator.
    fn refused(&self, refused: replica::AppendError) -> AppendError {
        match refused.code {
            ErrorCode::NotEnoughReplicas => AppendError::NotEnoughReplicas,
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => AppendError::TooLarge,
            ErrorCode::NotLeaderOrFollower | ErrorCode::UnknownTopicOrPartition => AppendError::NotLeader,
            code @ (ErrorCode::InvalidTxnState
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::TransactionCoordinatorFenced) => AppendError::Producer(code),
            // A log that its disk has no room for is led on; one whose disk failed is not.
            ErrorCode::KafkaStorageError if self.partition.leader_epoch() == Some(self.epoch) => {
                AppendError::Full
            }
            other => AppendError::Storage(refused.message.unwrap_or_else(|| other.to_string())),
        }
    }
}

impl PartitionLog for LedPartition {
    fn append(&self, batch: Vec<u8>, verification: Verification) -> Result<Offset, AppendError> {
        if self.partition.leader_epoch() != Some(self.epoch) {
            return Err(AppendError::NotLeader);
        }
        let append = Append {
            acks: Acks::All,
            origin: AppendOrigin::Coordinator,
            now: self.clock.now(),
            index: 0,
            verification,
        };
        // The runtime follows the high watermark by itself.
        let mut nobody_waits = ProduceWaitSlot::default();
        let appended = self.partition.append(&batch, &append, &mut nobody_waits);
        appended.map(|appended| appended.last_offset).map_err(|refused| self.refused(refused))
    }

    fn append_marker(&self, end: &TxnEnd) -> Result<Offset, AppendError> {
        if self.partition.leader_epoch() != Some(self.epoch) {
            return Err(AppendError::NotLeader);
        }
        let mut nobody_waits = ProduceWaitSlot::default();
        let appended = self.partition.append_marker(end, self.clock.now(), 0, &mut nobody_waits);
        appended.map(|appended| appended.last_offset).map_err(|refused| self.refused(refused))
    }

    fn high_watermark(&self) -> watch::Receiver<Offset> {
        self.partition.watch_high_watermark()
    }

    fn read(&self, from: Offset, max_bytes: usize) -> BoxFuture<'_, Result<Bytes, ReadError>> {
        let partition = Arc::clone(&self.partition);
        Box::pin(async move {
            let bytes_max = u32::try_from(max_bytes).unwrap_or(u32::MAX);
            let work = move || {
                let slice = partition.read_to_end(from, bytes_max).map_err(|error| match error {
                    ErrorCode::NotLeaderOrFollower | ErrorCode::UnknownTopicOrPartition => {
                        ReadError::NotLeader
                    }
                    other => ReadError::Storage(other.to_string()),
                })?;
                let Some(slice) = slice else { return Ok(Bytes::new()) };
                let mut bytes = slice.read().map_err(|e| ReadError::Storage(e.to_string()))?;
                // The last batch may be cut off.
                let whole = batches(&bytes).map_while(Result::ok).map(|batch| batch.bytes().len()).sum();
                if whole == 0 {
                    return Err(ReadError::Storage(format!("the batch at {from} is damaged")));
                }
                bytes.truncate(whole);
                Ok(bytes.into())
            };
            self.tasks.run_blocking(work).await.unwrap_or(Err(ReadError::NotLeader))
        })
    }

    fn max_batch_bytes(&self) -> usize {
        self.partition.settings().log.validate.max_message_bytes
    }

    fn start_offset(&self) -> Offset {
        self.partition.log_offsets().0
    }

    fn end_offset(&self) -> Offset {
        self.partition.log_offsets().1
    }

    fn is_certain(&self) -> bool {
        self.partition.has_lease()
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        self.epoch
    }
}
