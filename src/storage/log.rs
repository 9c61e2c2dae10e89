//! The log of one partition: its only writer, its only reader.
//!
//! A plain struct; its owner keeps it behind a short lock. Appends and reads go to the page cache. Whatever
//! waits for the disk is a [`SyncJob`] that the owner runs elsewhere and reports back ([`Log::sync_job`],
//! [`Log::synced`]).
//!
//! # Invariants
//!
//! * `start <= synced <= end` unless the start was moved past what is synced; all below `synced` is durable,
//!   with the names, indexes and epochs that reading it back needs.
//! * State changes after the write that it describes has succeeded. A write that fails is cut off again: the
//!   log is as it was. Out of room is an answer ([`StorageError::Full`]); any other failure takes the log out
//!   of use.
//! * After a failed sync the log and its directory accept nothing more: the kernel has marked the pages
//!   clean, so a second sync would lie (ATC'20, "Can applications recover from fsync failures?").
//! * A log without records has no file and no directory; both come with the first append.
//! * Truncations are synced before they return: they are rare, and a crash must not bring back what a later
//!   append has half overwritten. Segments that retention removes go only when the new log start offset is
//!   durable ([`Log::reap`]), so that no crash leaves a hole.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogConfig;
use super::checkpoint::{PARTITION_METADATA, partition_metadata_content};
use super::dir::LogDir;
use super::fault::{At, ReadError, StorageError};
use super::leader_epochs::LeaderEpochs;
use super::producer_state::{
    ProducerEntry, ProducerError, ProducerState, ReplayError, Verdict, VerificationGuard,
};
use super::recovery;
use super::retention::{self, Limits, SegmentInfo};
use super::segment::{
    Appended, BatchAt, DELETED, Files, INDEX, LOG, SNAPSHOT, Segment, TIME_INDEX, TXN_INDEX,
};
use super::segments::Segments;
use super::slice::FileSlice;
use super::txn_index::AbortedTxn;
use super::validate::{AppendOrigin, AppendPlan, StoredError, check_stored};
use crate::env::File;
use crate::env::disk::{OpenMode, put_in_place, read_exact_at, replace_file, write_beside};
use crate::types::{LeaderEpoch, Ms, Offset, ProducerEpoch, ProducerId, TopicId, TopicPartition};
use crate::wire::batch::{Batch, BatchHeader, HEADER_BYTES};
use crate::wire::compress::{self, Codec};
use crate::wire::control::{ControlRecord, EndTxnMarker};
use crate::wire::records::{RecordError, Records};

/// Leader epochs in a partition's directory.
pub(super) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
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

/// What a read found.
#[derive(Clone, Debug)]
pub struct ReadOutcome {
    /// The bytes: whole batches, but for the last one, which may be cut off. `None` if there is nothing to
    /// read yet.
    pub slice: Option<FileSlice>,
    /// Base offset of the segment that was read or will be written.
    pub segment_base: Offset,
    /// Where in that segment the bytes begin.
    pub position: u32,
    /// True if the first batch alone is larger than what was asked for.
    pub first_is_cut: bool,
}

/// A record found by its timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampFound {
    /// The record's timestamp.
    pub timestamp: Ms,
    /// Its offset.
    pub offset: Offset,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

/// One partition's log. See the module.
pub struct Log {
    pub(super) dir: Arc<LogDir>,
    pub(super) path: Box<Path>,
    pub(super) tp: TopicPartition,
    pub(super) topic_id: TopicId,
    pub(super) config: Arc<LogConfig>,
    registration: u64,
    /// False until the directory was looked at, which the first use does.
    pub(super) loaded: bool,
    pub(super) has_dir: bool,
    failed: bool,
    in_flight: bool,
    dir_dirty: bool,
    parent_dirty: bool,
    pub(super) epochs_dirty: bool,
    /// Whether records came or went since the log was opened.
    changed: bool,
    unsynced_noted: bool,
    data_noted: bool,
    generation: u32,
    pub(super) start: Offset,
    pub(super) synced: Offset,
    pub(super) end: Offset,
    unsynced_since: Ms,
    unsynced_from: Offset,
    pub(super) segments: Segments,
    recent: VecDeque<BatchAt>,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: ProducerState,
    /// Files besides the segments' that the next sync covers.
    pub(super) also_sync: Vec<Arc<dyn File>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({} {}..{}..{})", self.tp, self.start, self.synced, self.end)
    }
}

macro_rules! files {
    ($log:expr) => {
        Files { disk: &**$log.dir.disk(), dir: &$log.path }
    };
}
pub(super) use files;

/// What must be synced for the log to be durable up to `upto`. [`SyncJob::run`] blocks; the log may be
/// appended to meanwhile.
#[derive(Debug)]
pub struct SyncJob {
    tp: TopicPartition,
    dir: Arc<LogDir>,
    files: Vec<Arc<dyn File>>,
    replace: Vec<(PathBuf, Vec<u8>)>,
    dirs: Vec<PathBuf>,
    upto: Offset,
    generation: u32,
}

/// The outcome of a [`SyncJob`], for [`Log::synced`].
#[derive(Debug)]
#[must_use = "the log must be told"]
pub struct SyncDone {
    upto: Offset,
    generation: u32,
    result: Result<(), StorageError>,
}

