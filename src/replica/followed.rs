//! A partition that another broker leads: appended to, cut back, and told of the high watermark by its fetcher.
//!
//! Every call names the leader epoch that the fetcher follows. A fetcher that has not heard yet of a newer one finds itself
//! refused here, under the lock that the new role was taken under, so what an old leader has sent never gets into the log.

use std::sync::Arc;

use super::follower::LogView;
use super::partition::{Partition, Role, State};
use super::sync_notices::SyncNotices;
use crate::config::topic::Durability;
use crate::storage::{self, Log, ReadError, StorageError};
use crate::types::{LeaderEpoch, Ms, Offset};

/// Why a follower's log was not changed.
#[derive(Debug)]
pub(super) enum FollowError {
    /// This broker does not follow in that epoch any more.
    NotFollowing,
    /// What came does not continue the log, or is damaged.
    Refused(storage::AppendError),
    /// There is no room on the disk. Nothing was changed, and the same may work later.
    NoRoom,
    /// The disk has failed; the partition is offline.
    Disk,
}

/// What came of a partition with one fetch.
#[derive(Clone, Copy)]
pub(super) struct Took<'a> {
    /// Whole batches; the last may be cut off.
    pub(super) records: &'a [u8],
    /// The leader's high watermark.
    pub(super) high_watermark: Offset,
    /// The leader's log start offset.
    pub(super) log_start: Offset,
}

impl Partition {
    /// Begins to follow in `epoch`. Ended syncs are told to `notices` from here on.
    pub(super) fn follow(
        self: &Arc<Self>,
        epoch: LeaderEpoch,
        notices: &Arc<SyncNotices>,
    ) -> Result<LogView, FollowError> {
        let mut state = self.lock();
        state.following(epoch)?;
        state.sync_notices = Some(Arc::clone(notices));
        let view = view(&mut state).map_err(|fault| self.failed(&mut state, &fault))?;
        // What was appended under another leader must be synced too before it counts.
        let sync = self.settings.load().durability == Durability::Fsync && state.is_dirty();
        self.unlock(state, sync);
        Ok(view)
    }

    /// Appends what the leader sent, and takes over what it says of its log.
    pub(super) fn take(
        self: &Arc<Self>,
        epoch: LeaderEpoch,
        took: Took<'_>,
        now: Ms,
    ) -> Result<LogView, FollowError> {
        let mut state = self.lock();
        state.following(epoch)?;
        if !took.records.is_empty() {
            match state.log().append_as_follower(took.records, now) {
                Ok(_appended) => state.unseen_bytes += took.records.len() as i64,
                Err(storage::AppendError::Fault(fault)) => return Err(self.failed(&mut state, &fault)),
                Err(refused) => return Err(FollowError::Refused(refused)),
            }
        }
        if let Err(fault) = state.take_over(took.high_watermark, took.log_start) {
            return Err(self.failed(&mut state, &fault));
        }
        let view = view(&mut state).map_err(|fault| self.failed(&mut state, &fault))?;
        let sync = state.is_to_be_synced(self.settings.load().durability);
        self.unlock(state, sync);
        Ok(view)
    }

    /// Removes every record from `to` on. Blocks for the disk.
    pub(super) fn truncate(&self, epoch: LeaderEpoch, to: Offset) -> Result<LogView, FollowError> {
        self.shorten(epoch, |log| log.truncate_to(to))
    }

    /// Removes every record; the next one has the offset `at`. Blocks for the disk.
    pub(super) fn start_over(&self, epoch: LeaderEpoch, at: Offset) -> Result<LogView, FollowError> {
        self.shorten(epoch, |log| log.truncate_fully_and_start_at(at))
    }

