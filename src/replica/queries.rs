//! What else one can ask a partition: offsets by time, ends of epochs, producers, sizes.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::partition::{Isolation, Partition, Role, State, fault_code};
use crate::storage::dir::LogDir;
use crate::storage::producer_state::ProducerEntry;
use crate::storage::{FileSlice, ReadError, StorageError, TimestampFound};
use crate::types::{ErrorCode, LeaderEpoch, Ms, Offset, ProducerId};

/// How long after it has not changed the low watermark is looked at again.
const LOW_WATERMARK_LOOK: Duration = Duration::from_millis(200);

/// Which offset is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetQuery {
    /// The offset of the next record that a reader will see.
    Latest(Isolation),
    /// Where the log ends, which only replicas may know.
    LogEnd,
    /// The log start offset.
    Earliest,
    /// The record with the largest timestamp (KIP-734).
    MaxTimestamp(Isolation),
    /// The first record that is not older.
    AtOrAfter(Ms, Isolation),
}

impl OffsetQuery {
    /// True if answering may have to read segments.
    pub fn reads_the_disk(self) -> bool {
        matches!(self, OffsetQuery::MaxTimestamp(_) | OffsetQuery::AtOrAfter(..))
    }
}

/// An offset that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetAt {
    /// The offset.
    pub offset: Offset,
    /// Timestamp of the record there; -1 where the query was not for a time.
    pub timestamp: Ms,
    /// Leader epoch of the record there, or -1.
    pub leader_epoch: LeaderEpoch,
}

impl From<TimestampFound> for OffsetAt {
    fn from(found: TimestampFound) -> OffsetAt {
        OffsetAt { offset: found.offset, timestamp: found.timestamp, leader_epoch: found.leader_epoch }
    }
}

impl OffsetAt {
    /// What an answer says where there is no such record.
    pub const UNKNOWN: OffsetAt = OffsetAt { offset: -1, timestamp: -1, leader_epoch: -1 };
}

/// What a leader has deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// Everything below was to be deleted.
    pub to: Offset,
    /// The first offset that no replica which runs has deleted; -1 while that of some is not known.
    pub low_watermark: Offset,
}

impl Partition {
    /// Waits until everything that was appended before this call may be read, if this broker is the only in-sync
    /// replica; with others, that is theirs to say. Returns early if the partition is not led here any more.
    ///
    /// A producer with acks=1 is answered before the sync that raises the high watermark. Where a replica is alone,
    /// Kafka raises it before it answers, and clients count on it: they ask for the end of a log, or for a time, to see
    /// what they have just written.
    pub async fn settled(&self) {
        let (end, mut high_watermark) = {
            let mut state = self.lock();
            let alone = state.is_alone();
            let high_watermark = state.high_watermark;
            let end = state.log_if_any().map_or(0, |log| log.log_end_offset());
            if !alone || end <= high_watermark {
                return;
            }
            (end, state.watch_high_watermark())
        };
        // An error says that the partition has been given up, which the question itself will find.
        let _led_elsewhere = high_watermark.wait_for(|&readable| readable >= end).await;
    }

    /// Looks an offset up. `None` if there is no such record. May read from the disk, see
    /// [`OffsetQuery::reads_the_disk`].
    pub fn find_offset(
        &self,
        query: OffsetQuery,
        current_leader_epoch: LeaderEpoch,
    ) -> Result<Option<OffsetAt>, ErrorCode> {
        let mut state = self.lock();
        state.check_leader_epoch(current_leader_epoch)?;
        let failed = |fault: StorageError| fault_code(&fault);
        let found = match query {
            OffsetQuery::Latest(isolation) => {
                state.check_caught_up()?;
                let leader_epoch = state.leadership().map_err(|refused| refused.code)?;
                Some(OffsetAt { offset: state.readable_end(isolation)?, timestamp: -1, leader_epoch })
            }
            OffsetQuery::LogEnd => {
                let leader_epoch = state.leadership().map_err(|refused| refused.code)?;
                Some(OffsetAt { offset: state.log().log_end_offset(), timestamp: -1, leader_epoch })
            }
            OffsetQuery::Earliest => {
                let offset = state.log().log_start_offset();
                let epoch = state.log().epoch_for_offset(offset).map_err(failed)?;
                Some(OffsetAt { offset, timestamp: -1, leader_epoch: epoch.unwrap_or(-1) })
            }
            OffsetQuery::MaxTimestamp(isolation) => {
                let end = state.readable_end(isolation)?;
                let found = state.log().max_timestamp_offset().map_err(failed)?;
                found.filter(|at| at.offset < end).map(OffsetAt::from)
            }
            OffsetQuery::AtOrAfter(timestamp, isolation) => {
                let end = state.readable_end(isolation)?;
                let found = state.log().offset_for_timestamp(timestamp).map_err(failed)?;
                match found.filter(|at| at.offset < end) {
                    Some(at) => Some(OffsetAt::from(at)),
                    None => {
                        state.check_caught_up()?;
                        None
                    }
                }
            }
        };
        Ok(found)
    }

    /// The largest epoch at or below `epoch`, and the offset at which it ended; `None` if nothing is known of it.
    pub fn end_of_epoch(
        &self,
        epoch: LeaderEpoch,
        current_leader_epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
        let mut state = self.lock();
        state.check_leader_epoch(current_leader_epoch)?;
        if state.leadership().is_ok_and(|current| current == epoch) {
            // The log learns of an epoch with its first batch.
            return Ok(Some((epoch, state.log().log_end_offset())));
        }
        state.log().end_offset_for_epoch(epoch).map_err(|fault| fault_code(&fault))
    }

