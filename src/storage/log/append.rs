//! What comes in: batches of a leader's clients, and batches that a follower got from its leader.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::{Log, files};
use crate::storage::fault::StorageError;
use crate::storage::producer_state::{ProducerError, ReplayError, Verdict, VerificationGuard};
use crate::storage::segment::{Appended, BatchAt, Files};
use crate::storage::validate::{AppendOrigin, AppendPlan, StoredError, check_stored};
use crate::types::{LeaderEpoch, Ms, Offset, ProducerEpoch, ProducerId};
use crate::wire::batch::{Batch, BatchHeader, HEADER_BYTES};
use crate::wire::control::{ControlRecord, EndTxnMarker, end_txn_batch};
use crate::wire::records::{RecordError, Records};

/// Batches at the end of the log whose places are remembered, so that tailing readers cost no search.
const RECENT_MAX: usize = 64;

/// What an append did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendInfo {
    /// Offset of the first record.
    pub first_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// The append time, where the topic has append times.
    pub append_time: Option<Ms>,
    /// The log start offset.
    pub log_start_offset: Offset,
    /// Bytes that the log grew by; 0 for a duplicate.
    pub bytes: u64,
    /// True if the batch had been appended before; the offsets are those it got then.
    pub duplicate: bool,
}

/// In whose name a leader appends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendBy {
    /// Client or coordinator.
    pub origin: AppendOrigin,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// What [`Log::begin_verification`] gave, if the transaction was verified.
    pub guard: Option<VerificationGuard>,
    /// `transaction.partition.verification.enable`: a first transactional batch must have been verified.
    pub verify: bool,
}

impl AppendBy {
    /// A client's batch outside of verified transactions.
    pub fn client(leader_epoch: LeaderEpoch) -> AppendBy {
        AppendBy { origin: AppendOrigin::Client, leader_epoch, guard: None, verify: false }
    }

    /// A batch of one of this node's coordinators.
    pub fn coordinator(leader_epoch: LeaderEpoch) -> AppendBy {
        AppendBy { origin: AppendOrigin::Coordinator, leader_epoch, guard: None, verify: false }
    }
}

