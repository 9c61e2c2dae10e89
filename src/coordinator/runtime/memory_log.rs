//! A log in memory, whose high watermark moves when told to.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{AppendError, PartitionLog, ReadError};
use crate::env::net::BoxFuture;
use crate::replica::{TxnEnd, Verification};
use crate::types::{LeaderEpoch, Offset};
use crate::wire::batch::{BatchHeader, set_base_offset};
use crate::wire::control::end_txn_batch;

/// See the module.
pub(super) struct MemoryLog {
    batches: Mutex<Vec<Vec<u8>>>,
    end: Mutex<Offset>,
    pub(super) high_watermark: Mutex<Option<watch::Sender<Offset>>>,
    /// Appends succeed at once when true.
    pub(super) replicates: AtomicBool,
    pub(super) fail: Mutex<Option<AppendError>>,
    /// Nobody else leads.
    pub(super) certain: AtomicBool,
    /// What came with the last append.
    pub(super) last_verification: Mutex<Verification>,
    epoch: LeaderEpoch,
}

impl MemoryLog {
    pub(super) fn new(epoch: LeaderEpoch) -> MemoryLog {
        MemoryLog {
            batches: Mutex::default(),
            end: Mutex::new(0),
            high_watermark: Mutex::new(Some(watch::Sender::new(0))),
            replicates: AtomicBool::new(true),
            fail: Mutex::default(),
            certain: AtomicBool::new(true),
            last_verification: Mutex::default(),
            epoch,
        }
    }

    /// The same content, led under another epoch.
    pub(super) fn led_again(&self, epoch: LeaderEpoch) -> MemoryLog {
        let again = MemoryLog::new(epoch);
        *again.batches.lock() = self.batches.lock().clone();
        *again.end.lock() = *self.end.lock();
        again.replicate();
        again
    }

    /// All content is gone and the end is where it was.
    pub(super) fn empty(&self) {
        self.batches.lock().clear();
    }

    /// How many batches were appended.
    pub(super) fn batches(&self) -> usize {
        self.batches.lock().len()
    }

    /// Everything written is replicated.
    pub(super) fn replicate(&self) {
        let end = *self.end.lock();
        if let Some(sender) = &*self.high_watermark.lock() {
            sender.send_replace(end);
        }
    }
}

impl PartitionLog for MemoryLog {
    fn append_marker(&self, end: &TxnEnd) -> Result<Offset, AppendError> {
        let TxnEnd { producer_id, producer_epoch, marker, .. } = *end;
        let batch = end_txn_batch(0, self.epoch, producer_id, producer_epoch, marker, 0);
        self.append(batch, Verification::default())
    }

    fn append(&self, mut batch: Vec<u8>, verification: Verification) -> Result<Offset, AppendError> {
        *self.last_verification.lock() = verification;
        if let Some(error) = self.fail.lock().clone() {
            return Err(error);
        }
        let last = {
            let mut end = self.end.lock();
            set_base_offset(&mut batch, *end);
            *end = BatchHeader::new(&batch).map_or(*end, |header| header.next_offset());
            self.batches.lock().push(batch);
            *end - 1
        };
        if self.replicates.load(Ordering::Relaxed) {
            self.replicate();
        }
        Ok(last)
    }

    fn high_watermark(&self) -> watch::Receiver<Offset> {
        match &*self.high_watermark.lock() {
            Some(sender) => sender.subscribe(),
            None => watch::channel(0).1,
        }
    }

    fn read(&self, from: Offset, _max_bytes: usize) -> BoxFuture<'_, Result<Bytes, ReadError>> {
        let batches = self.batches.lock();
        let found = batches.iter().find(|b| BatchHeader::new(b).is_some_and(|h| h.next_offset() > from));
        let found = found.map(|batch| Bytes::copy_from_slice(batch)).unwrap_or_default();
        Box::pin(async move { Ok(found) })
    }

    fn max_batch_bytes(&self) -> usize {
        1 << 20
    }

    fn start_offset(&self) -> Offset {
        0
    }

    fn end_offset(&self) -> Offset {
        *self.end.lock()
    }

    fn is_certain(&self) -> bool {
        self.certain.load(Ordering::Relaxed)
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        self.epoch
    }
}
