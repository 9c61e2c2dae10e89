//! What transactions add to a partition: markers that end them, and the check before their first batch (KIP-98, KIP-890).

use std::sync::Arc;

use super::partition::{Acks, AppendError, Appended, Partition, Role, State};
use super::purgatory::ProduceWaitSlot;
use crate::storage::producer_state::VerificationGuard;
use crate::storage::{AppendInfo, ReadOutcome, StorageError};
use crate::types::{ErrorCode, Ms, Offset, ProducerEpoch, ProducerId};
use crate::wire::control::EndTxnMarker;

/// The end of a producer's transaction, as WriteTxnMarkers brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnEnd {
    /// Whose transaction.
    pub producer_id: ProducerId,
    /// The marker's epoch: that of the transaction, and one above with transaction version 2.
    pub producer_epoch: ProducerEpoch,
    /// How it ends, and the epoch of the coordinator that says so.
    pub marker: EndTxnMarker,
    /// The transaction's version; 0 where the request does not tell (KIP-1228).
    pub txn_version: i16,
}

/// A batch that is to be the first of its transaction in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnBegin {
    /// Whose transaction.
    pub producer_id: ProducerId,
    /// The transaction's epoch.
    pub producer_epoch: ProducerEpoch,
    /// The batch's first sequence number; -1 for what coordinators write.
    pub sequence: i32,
    /// True with transaction version 2.
    pub supports_epoch_bump: bool,
}

impl Partition {
    /// Appends the marker that ends a transaction, under the rules of acks=all, as the leader. The wait that this calls for
    /// is added to `wait` under `index`.
    ///
    /// # Errors
    ///
    /// `INVALID_PRODUCER_EPOCH` for a marker of an earlier transaction, `TRANSACTION_COORDINATOR_FENCED` for one of an
    /// earlier coordinator, and what every append may answer.
    pub fn append_marker(
        self: &Arc<Self>,
        end: &TxnEnd,
        now: Ms,
        index: usize,
        wait: &mut ProduceWaitSlot,
    ) -> Result<Appended, AppendError> {
        let settings = self.settings.load();
        let mut state = self.lock();
        let epoch = state.leadership()?;
        let rules = self.rules(&settings);
        if let Role::Leader(leader) = &state.role {
            leader.check_before_append(&rules)?;
        }
        let producer = (end.producer_id, end.producer_epoch);
        let appended = state.log().append_marker(producer, end.marker, end.txn_version, epoch, now);
        let info: AppendInfo = match appended {
            Ok(info) => info,
            Err(e) => return Err(self.refused(&mut state, e)),
        };
        Ok(self.after_append(state, &settings, &info, Acks::All, now, index, wait))
    }

    /// Begins the verification that a batch is part of a transaction which its coordinator knows of. `None` if the
    /// transaction is open here already, so that nothing has to be asked.
    ///
    /// # Errors
    ///
    /// `NOT_LEADER_OR_FOLLOWER`, and what else keeps a partition from being written to.
    pub fn begin_verification(
        &self,
        begin: &TxnBegin,
        now: Ms,
    ) -> Result<Option<VerificationGuard>, ErrorCode> {
        let mut state = self.lock();
        state.leadership().map_err(|refused| refused.code)?;
        let TxnBegin { producer_id, producer_epoch, sequence, supports_epoch_bump } = *begin;
        let begun =
            state.log().begin_verification(producer_id, producer_epoch, sequence, supports_epoch_bump, now);
        begun.map_err(|fault| super::partition::fault_code(&fault))
    }
}

impl State {
    /// The aborted transactions that concern what a reader of committed records was given: bounded by the bytes it was
    /// given, for every such transaction has records or a marker among them.
    pub(super) fn aborted_in(
        &mut self,
        from: Offset,
        read: &ReadOutcome,
        end: Offset,
    ) -> Result<Vec<(ProducerId, Offset)>, StorageError> {
        if read.slice.is_none() {
            return Ok(Vec::new());
        }
        let log = self.log();
        let upto = log.offset_behind(read, end)?;
        let aborted = log.aborted_transactions(from, upto)?;
        Ok(aborted.iter().map(|txn| (txn.producer_id, txn.first_offset)).collect())
    }

    /// Tells the log of the high watermark. True if transactions became stable by it, with records that may have been
    /// below it for long.
    pub(super) fn settle_transactions(&mut self) -> bool {
        let high_watermark = self.high_watermark;
        self.log().on_high_watermark(high_watermark)
    }
}