impl SyncJob {
    /// The partition.
    pub fn partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// Everything below it is durable when the job has succeeded.
    pub fn upto(&self) -> Offset {
        self.upto
    }

    /// Does the work. Blocks for as long as the disk takes.
    pub fn run(self) -> SyncDone {
        let result = self.sync();
        if let Err(error) = &result {
            // Out of room counts too: what was written may be gone.
            self.dir.fail(error);
        }
        SyncDone { upto: self.upto, generation: self.generation, result }
    }

    /// The work without its syncs, for many logs at once, in two steps: after each of them the caller syncs the whole
    /// file system, and at the end says so with [`SyncJob::synced_by`]. Blocks.
    pub fn write_files(&self) -> Result<(), StorageError> {
        for (path, content) in &self.replace {
            write_beside(&**self.dir.disk(), path, content).at(path)?;
        }
        Ok(())
    }

    /// The second step after [`SyncJob::write_files`].
    pub fn put_files_in_place(&self) -> Result<(), StorageError> {
        for (path, _) in &self.replace {
            put_in_place(&**self.dir.disk(), path).at(path)?;
        }
        Ok(())
    }

    /// The outcome, once everything on the file system is durable, or not.
    pub fn synced_by(self, outcome: Result<(), StorageError>) -> SyncDone {
        if let Err(error) = &outcome {
            self.dir.fail(error);
        }
        SyncDone { upto: self.upto, generation: self.generation, result: outcome }
    }

    fn sync(&self) -> Result<(), StorageError> {
        for file in &self.files {
            file.sync().at(&self.dir.path().join(self.tp.to_string()))?;
        }
        for (path, content) in &self.replace {
            replace_file(&**self.dir.disk(), path, content).at(path)?;
        }
        for path in &self.dirs {
            self.dir.disk().sync_dir(path).at(path)?;
        }
        Ok(())
    }
}

impl Log {
    /// A log that is known by its name only: nothing is read before it is used. `start` and `end` are what
    /// checkpoints say; `exists` is true if it has a directory.
    pub(super) fn dormant(
        dir: Arc<LogDir>,
        tp: TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        start: Offset,
        end: Offset,
        exists: bool,
    ) -> Log {
        let path = dir.path().join(tp.to_string()).into_boxed_path();
        let registration = if exists { dir.register(&tp, end, start) } else { 0 };
        Log {
            dir,
            path,
            tp,
            topic_id,
            config,
            registration,
            loaded: !exists,
            has_dir: exists,
            failed: false,
            in_flight: false,
            dir_dirty: false,
            parent_dirty: false,
            epochs_dirty: false,
            changed: false,
            unsynced_noted: false,
            data_noted: false,
            generation: 0,
            start,
            synced: end,
            end,
            unsynced_since: 0,
            unsynced_from: end,
            segments: Segments::default(),
            recent: VecDeque::new(),
            epochs: LeaderEpochs::new(),
            producers: ProducerState::default(),
            also_sync: Vec::new(),
        }
    }

    // --- what it is
    // ------------------------------------------------------------------------------------------------

    /// The partition.
    pub fn partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// The directory it is in.
    pub fn log_dir(&self) -> &Arc<LogDir> {
        &self.dir
    }

    /// The settings in use.
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Says whose log it is, and writes that down if the directory does not know yet.
    pub(super) fn set_topic_id(&mut self, topic_id: TopicId, write: bool) -> Result<(), StorageError> {
        self.topic_id = topic_id;
        if write && self.has_dir {
            let path = self.path.join(PARTITION_METADATA);
            let written =
                replace_file(&**self.dir.disk(), &path, &partition_metadata_content(topic_id)).at(&path);
            self.after(written)?;
        }
        Ok(())
    }

    /// Takes new settings into use, from the next append on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// Offset of the first record that may be read.
    pub fn log_start_offset(&self) -> Offset {
        self.start
    }

    /// Offset behind the last record.
    pub fn log_end_offset(&self) -> Offset {
        self.end
    }

    /// Everything below it is durable.
    pub fn synced_end_offset(&self) -> Offset {
        self.synced
    }

    /// True once a fault took the log or its directory out of use.
    pub fn is_offline(&self) -> bool {
        self.failed || self.dir.is_failed()
    }

    /// Bytes of all segments.
    pub fn size(&mut self) -> Result<u64, StorageError> {
        self.ready()?;
        Ok(self.segments.bytes())
    }

    /// Number of segments; 0 if nothing was ever appended.
    pub fn segment_count(&mut self) -> Result<usize, StorageError> {
        self.ready()?;
        Ok(self.segments.len())
    }

    /// Looks at the directory if that has not happened yet.
    pub(super) fn ready(&mut self) -> Result<(), StorageError> {
        if self.is_offline() {
            return Err(StorageError::Offline { path: self.path.to_path_buf() });
        }
        if self.loaded {
            return Ok(());
        }
        self.load(true)
    }

    /// Looks at the directory; walks the log from its recovery point on unless the last stop was `clean`.
    /// Blocks.
    pub(super) fn load(&mut self, clean: bool) -> Result<(), StorageError> {
        let loaded = recovery::load(self, clean);
        self.after(loaded)?;
        if self.end > self.start && !self.data_noted {
            self.data_noted = true;
            self.dir.note_data(&self.tp);
        }
        self.unsynced_from = self.synced;
        self.dir.note_start(&self.tp, self.registration, self.start);
        self.dir.note_synced(&self.tp, self.registration, self.synced, self.synced == self.end);
        Ok(())
    }