    /// Raises the log start offset to `before`, or to the high watermark where that is -1. Returns once that is durable
    /// here: what was deleted stays so after a power loss. Blocks for the disk.
    pub fn delete_records(&self, before: Offset) -> Result<Deleted, ErrorCode> {
        let (deleted, dir) = self.raise_log_start_offset(before)?;
        // Requests that come together share one write.
        dir.write_starts().map_err(|fault| fault_code(&fault))?;
        Ok(deleted)
    }

    /// Waits until every replica that runs begins at `to` or behind it, and gives back the low watermark. An error if this
    /// broker does not lead any more.
    pub async fn deleted_everywhere(&self, to: Offset) -> Result<Offset, ErrorCode> {
        loop {
            let mut changed = pin!(self.starts.notified());
            // Before the look, so that no change is missed.
            changed.as_mut().enable();
            let low_watermark = self.low_watermark()?;
            if low_watermark >= to {
                return Ok(low_watermark);
            }
            // That a broker is gone, and holds nothing up any more, is not told here.
            let _changed_or_time_to_look = tokio::time::timeout(LOW_WATERMARK_LOOK, changed).await;
        }
    }

    /// The first offset that no replica which runs has deleted.
    fn low_watermark(&self) -> Result<Offset, ErrorCode> {
        let mut state = self.lock();
        state.check_leader_epoch(-1)?;
        self.low_watermark_in(&mut state)
    }

    fn low_watermark_in(&self, state: &mut State) -> Result<Offset, ErrorCode> {
        let own_start = state.log().log_start_offset();
        match &state.role {
            Role::Leader(leader) => Ok(leader.low_watermark(own_start, &self.shared.brokers.load())),
            Role::NotLeader { .. } | Role::Offline | Role::Gone(_) => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    fn raise_log_start_offset(&self, before: Offset) -> Result<(Deleted, Arc<LogDir>), ErrorCode> {
        let mut state = self.lock();
        state.check_leader_epoch(-1)?;
        self.shared.lease.check()?;
        let cleanup = self.settings().log.cleanup;
        if cleanup.compact && !cleanup.delete {
            return Err(ErrorCode::PolicyViolation);
        }
        let to = if before == -1 { state.high_watermark } else { before };
        if to < 0 || to > state.high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        state.log().advance_log_start_offset(to).map_err(|refused| match refused {
            ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            ReadError::Fault(fault) => fault_code(&fault),
        })?;
        // Followers that wait take the start over now.
        state.follower_fetches.wake_all();
        let deleted = Deleted { to, low_watermark: self.low_watermark_in(&mut state)? };
        Ok((deleted, Arc::clone(state.log().log_dir())))
    }

    /// Producers that the log remembers.
    pub fn producers(&self) -> Result<Vec<(ProducerId, ProducerEntry)>, ErrorCode> {
        let mut state = self.lock();
        state.check_leader_epoch(-1)?;
        let producers = state.log().active_producers().map_err(|fault| fault_code(&fault))?;
        Ok(producers.into_iter().map(|(id, entry)| (id, entry.clone())).collect())
    }

    /// Whether this broker's lease holds: no other broker leads then what this one leads.
    pub fn has_lease(&self) -> bool {
        self.shared.lease.check().is_ok()
    }

    /// The epoch in which this broker leads; `None` if it does not.
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.lock().leadership().ok()
    }

    /// The log start offset and the log end offset; zeros if the log is given up.
    pub fn log_offsets(&self) -> (Offset, Offset) {
        let mut state = self.lock();
        state.log_if_any().map_or((0, 0), |log| (log.log_start_offset(), log.log_end_offset()))
    }

    /// Records from `from` on, up to the end of the log and not to the high watermark: for coordinators, which read what
    /// they themselves wrote. The first batch comes whole, the last may be cut off.
    pub fn read_to_end(&self, from: Offset, bytes_max: u32) -> Result<Option<FileSlice>, ErrorCode> {
        let mut state = self.lock();
        state.check_leader_epoch(-1)?;
        let log = state.log();
        let end = log.log_end_offset();
        match log.read(from, bytes_max, end, true) {
            Ok(outcome) => Ok(outcome.slice),
            Err(ReadError::OffsetOutOfRange { .. }) => Err(ErrorCode::OffsetOutOfRange),
            Err(ReadError::Fault(fault)) => Err(fault_code(&fault)),
        }
    }

    /// Bytes in the log's segments.
    pub fn size(&self) -> u64 {
        let mut state = self.lock();
        state.leadership().map_or(0, |_| state.log().size().unwrap_or(0))
    }

    /// The log directory that holds the partition's log, and the log's bytes; `None` if the log cannot be used. Asks the
    /// disk.
    pub fn log_size(&self) -> Option<(PathBuf, u64)> {
        let mut state = self.lock();
        let size = state.log().size().ok()?;
        Some((state.log().log_dir().path().to_owned(), size))
    }

    /// The high watermark.
    pub fn high_watermark(&self) -> Offset {
        self.lock().high_watermark
    }

    /// True if this broker leads the partition.
    pub fn is_leader(&self) -> bool {
        matches!(self.lock().role, Role::Leader(_))
    }
}