/// Why an append was refused.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The producer may not write this now.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The batch is larger than a segment.
    #[error("a batch of {bytes} bytes does not fit into a segment of {max}")]
    TooLarge {
        /// Bytes of the batch.
        bytes: u64,
        /// `segment.bytes`.
        max: u32,
    },
    /// The leader's batches do not continue this log.
    #[error("the leader sent offset {found}, the log ends at {end}")]
    UnexpectedOffset {
        /// The first offset that came.
        found: Offset,
        /// The log end offset.
        end: Offset,
    },
    /// What the leader sent is damaged.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A control batch that cannot be read.
    #[error(transparent)]
    Control(#[from] ReplayError),
    /// The disk.
    #[error(transparent)]
    Fault(#[from] StorageError),
}

impl Log {
    /// Appends a batch that [`crate::storage::validate::validate`] has let pass. `input` is what was validated.
    /// Offsets and leader epoch are given here; the payload is written from where it lies.
    pub fn append_as_leader(
        &mut self,
        input: &[u8],
        plan: &mut AppendPlan,
        by: AppendBy,
        now: Ms,
    ) -> Result<AppendInfo, AppendError> {
        self.ready()?;
        let first = self.end;
        plan.assign(first, by.leader_epoch);
        let mut info = AppendInfo {
            first_offset: first,
            last_offset: plan.last_offset(),
            append_time: plan.append_time,
            log_start_offset: self.start,
            bytes: plan.bytes as u64,
            duplicate: false,
        };
        match self.producers.check(plan.header(), by.origin, by.guard, by.verify)? {
            Verdict::Append => {}
            Verdict::Duplicate(batch) => {
                (info.first_offset, info.last_offset) = (batch.first_offset(), batch.last_offset);
                info.append_time = info.append_time.map(|_| batch.timestamp);
                (info.bytes, info.duplicate) = (0, true);
                return Ok(info);
            }
        }
        let marker = if plan.header().is_control() {
            Batch::first_of(input).ok().map(|batch| marker_of(&batch)).transpose()?.flatten()
        } else {
            None
        };
        let place = BatchAt {
            base_offset: first,
            last_offset: plan.last_offset(),
            position: 0,
            bytes: plan.bytes as u32,
            max_timestamp: plan.max_timestamp,
            leader_epoch: by.leader_epoch,
        };
        let parts = [IoSlice::new(plan.header_bytes()), IoSlice::new(plan.payload(input))];
        self.write(&parts, &[place], now)?;
        self.took(plan.header(), marker)?;
        Ok(info)
    }

    /// Appends the marker that ends a transaction of producer `id`, if it may be appended
    /// ([`crate::storage::producer_state::ProducerState::check_marker`]). `txn_version` is that of the request which brought it.
    pub fn append_marker(
        &mut self,
        (id, epoch): (ProducerId, ProducerEpoch),
        marker: EndTxnMarker,
        txn_version: i16,
        leader_epoch: LeaderEpoch,
        now: Ms,
    ) -> Result<AppendInfo, AppendError> {
        self.ready()?;
        self.producers.check_marker(id, epoch, marker, txn_version)?;
        let batch = end_txn_batch(self.end, leader_epoch, id, epoch, marker, now);
        let header = Batch::first_of(&batch).map_err(StoredError::Batch)?.header();
        let bytes = batch.len() as u64;
        let place = BatchAt {
            base_offset: header.base_offset(),
            last_offset: header.last_offset(),
            position: 0,
            bytes: bytes as u32,
            max_timestamp: header.max_timestamp(),
            leader_epoch,
        };
        self.write(&[IoSlice::new(&batch)], &[place], now)?;
        self.took(header, Some(marker))?;
        Ok(AppendInfo {
            first_offset: place.base_offset,
            last_offset: place.last_offset,
            append_time: None,
            log_start_offset: self.start,
            bytes,
            duplicate: false,
        })
    }

    /// Appends what the leader sent, as it is. A batch that is cut off at the end is left out. Gives back the
    /// info of what was appended; `None` if there was no whole batch.
    pub fn append_as_follower(&mut self, input: &[u8], now: Ms) -> Result<Option<AppendInfo>, AppendError> {
        self.ready()?;
        let mut rest = input;
        let mut places: Vec<BatchAt> = Vec::new();
        let mut markers = VecDeque::new();
        let mut expected = self.end;
        while !rest.is_empty() {
            let batch = match check_stored(rest, expected) {
                Ok(batch) => batch,
                Err(StoredError::Batch(crate::wire::batch::BatchError::Truncated { .. })) => break,
                Err(StoredError::Offset { found, expected }) if places.is_empty() => {
                    return Err(AppendError::UnexpectedOffset { found, end: expected });
                }
                Err(error) => return Err(error.into()),
            };
            let header = batch.header();
            places.push(BatchAt {
                base_offset: header.base_offset(),
                last_offset: header.last_offset(),
                position: 0,
                bytes: batch.bytes().len() as u32,
                max_timestamp: header.max_timestamp(),
                leader_epoch: header.partition_leader_epoch(),
            });
            markers.push_back(marker_of(&batch)?);
            expected = header.next_offset();
            rest = &rest[batch.bytes().len()..];
        }
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(None) };
        let info = AppendInfo {
            first_offset: first.base_offset,
            last_offset: last.last_offset,
            append_time: None,
            log_start_offset: self.start,
            bytes: (input.len() - rest.len()) as u64,
            duplicate: false,
        };
        let mut taken = 0;
        let mut left = &places[..];
        while !left.is_empty() {
            let run = self.run_that_fits(left);
            let bytes: usize = left[..run].iter().map(|place| place.bytes as usize).sum();
            let part = &input[taken..taken + bytes];
            self.write(&[IoSlice::new(part)], &left[..run], now)?;
            let mut at = part;
            for place in &left[..run] {
                let (whole, behind) = at.split_at(place.bytes as usize);
                at = behind;
                // Checked above, so it is a batch.
                if let Ok(batch) = Batch::first_of(whole) {
                    self.took(batch.header(), markers.pop_front().flatten())?;
                }
            }
            taken += bytes;
            left = &left[run..];
        }
        Ok(Some(info))
    }

    /// How many of `places`, at least one, go into the segment that will take the first of them.
    fn run_that_fits(&mut self, places: &[BatchAt]) -> usize {
        let room = u64::from(self.config.segment_bytes);
        let (mut used, base) = match self.segments.active() {
            Some(active) if active.size > 0 => (u64::from(active.size), active.base),
            _ => (0, self.end),
        };
        if used + places.first().map_or(0, |place| u64::from(place.bytes)) > room {
            used = 0;
        }
        let mut count = 0;
        for place in places {
            used += u64::from(place.bytes);
            if count > 0 && (used > room || place.last_offset - base > i64::from(i32::MAX)) {
                break;
            }
            count += 1;
        }
        count
    }

    /// Writes `parts`, which hold the batches at `places`, and takes them into indexes and epochs.
    fn write(&mut self, parts: &[IoSlice<'_>], places: &[BatchAt], now: Ms) -> Result<(), AppendError> {
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(()) };
        let bytes: u64 = places.iter().map(|place| u64::from(place.bytes)).sum();
        let max_timestamp = places.iter().map(|place| place.max_timestamp).max().unwrap_or(-1);
        if bytes > u64::from(self.config.segment_bytes) {
            return Err(AppendError::TooLarge { bytes, max: self.config.segment_bytes });
        }
        let made = self.make_room(bytes, first.base_offset, last.last_offset, max_timestamp, now);
        self.after(made)?;
        let interval = self.config.index_interval_bytes;
        let Some(active) = self.segments.active() else { return Err(self.dir.offline().into()) };
        let mut position = active.size;
        let appended = places.iter().map(|place| Appended {
            last_offset: place.last_offset,
            max_timestamp: place.max_timestamp,
            bytes: place.bytes,
        });
        let written = active.append(files!(self), parts, appended, interval, now);
        self.after(written)?;
        for place in places {
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(BatchAt { position, ..*place });
            position += place.bytes;
            if place.leader_epoch >= 0 {
                self.epochs_dirty |= self.epochs.assign(place.leader_epoch, place.base_offset);
            }
        }
        self.end = last.last_offset + 1;
        self.changed = true;
        self.note_unsynced(now);
        if !self.data_noted {
            self.data_noted = true;
            self.dir.note_data(&self.tp);
        }
        Ok(())
    }

    pub(super) fn note_unsynced(&mut self, now: Ms) {
        if !self.unsynced_noted {
            self.unsynced_noted = true;
            (self.unsynced_since, self.unsynced_from) = (now, self.synced);
            self.dir.note_unsynced(&self.tp, now);
        }
    }

    /// Takes a batch that was written into the state of its producer.
    fn took(&mut self, header: BatchHeader<'_>, marker: Option<EndTxnMarker>) -> Result<(), StorageError> {
        let ended = self.producers.apply(header, marker);
        if let Some(txn) = ended.filter(|txn| txn.aborted) {
            let last = self.segments.len().saturating_sub(1);
            let loaded = self.load_aborted(last);
            self.after(loaded)?;
            let noted = match self.segments.active() {
                // What was made anew from the log has it already.
                Some(active)
                    if active.aborted().last().is_some_and(|last| last.last_offset >= txn.last_offset) =>
                {
                    Ok(())
                }
                Some(active) => active.note_aborted(files!(self), txn.into()),
                None => Ok(()),
            };
            match self.after(noted) {
                // Kept in memory, and written when there is room: at the latest when the segment is closed.
                Err(error) if error.is_full() => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Notes that a leader with `epoch` begins at the log end offset.
    pub fn begin_epoch(&mut self, epoch: LeaderEpoch) -> Result<(), StorageError> {
        self.ready()?;
        self.epochs_dirty |= self.epochs.assign(epoch, self.end);
        Ok(())
    }
}

/// The end of a transaction that a control batch tells of.
fn marker_of(batch: &Batch<'_>) -> Result<Option<EndTxnMarker>, ReplayError> {
    let header = batch.header();
    if !header.is_control() || !header.has_producer_id() || header.records_count() <= 0 {
        return Ok(None);
    }
    // Control batches are never compressed.
    let record = Records::of(batch).and_then(|mut records| records.next()).transpose()?;
    let record = record.ok_or(RecordError::TooFew(header.records_count()))?;
    match ControlRecord::parse(&record)? {
        ControlRecord::EndTxn(marker) => Ok(Some(marker)),
        _ => Ok(None),
    }
}

const _: () = assert!(HEADER_BYTES == 61, "the header is written in front of the payload as one part");