    fn fail(&mut self, error: &StorageError) {
        if !self.failed {
            tracing::error!(partition = %self.tp, %error, "log is offline");
        }
        self.failed = true;
        self.dir.note_fault(&self.tp);
    }

    /// A fault other than lack of room takes the log out of use.
    fn after<T>(&mut self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &result
            && !error.is_full()
        {
            self.fail(error);
        }
        self.dir.watch(result)
    }

    // --- append
    // ----------------------------------------------------------------------------------------------------

    /// Appends a batch that [`super::validate::validate`] has let pass. `input` is what was validated.
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

    fn note_unsynced(&mut self, now: Ms) {
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
            let noted = match self.segments.active() {
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

    // --- producers
    // -------------------------------------------------------------------------------------------------

    /// [`ProducerState::check_marker`]: whether a transaction marker may be appended.
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

    /// [`ProducerState::begin_verification`] (KIP-890).
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

    /// Takes note of the high watermark, below which ended transactions are stable.
    pub fn on_high_watermark(&mut self, high_watermark: Offset) {
        self.producers.on_high_watermark(high_watermark);
    }

    /// The last stable offset under this high watermark: below it no transaction is open.
    pub fn last_stable_offset(&mut self, high_watermark: Offset) -> Result<Offset, StorageError> {
        // A log that was stopped in order and not used since may end in an open transaction.
        self.ready()?;
        Ok(self.producers.first_unstable_offset().map_or(high_watermark, |first| first.min(high_watermark)))
    }

    /// Sees to it that there is an active segment with room for a batch.
    fn make_room(
        &mut self,
        bytes: u64,
        first: Offset,
        last: Offset,
        max_timestamp: Ms,
        now: Ms,
    ) -> Result<(), StorageError> {
        let Some(active) = self.segments.active() else {
            return self.first_segment(first, now);
        };
        let config = &self.config;
        if active.size == 0 {
            return if active.can_hold(last) { Ok(()) } else { self.roll(first, now) };
        }
        let too_old = {
            let jitter = jitter(&self.tp, active.base, config.segment_jitter_ms);
            let waited = match active.first_timestamp(files!(self))? {
                Some(since) if max_timestamp >= 0 => max_timestamp.saturating_sub(since),
                Some(_) => 0,
                None => now.saturating_sub(active.created),
            };
            waited > config.segment_ms.saturating_sub(jitter)
        };
        if u64::from(active.size) + bytes > u64::from(config.segment_bytes)
            || too_old
            || active.indexes_full(config.segment_index_bytes)
            || !active.can_hold(last)
        {
            return self.roll(first, now);
        }
        Ok(())
    }

    /// Makes the directory and the first segment.
    fn first_segment(&mut self, base: Offset, now: Ms) -> Result<(), StorageError> {
        self.make_dir()?;
        let segment = Segment::create(files!(self), base, now)?;
        self.preallocate(&segment);
        self.segments.push(segment);
        self.dir_dirty = true;
        Ok(())
    }

    fn make_dir(&mut self) -> Result<(), StorageError> {
        if self.has_dir {
            return Ok(());
        }
        self.dir.make_way(&self.tp)?;
        self.dir.disk().create_dir_all(&self.path).at(&self.path)?;
        self.registration = self.dir.register(&self.tp, self.start, self.start);
        (self.parent_dirty, self.dir_dirty) = (true, true);
        let path = self.path.join(PARTITION_METADATA);
        let file = self.dir.disk().open(&path, OpenMode::Create).at(&path)?;
        file.set_len(0).at(&path)?;
        file.write_at(0, &[IoSlice::new(&partition_metadata_content(self.topic_id))]).at(&path)?;
        self.also_sync.push(file);
        self.has_dir = true;
        self.epochs_dirty = true;
        Ok(())
    }

    /// After a kill, names and the topic id may be there without being durable.
    pub(super) fn distrust_names(&mut self) -> Result<(), StorageError> {
        (self.parent_dirty, self.dir_dirty) = (true, true);
        let path = self.path.join(PARTITION_METADATA);
        match self.dir.disk().open(&path, OpenMode::Write) {
            Ok(file) => self.also_sync.push(file),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(StorageError::io(&path, e)),
        }
        Ok(())
    }

    fn preallocate(&self, _segment: &Segment) {
        // Room is a hint: a disk that cannot give it says so at the write.
        if self.config.preallocate
            && let Ok(file) = self.dir.disk().open(&files!(self).path(_segment.base, LOG), OpenMode::Write)
        {
            let _ = file.allocate(0, u64::from(self.config.segment_bytes));
        }
    }

    /// Closes the active segment and begins the next one at `base`.
    fn roll(&mut self, base: Offset, now: Ms) -> Result<(), StorageError> {
        self.take_snapshot(base)?;
        let Some(active) = self.segments.active() else { return self.first_segment(base, now) };
        if active.base == base {
            // Nothing in it: it can take whatever comes.
            return Ok(());
        }
        active.finish(files!(self))?;
        self.also_sync.extend(active.index_files());
        let next = match Segment::create(files!(self), base, now) {
            Ok(next) => next,
            Err(error) => {
                // The active segment may take smaller batches yet, and must not be followed by a file that begins
                // before its end.
                self.dir_dirty = true;
                Segment::remove_created(files!(self), base)?;
                return Err(error);
            }
        };
        self.preallocate(&next);
        self.segments.push(next);
        self.recent.clear();
        self.dir_dirty = true;
        self.note_unsynced(now);
        let last = self.segments.len() - 1;
        self.segments.limit_open_files(last);
        Ok(())
    }

    /// Closes the active segment if it has records. For retention and tests.
    pub fn roll_now(&mut self, now: Ms) -> Result<(), StorageError> {
        self.ready()?;
        if self.segments.active().is_none_or(|active| active.size == 0) {
            return Ok(());
        }
        let rolled = self.roll(self.end, now);
        self.after(rolled)
    }

    /// Writes what is known of producers as the snapshot at `offset`.
    fn take_snapshot(&mut self, offset: Offset) -> Result<(), StorageError> {
        let content = self.producers.to_bytes();
        let path = files!(self).path(offset, SNAPSHOT);
        let file = self.dir.disk().open(&path, OpenMode::Create).at(&path)?;
        file.write_at(0, &[IoSlice::new(&content)]).at(&path)?;
        file.set_len(content.len() as u64).at(&path)?;
        self.also_sync.push(file);
        self.dir_dirty = true;
        Ok(())
    }

    // --- durability
    // ------------------------------------------------------------------------------------------------

    /// What has to be synced now; `None` if there is nothing or a job is under way (ask again when it is
    /// done: one job covers all that came meanwhile).
    pub fn sync_job(&mut self) -> Option<SyncJob> {
        if self.in_flight || self.is_offline() || !self.loaded {
            return None;
        }
        let dirty_segments = self.segments.iter().any(|s| s.unsynced);
        let dirty = dirty_segments || self.dir_dirty || self.parent_dirty || !self.also_sync.is_empty();
        let epochs_dirty = self.epochs_dirty && self.has_dir;
        if !(dirty || epochs_dirty) {
            return None;
        }
        let mut files = std::mem::take(&mut self.also_sync);
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        let mut failed = None;
        for segment in self.segments.iter_mut().filter(|s| s.unsynced) {
            match segment.file(cx) {
                Ok(file) => files.push(file),
                Err(error) => failed = Some(error),
            }
            segment.unsynced = false;
        }
        if let Some(error) = failed {
            self.fail(&error);
            return None;
        }
        let mut replace = Vec::new();
        if std::mem::take(&mut self.epochs_dirty) && self.has_dir {
            replace.push((self.path.join(LEADER_EPOCHS), self.epochs.to_bytes()));
        }
        let mut dirs = Vec::new();
        if std::mem::take(&mut self.dir_dirty) {
            dirs.push(self.path.to_path_buf());
        }
        if std::mem::take(&mut self.parent_dirty) {
            dirs.push(self.dir.path().to_path_buf());
        }
        self.in_flight = true;
        Some(SyncJob {
            tp: self.tp.clone(),
            dir: self.dir.clone(),
            files,
            replace,
            dirs,
            upto: self.end,
            generation: self.generation,
        })
    }

    /// Takes the outcome of a [`SyncJob`]. An error means that the log is out of use from now on.
    pub fn synced(&mut self, done: SyncDone) -> Result<(), StorageError> {
        self.in_flight = false;
        if let Err(error) = done.result {
            self.fail(&error);
            return Err(error);
        }
        if self.is_offline() {
            return Err(StorageError::Offline { path: self.path.to_path_buf() });
        }
        // A truncation since then has synced for itself, and what came after it was not covered.
        if done.generation == self.generation {
            self.synced = self.synced.max(done.upto);
            let clean = self.synced == self.end && !self.segments.iter().any(|s| s.unsynced);
            self.unsynced_noted &= !clean;
            self.unsynced_from = self.synced;
            self.dir.note_synced(&self.tp, self.registration, self.synced, clean);
        }
        Ok(())
    }

    /// True if `flush.messages` or `flush.ms` asks for a sync, or a closed segment is not durable yet.
    pub fn sync_due(&self, now: Ms) -> bool {
        let unsynced = self.end - self.unsynced_from;
        let closed = self.segments.len().saturating_sub(1);
        self.unsynced_noted
            && (unsynced >= self.config.flush_messages
                || now.saturating_sub(self.unsynced_since) >= self.config.flush_ms
                || self.segments.iter().take(closed).any(|s| s.unsynced))
    }

    /// Syncs in place. Blocks. Only where nobody waits: closing, recovery, tests.
    pub fn sync_now(&mut self) -> Result<(), StorageError> {
        while let Some(job) = self.sync_job() {
            let done = job.run();
            self.synced(done)?;
        }
        if self.is_offline() { Err(StorageError::Offline { path: self.path.to_path_buf() }) } else { Ok(()) }
    }

    /// Writes the newest index entries from memory to their files, so that a restart after a kill finds them.
    /// Cheap.
    pub fn write_out_indexes(&mut self) -> Result<(), StorageError> {
        if !self.loaded || self.is_offline() {
            return Ok(());
        }
        let written = self.segments.write_out_indexes(files!(self));
        match self.after(written) {
            Err(error) if error.is_full() => Ok(()),
            other => other,
        }
    }

    /// Ends the log's use. With `clean` everything is written and synced, so that the next start need not look at it;
    /// blocks. No [`SyncJob`] may be under way.
    pub fn close(mut self, clean: bool) -> Result<(), StorageError> {
        if !clean {
            return Ok(());
        }
        self.write_out_to_close()?;
        // A log that is out of use says so here, instead of passing for durable.
        if (self.loaded && self.has_dir) || self.is_offline() { self.sync_now() } else { Ok(()) }
    }

    /// Writes out what is only in memory, so that after one more sync the next start need not look at the log. The log
    /// is not appended to any more. Blocks.
    pub fn write_out_to_close(&mut self) -> Result<(), StorageError> {
        if !self.loaded || !self.has_dir || self.is_offline() {
            return Ok(());
        }
        // That its records are durable does not mean that producers' state and indexes are.
        let synced = self.synced == self.end && !self.unsynced_noted && self.also_sync.is_empty();
        let untouched = synced && !self.changed;
        if !untouched && self.end > self.start {
            let taken = self.take_snapshot(self.end);
            self.after(taken)?;
        }
        if let Some(active) = self.segments.active() {
            let finished = active.finish(files!(self));
            let files = active.index_files();
            self.after(finished)?;
            if !untouched {
                self.also_sync.extend(files);
            }
        }
        Ok(())
    }

    // --- read
    // ------------------------------------------------------------------------------------------------------

    /// Bytes from `from` on, at most `max_bytes` of them and nothing at or above `upto` (the high watermark
    /// or the last stable offset). With `min_one_message` the first batch comes whole even if it is larger.
    pub fn read(
        &mut self,
        from: Offset,
        max_bytes: u32,
        upto: Offset,
        min_one_message: bool,
    ) -> Result<ReadOutcome, ReadError> {
        let upto = upto.min(self.end);
        if from < self.start || from > self.end {
            return Err(ReadError::OffsetOutOfRange { offset: from, start: self.start, end: self.end });
        }
        self.ready()?;
        let read = self.read_ready(from, max_bytes, upto, min_one_message);
        Ok(self.after(read)?)
    }

    fn read_ready(
        &mut self,
        from: Offset,
        max_bytes: u32,
        upto: Offset,
        min_one_message: bool,
    ) -> Result<ReadOutcome, StorageError> {
        let interval = self.config.index_interval_bytes;
        if from >= upto {
            let (segment_base, position) =
                self.segments.active().map_or((self.end, 0), |active| (active.base, active.size));
            return Ok(ReadOutcome { slice: None, segment_base, position, first_is_cut: false });
        }
        let last = self.segments.len().saturating_sub(1);
        let mut i = self.segments.floor(from);
        let (batch, i) = loop {
            let recent = if i == last { self.recent_at(from) } else { None };
            let found = match recent {
                Some(batch) => Some(batch),
                None => match self.segments.get_mut(i) {
                    Some(segment) => segment.find(files!(self), from, interval)?,
                    None => None,
                },
            };
            match found {
                Some(batch) => break (batch, i),
                // Compaction may have emptied the rest of the segment.
                None if i < last => i += 1,
                None => {
                    return Ok(ReadOutcome {
                        slice: None,
                        segment_base: self.end,
                        position: 0,
                        first_is_cut: false,
                    });
                }
            }
        };
        let limit = self.position_of(i, upto)?;
        self.segments.limit_open_files(i);
        let Some(segment) = self.segments.get_mut(i) else { return Err(self.dir.offline()) };
        let available = limit.saturating_sub(batch.position);
        let asked = if min_one_message { max_bytes.max(batch.bytes) } else { max_bytes };
        let len = available.min(asked);
        let slice = (len > 0).then_some(FileSlice {
            file: segment.file(files!(self))?,
            position: u64::from(batch.position),
            len,
        });
        Ok(ReadOutcome {
            slice,
            segment_base: segment.base,
            position: batch.position,
            first_is_cut: max_bytes < batch.bytes,
        })
    }

    /// The batch with `offset`, if it is one of the newest.
    fn recent_at(&self, offset: Offset) -> Option<BatchAt> {
        if self.recent.front()?.base_offset > offset {
            return None;
        }
        let i = self.recent.partition_point(|batch| batch.last_offset < offset);
        self.recent.get(i).copied()
    }

    /// Where in segment `i` the bytes end that lie below `upto`.
    fn position_of(&mut self, i: usize, upto: Offset) -> Result<u32, StorageError> {
        let interval = self.config.index_interval_bytes;
        let ends_below = self.segments.end_of(i, self.end) <= upto;
        let is_last = i + 1 == self.segments.len();
        if !ends_below
            && is_last
            && let Some(batch) = self.recent_at(upto)
        {
            return Ok(batch.position);
        }
        let Some(segment) = self.segments.get_mut(i) else { return Ok(0) };
        if ends_below {
            return Ok(segment.size);
        }
        let found = segment.find(files!(self), upto, interval)?;
        Ok(found.map_or(segment.size, |batch| batch.position))
    }

    /// The transactions that were aborted between `from` and `upto`, which a read_committed reader must leave
    /// out.
    pub fn aborted_transactions(
        &mut self,
        from: Offset,
        upto: Offset,
    ) -> Result<Vec<AbortedTxn>, StorageError> {
        self.ready()?;
        let found = self.find_aborted(from, upto);
        self.after(found)
    }

    fn find_aborted(&mut self, from: Offset, upto: Offset) -> Result<Vec<AbortedTxn>, StorageError> {
        let mut found = Vec::new();
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        let first = self.segments.floor(from);
        for segment in self.segments.iter_mut().skip(first) {
            let aborted = segment.aborted(cx)?;
            let begin = aborted.partition_point(|txn| txn.last_offset < from);
            for txn in &aborted[begin..] {
                if txn.first_offset < upto {
                    found.push(*txn);
                }
                // No transaction that ends later began below this one's stable offset.
                if txn.last_stable_offset >= upto {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    // --- lookups
    // ---------------------------------------------------------------------------------------------------

    /// The first record at or above the log start offset with a timestamp at or after `timestamp`.
    pub fn offset_for_timestamp(&mut self, timestamp: Ms) -> Result<Option<TimestampFound>, StorageError> {
        self.ready()?;
        let found = self.find_timestamp(timestamp);
        self.after(found)
    }

    fn find_timestamp(&mut self, timestamp: Ms) -> Result<Option<TimestampFound>, StorageError> {
        let interval = self.config.index_interval_bytes;
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        let first = self.segments.floor(self.start);
        let limit = self.config.validate.max_decompressed_bytes;
        for segment in self.segments.iter_mut().skip(first) {
            if segment.max_timestamp(cx, interval)?.timestamp < timestamp {
                continue;
            }
            let hint = segment.time_hint(cx, timestamp, interval)?.max(self.start);
            let Some(at) = segment.find(cx, hint, interval)? else { continue };
            let mut walk = segment.walk(cx, at.position)?;
            while let Some(batch) = walk.next(cx, segment.base)? {
                if batch.max_timestamp < timestamp {
                    continue;
                }
                let wanted = |t: Ms, offset: Offset| t >= timestamp && offset >= self.start;
                if let Some(found) = first_record(segment, cx, batch, limit, wanted)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The first of the records with the largest timestamp; `None` in an empty log.
    pub fn max_timestamp_offset(&mut self) -> Result<Option<TimestampFound>, StorageError> {
        self.ready()?;
        let found = self.find_max_timestamp();
        self.after(found)
    }

    fn find_max_timestamp(&mut self) -> Result<Option<TimestampFound>, StorageError> {
        let interval = self.config.index_interval_bytes;
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        let limit = self.config.validate.max_decompressed_bytes;
        let mut best: Option<(usize, super::segment::TimestampOffset)> = None;
        for (i, segment) in self.segments.iter_mut().enumerate() {
            let max = segment.max_timestamp(cx, interval)?;
            if max.timestamp >= 0 && best.is_none_or(|(_, b)| max.timestamp > b.timestamp) {
                best = Some((i, max));
            }
        }
        let Some((i, max)) = best else { return Ok(None) };
        let Some(segment) = self.segments.get_mut(i) else { return Ok(None) };
        let Some(batch) = segment.find(cx, max.offset, interval)? else { return Ok(None) };
        first_record(segment, cx, batch, limit, |t, _| t >= max.timestamp)
    }

    /// KIP-101/279: the largest epoch at or below `epoch` that this log has records of, and the offset where
    /// it ends.
    pub fn end_offset_for_epoch(
        &mut self,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, StorageError> {
        self.ready()?;
        Ok(self.epochs.end_offset_for(epoch, self.end))
    }

    /// The newest leader epoch that the log knows.
    pub fn latest_epoch(&mut self) -> Result<Option<LeaderEpoch>, StorageError> {
        self.ready()?;
        Ok(self.epochs.latest().map(|entry| entry.epoch))
    }

    /// The epoch of the leader that appended (or will append) `offset`.
    pub fn epoch_for_offset(&mut self, offset: Offset) -> Result<Option<LeaderEpoch>, StorageError> {
        self.ready()?;
        Ok(self.epochs.epoch_for(offset))
    }

    /// Notes that a leader with `epoch` begins at the log end offset.
    pub fn begin_epoch(&mut self, epoch: LeaderEpoch) -> Result<(), StorageError> {
        self.ready()?;
        self.epochs_dirty |= self.epochs.assign(epoch, self.end);
        Ok(())
    }

    // --- shorten
    // ---------------------------------------------------------------------------------------------------

    /// Removes every record at or above `offset`. Blocks for the disk. The log may end below `offset` if that
    /// lies inside a batch.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<(), StorageError> {
        self.ready()?;
        if offset >= self.end {
            return Ok(());
        }
        if offset < self.start || self.segments.first_base().is_none_or(|base| offset < base) {
            return self.truncate_fully_and_start_at(offset);
        }
        tracing::info!(partition = %self.tp, from = self.end, to = offset, "truncating");
        let truncated = self.truncate_segments(offset);
        self.after(truncated)
    }

    fn truncate_segments(&mut self, offset: Offset) -> Result<(), StorageError> {
        let interval = self.config.index_interval_bytes;
        let i = self.segments.floor(offset);
        let found = match self.segments.get_mut(i) {
            Some(segment) => segment.find(files!(self), offset, interval)?,
            None => None,
        };
        let end = found.map_or(offset, |batch| batch.base_offset.min(offset));
        if end < self.start {
            return self.start_over(offset);
        }
        self.forget_durable(end)?;
        self.recent.clear();
        let removed = self.segments.split_off(i + 1);
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        if let Some(segment) = self.segments.get_mut(i) {
            if let Some(batch) = found {
                segment.truncate(cx, batch.position, batch.base_offset, interval)?;
            }
            let path = cx.path(segment.base, LOG);
            segment.file(cx)?.sync().at(&path)?;
            segment.unsynced = false;
        }
        self.end = end;
        self.changed = true;
        self.synced = self.synced.min(end);
        for segment in &removed {
            self.remove_files(segment.base, 0, false)?;
        }
        self.remove_snapshots_above(end)?;
        self.dir.disk().sync_dir(&self.path).at(&self.path)?;
        self.epochs_dirty |= self.epochs.truncate_from_end(end);
        recovery::rebuild_producers(self)?;
        self.dir.note_synced(&self.tp, self.registration, self.synced, false);
        Ok(())
    }

    /// Takes back, durably, that the log is durable above `offset`: it is about to be shorter, and a restart
    /// must not take that for damage.
    fn forget_durable(&mut self, offset: Offset) -> Result<(), StorageError> {
        self.generation += 1;
        if self.synced > offset {
            self.synced = offset;
            self.dir.note_synced(&self.tp, self.registration, offset, false);
            self.dir.write_recovery_points()?;
        }
        Ok(())
    }

    /// Removes everything; the next record gets `offset`. Blocks for the disk.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset) -> Result<(), StorageError> {
        self.ready()?;
        tracing::info!(partition = %self.tp, from = self.end, at = offset, "starting over");
        let done = self.start_over(offset);
        self.after(done)
    }

    fn start_over(&mut self, offset: Offset) -> Result<(), StorageError> {
        self.make_dir()?;
        self.forget_durable(0)?;
        self.recent.clear();
        for segment in self.segments.split_off(0) {
            self.remove_files(segment.base, 0, true)?;
        }
        self.remove_snapshots_above(-1)?;
        // Gone for good before a file of the same name is made anew.
        self.dir.disk().sync_dir(&self.path).at(&self.path)?;
        let mut segment = Segment::create(files!(self), offset, 0)?;
        let path = files!(self).path(offset, LOG);
        segment.file(files!(self))?.sync().at(&path)?;
        segment.unsynced = false;
        self.segments.push(segment);
        for file in std::mem::take(&mut self.also_sync) {
            file.sync().at(&self.path)?;
        }
        self.dir.disk().sync_dir(&self.path).at(&self.path)?;
        self.dir.disk().sync_dir(self.dir.path()).at(self.dir.path())?;
        (self.dir_dirty, self.parent_dirty) = (false, false);
        self.epochs.clear();
        self.epochs_dirty = true;
        self.producers.reset(offset);
        let backwards = offset < self.start;
        (self.start, self.synced, self.end) = (offset, offset, offset);
        self.changed = true;
        self.dir.note_start(&self.tp, self.registration, offset);
        self.dir.note_synced(&self.tp, self.registration, offset, true);
        (self.unsynced_noted, self.data_noted) = (false, false);
        if backwards {
            // Else a restart would find a log that ends below the start in the checkpoint.
            self.dir.write_starts()?;
        }
        Ok(())
    }

    /// Hides every record below `offset` (DeleteRecords, or retention on the leader). False if it was so
    /// before.
    pub fn advance_log_start_offset(&mut self, offset: Offset) -> Result<bool, ReadError> {
        if offset > self.end {
            return Err(ReadError::OffsetOutOfRange { offset, start: self.start, end: self.end });
        }
        if offset <= self.start {
            return Ok(false);
        }
        self.ready()?;
        self.start = offset;
        self.epochs_dirty |= self.epochs.truncate_from_start(offset);
        self.dir.note_start(&self.tp, self.registration, offset);
        Ok(true)
    }

    /// Moves the log start offset over the segments that are past their retention; their files go with
    /// [`Log::reap`]. Gives back how many segments that are.
    pub fn delete_old_segments(&mut self, now: Ms, high_watermark: Offset) -> Result<usize, StorageError> {
        self.ready()?;
        let counted = self.count_old(now, high_watermark);
        let count = self.after(counted)?;
        if count == 0 {
            return Ok(0);
        }
        if count == self.segments.len() {
            self.roll_now(now)?;
        }
        let count = count.min(self.segments.len().saturating_sub(1));
        let Some(base) = self.segments.get(count).map(|segment| segment.base) else { return Ok(0) };
        if base > self.start {
            self.start = base;
            self.epochs_dirty |= self.epochs.truncate_from_start(base);
        }
        self.dir.note_start(&self.tp, self.registration, self.start);
        Ok(count)
    }

    fn count_old(&mut self, now: Ms, high_watermark: Offset) -> Result<usize, StorageError> {
        let interval = self.config.index_interval_bytes;
        let limits = Limits {
            retention_ms: self.config.retention_ms,
            retention_bytes: self.config.retention_bytes,
            delete: self.config.cleanup.delete,
        };
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        let ends: Vec<Offset> = (0..self.segments.len()).map(|i| self.segments.end_of(i, self.end)).collect();
        let mut infos = Vec::with_capacity(ends.len());
        let mut all_old = limits.retention_ms >= 0 && limits.delete;
        for (segment, &end) in self.segments.iter_mut().zip(&ends) {
            // Only the oldest segments are asked for their age, up to the first that is young enough.
            let mut largest_timestamp = Ms::MAX;
            if all_old {
                let max = segment.max_timestamp(cx, interval)?.timestamp;
                largest_timestamp = if max >= 0 { max } else { segment.modified };
                all_old = now.saturating_sub(largest_timestamp) > limits.retention_ms;
            }
            infos.push(SegmentInfo {
                base: segment.base,
                end,
                size: u64::from(segment.size),
                largest_timestamp,
            });
        }
        let count = retention::deletable(&infos, limits, self.start, high_watermark, now);
        self.segments.limit_open_files(usize::MAX);
        Ok(count)
    }

    /// Removes the files of segments that lie below the log start offset *and* below what the checkpoint on
    /// disk says of it, once the names of those that stay are durable; until then it comes up again in
    /// [`super::Manager::tick`]. They are renamed now and removed after `file.delete.delay.ms`.
    pub fn reap(&mut self, now: Ms) -> Result<usize, StorageError> {
        self.ready()?;
        if self.in_flight || self.dir_dirty || !self.also_sync.is_empty() {
            // The segments that stay, and what was known of producers where they begin, must be durable
            // first.
            self.dir.reap_later(&self.tp);
            return Ok(0);
        }
        let durable = self.dir.marks(&self.tp).map_or(0, |marks| marks.durable_start).min(self.start);
        let last = self.segments.len().saturating_sub(1);
        let count = (0..last).take_while(|&i| self.segments.end_of(i, self.end) <= durable).count();
        let gone = self.segments.take_front(count);
        for segment in &gone {
            let removed = self.remove_files(segment.base, now + self.config.file_delete_delay_ms, true);
            self.after(removed)?;
        }
        self.dir_dirty |= count > 0;
        Ok(count)
    }

    /// Renames a segment's files and leaves them to the directory to remove.
    fn remove_files(&mut self, base: Offset, due: Ms, with_snapshot: bool) -> Result<(), StorageError> {
        let suffixes: &[&str] = if with_snapshot {
            &[SNAPSHOT, TXN_INDEX, TIME_INDEX, INDEX, LOG]
        } else {
            &[TXN_INDEX, TIME_INDEX, INDEX, LOG]
        };
        for suffix in suffixes {
            let path = files!(self).path(base, suffix);
            let mut doomed = path.clone();
            doomed.as_mut_os_string().push(DELETED);
            match self.dir.disk().rename(&path, &doomed) {
                Ok(()) => self.dir.doom(due, doomed),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(StorageError::io(&path, e)),
            }
        }
        Ok(())
    }

    /// Removes snapshots that know more than the log holds.
    fn remove_snapshots_above(&mut self, offset: Offset) -> Result<(), StorageError> {
        for at in recovery::snapshots(files!(self))? {
            if at > offset {
                let path = files!(self).path(at, SNAPSHOT);
                self.dir.disk().remove_file(&path).at(&path)?;
            }
        }
        Ok(())
    }
}

/// Up to `max` taken off `segment.ms`, the same whenever it is asked for this segment.
fn jitter(tp: &TopicPartition, base: Offset, max: Ms) -> Ms {
    if max <= 0 {
        return 0;
    }
    let seed = crc32c::crc32c_append(crc32c::crc32c(tp.topic.as_bytes()), &base.to_be_bytes());
    let mut rng = crate::types::Rng::new(u64::from(seed) << 32 | u64::from(tp.partition.unsigned_abs()));
    rng.below(max as u64) as Ms
}

/// The first record of a batch that is wanted by its timestamp and offset.
fn first_record(
    segment: &mut Segment,
    files: Files<'_>,
    at: BatchAt,
    limit: usize,
    wanted: impl Fn(Ms, Offset) -> bool,
) -> Result<Option<TimestampFound>, StorageError> {
    let path = files.path(segment.base, LOG);
    let mut raw = vec![0; at.bytes as usize];
    read_exact_at(&*segment.file(files)?, u64::from(at.position), &mut raw).at(&path)?;
    let corrupt =
        |why: String| StorageError::Corrupt { path: path.clone(), position: u64::from(at.position), why };
    let batch = Batch::first_of(&raw).map_err(|e| corrupt(e.to_string()))?;
    let header = batch.header();
    let found = |timestamp, offset| TimestampFound { timestamp, offset, leader_epoch: at.leader_epoch };
    let mut plain = Vec::new();
    let payload = match Codec::from_number(header.compression()) {
        Some(Codec::None) => batch.payload(),
        Some(codec) => {
            compress::decompress(codec, batch.payload(), limit, &mut plain)
                .map_err(|e| corrupt(e.to_string()))?;
            &plain
        }
        None => return Err(corrupt(format!("no codec has the number {}", header.compression()))),
    };
    for record in Records::new(payload, header.records_count()) {
        let record = record.map_err(|e| corrupt(e.to_string()))?;
        let offset = record.offset(at.base_offset);
        let timestamp = if header.is_log_append_time() {
            header.max_timestamp()
        } else {
            record.timestamp(header.base_timestamp())
        };
        if wanted(timestamp, offset) {
            return Ok(Some(found(timestamp, offset)));
        }
    }
    Ok(None)
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

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