    fn shorten(
        &self,
        epoch: LeaderEpoch,
        cut: impl FnOnce(&mut Log) -> Result<(), StorageError>,
    ) -> Result<LogView, FollowError> {
        let mut state = self.lock();
        state.following(epoch)?;
        cut(state.log()).map_err(|fault| self.failed(&mut state, &fault))?;
        let (start, end) = (state.log().log_start_offset(), state.log().log_end_offset());
        if end < state.high_watermark {
            tracing::warn!(
                "{}-{} loses what was acknowledged: the leader of epoch {epoch} ends below the high watermark {}, at {end}",
                self.topic(),
                self.index(),
                state.high_watermark
            );
        }
        state.high_watermark = state.high_watermark.clamp(start, end.max(start));
        view(&mut state).map_err(|fault| self.failed(&mut state, &fault))
    }

    /// The log as its fetcher sees it.
    pub(super) fn followed_view(&self, epoch: LeaderEpoch) -> Result<LogView, FollowError> {
        let mut state = self.lock();
        state.following(epoch)?;
        view(&mut state).map_err(|fault| self.failed(&mut state, &fault))
    }

    /// The largest epoch at or below `epoch` in this log, and its end.
    pub(super) fn own_end_of(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.lock().log_if_any()?.end_offset_for_epoch(epoch).ok()?
    }

    /// Where the log begins, and what of it is on the disk: what a fetch says besides the log's end. `None` if this broker
    /// does not follow in `epoch`.
    pub(super) fn fetched_bounds(&self, epoch: LeaderEpoch) -> Option<(Offset, Offset)> {
        let mut state = self.lock();
        state.following(epoch).ok()?;
        state.log_if_any().map(|log| (log.log_start_offset(), log.synced_end_offset()))
    }

    /// What of the log is on the disk; `None` if this broker does not follow in `epoch`.
    pub(super) fn synced_end(&self, epoch: LeaderEpoch) -> Option<Offset> {
        let mut state = self.lock();
        state.following(epoch).ok()?;
        state.log_if_any().map(|log| log.synced_end_offset())
    }

    /// The epoch in which another broker leads, as far as is known here.
    pub(super) fn followed_epoch(&self) -> Option<LeaderEpoch> {
        match self.lock().role {
            Role::NotLeader { epoch, .. } => Some(epoch),
            Role::Leader(_) | Role::Offline | Role::Gone(_) => None,
        }
    }

    fn failed(&self, state: &mut State, fault: &StorageError) -> FollowError {
        if fault.is_full() && !state.log().is_offline() {
            return FollowError::NoRoom;
        }
        self.went_offline(state, fault);
        FollowError::Disk
    }
}

impl State {
    fn following(&self, wanted: LeaderEpoch) -> Result<(), FollowError> {
        match self.role {
            Role::NotLeader { epoch, .. } if epoch == wanted => Ok(()),
            _ => Err(FollowError::NotFollowing),
        }
    }

    /// The leader's high watermark, as far as the log has come, and its log start. A new leader may know less of the high
    /// watermark than is known here; what was acknowledged stays so.
    fn take_over(&mut self, high_watermark: Offset, log_start: Offset) -> Result<(), StorageError> {
        let (start, end) = (self.log().log_start_offset(), self.log().log_end_offset());
        let to = high_watermark.min(end);
        // Consumers may be reading here (KIP-392).
        self.advance_high_watermark(to, None);
        let log_start = log_start.min(self.high_watermark);
        if log_start > start {
            match self.log().advance_log_start_offset(log_start) {
                // Bounded by the end of the log, so it is in range.
                Ok(_) | Err(ReadError::OffsetOutOfRange { .. }) => {}
                Err(ReadError::Fault(fault)) => return Err(fault),
            }
        }
        Ok(())
    }
}

/// The epoch is that of the last record: a leader that never wrote in its epoch has nothing of it to compare.
fn view(state: &mut State) -> Result<LogView, StorageError> {
    let high_watermark = state.high_watermark;
    let log = state.log();
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let last_epoch = if end > start { log.epoch_for_offset(end - 1)? } else { None };
    Ok(LogView { start, end, last_epoch, high_watermark })
}
