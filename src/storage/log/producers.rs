//! What the log knows of producers and their transactions: [`crate::storage::producer_state::ProducerState`], for its owner.

use super::Log;
use super::append::AppendError;
use crate::storage::fault::StorageError;
use crate::storage::producer_state::{ProducerEntry, VerificationGuard};
use crate::types::{Ms, Offset, ProducerEpoch, ProducerId};
use crate::wire::control::EndTxnMarker;

impl Log {
    /// [`crate::storage::producer_state::ProducerState::check_marker`]: whether a transaction marker may be appended.
    pub fn check_marker(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        marker: EndTxnMarker,
        txn_version: i16,
    ) -> Result<(), AppendError> {
        self.ready()?;
        Ok(self.producers.check_marker(id, epoch, marker, txn_version)?)
    }

    /// [`crate::storage::producer_state::ProducerState::begin_verification`] (KIP-890).
    pub fn begin_verification(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        sequence: i32,
        supports_epoch_bump: bool,
        now: Ms,
    ) -> Result<Option<VerificationGuard>, StorageError> {
        self.ready()?;
        Ok(self.producers.begin_verification(id, epoch, sequence, supports_epoch_bump, now))
    }

    /// What is known of producers, ordered by id (DescribeProducers).
    pub fn active_producers(&mut self) -> Result<Vec<(ProducerId, &ProducerEntry)>, StorageError> {
        self.ready()?;
        Ok(self.producers.producers())
    }

    /// True if the producer has an open transaction of that epoch here.
    pub fn has_ongoing_txn(&mut self, id: ProducerId, epoch: ProducerEpoch) -> Result<bool, StorageError> {
        self.ready()?;
        Ok(self.producers.has_ongoing_txn(id, epoch))
    }

    /// Forgets producers that were silent for `expiration_ms`.
    pub fn remove_expired_producers(&mut self, now: Ms, expiration_ms: Ms) {
        self.producers.remove_expired(now, expiration_ms);
    }

    /// Takes note of the high watermark, below which ended transactions are stable. True if some became so by that.
    pub fn on_high_watermark(&mut self, high_watermark: Offset) -> bool {
        self.producers.on_high_watermark(high_watermark)
    }

    /// The same for a log that may not have been read yet, and then does not know which of its markers are replicated.
    pub fn settle(&mut self, high_watermark: Offset) -> Result<(), StorageError> {
        self.ready()?;
        self.producers.on_high_watermark(high_watermark);
        Ok(())
    }

    /// The last stable offset under this high watermark: below it no transaction is open.
    pub fn last_stable_offset(&mut self, high_watermark: Offset) -> Result<Offset, StorageError> {
        // A log that was stopped in order and not used since may end in an open transaction.
        self.ready()?;
        let first = self.producers.first_unstable_offset();
        // Records of an open transaction may be deleted from the front.
        Ok(first.map_or(high_watermark, |first| first.max(self.start).min(high_watermark)))
    }
}
