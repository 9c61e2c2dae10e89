//! One segment: `.log` and its indexes, named by the offset it begins at.
//!
//! The length in memory is the truth while the log is open: bytes behind it are what an interrupted write
//! left, and are overwritten or cut. Files are opened on first use. Indexes of a closed segment are loaded on
//! first use and checked before they are believed; a missing or broken one is rebuilt from the log.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fault::{At, StorageError};
use super::offset_index::{OffsetEntry, OffsetIndex};
use super::time_index::{TimeEntry, TimeIndex};
use super::txn_index::AbortedTxn;
use crate::env::disk::{OpenMode, read_exact_at, read_file};
use crate::env::{Disk, File};
use crate::types::{LeaderEpoch, Ms, Offset};
use crate::wire::batch::{BatchHeader, HEADER_BYTES, MAGIC};

/// Bytes that a walk over headers reads at once.
const WALK_BLOCK: usize = 16 * 1024;
/// The largest `.txnindex` that is read: some six million aborted transactions in one segment.
const TXN_INDEX_BYTES_MAX: u64 = 200 << 20;

/// Suffix of records.
pub(super) const LOG: &str = "log";
/// Suffix of the offset index.
pub(super) const INDEX: &str = "index";
/// Suffix of the time index.
pub(super) const TIME_INDEX: &str = "timeindex";
/// Suffix of the index of aborted transactions.
pub(super) const TXN_INDEX: &str = "txnindex";
/// Suffix of a producer snapshot.
pub(super) const SNAPSHOT: &str = "snapshot";
/// What a removed file has behind its name until it is gone.
pub(super) const DELETED: &str = ".deleted";

/// Where the files of a log are.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) dir: &'a Path,
}

impl Files<'_> {
    pub(super) fn path(&self, base: Offset, suffix: &str) -> PathBuf {
        self.dir.join(format!("{base:020}.{suffix}"))
    }

    pub(super) fn open(
        &self,
        base: Offset,
        suffix: &str,
        mode: OpenMode,
    ) -> Result<Arc<dyn File>, StorageError> {
        let path = self.path(base, suffix);
        self.disk.open(&path, mode).at(&path)
    }

    /// The file if it is there.
    fn open_if_there(&self, base: Offset, suffix: &str) -> Result<Option<Arc<dyn File>>, StorageError> {
        let path = self.path(base, suffix);
        match self.disk.open(&path, OpenMode::Write) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StorageError::io(&path, e)),
        }
    }
}

/// What an append tells a segment about each batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appended {
    pub(super) last_offset: Offset,
    pub(super) max_timestamp: Ms,
    pub(super) bytes: u32,
}

/// A batch and where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BatchAt {
    pub(super) base_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) position: u32,
    pub(super) bytes: u32,
    pub(super) max_timestamp: Ms,
    pub(super) leader_epoch: LeaderEpoch,
}

/// A timestamp and the last offset of the batch that has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TimestampOffset {
    pub(super) timestamp: Ms,
    pub(super) offset: Offset,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base: Offset,
    /// Bytes of whole batches.
    pub(super) size: u32,
    /// When it was made, for a roll by time before there is a timestamp.
    pub(super) created: Ms,
    /// When it was written last.
    pub(super) modified: Ms,
    /// True while bytes of it may not be durable.
    pub(super) unsynced: bool,
    /// Largest timestamp of the first batch; `None` while it is not known.
    pub(super) first_timestamp: Option<Ms>,
    file: Option<Arc<dyn File>>,
    indexes: Option<Box<Indexes>>,
    aborted: Option<Vec<AbortedTxn>>,
    /// Where the first transaction began that was aborted in it, kept when the list of them is not: `Offset::MAX` if there
    /// is none, `None` while that is not known.
    first_aborted: Option<Offset>,
    /// True if entries of `aborted` found no room on the disk.
    aborted_unwritten: bool,
    /// True while the index of aborted transactions may not be durable.
    aborted_unsynced: bool,
    /// What a closed segment's indexes said, kept when they are not.
    max: Option<TimestampOffset>,
}

#[derive(Debug)]
struct Indexes {
    offsets: OffsetIndex,
    times: TimeIndex,
    /// Largest timestamp so far; (-1, base) if there is none.
    max: TimestampOffset,
    bytes_since_entry: u32,
}

/// The smallest offset at which one of the transactions began; `Offset::MAX` if there are none.
fn first_of(all: &[AbortedTxn]) -> Offset {
    all.iter().map(|txn| txn.first_offset).min().unwrap_or(Offset::MAX)
}

impl Segment {
    /// Makes the files of a new segment.
    pub(super) fn create(files: Files<'_>, base: Offset, now: Ms) -> Result<Segment, StorageError> {
        let file = files.open(base, LOG, OpenMode::Create)?;
        // What may lie there was never part of this log: an attempt that failed.
        file.set_len(0).at(&files.path(base, LOG))?;
        for suffix in [INDEX, TIME_INDEX, TXN_INDEX] {
            if let Some(stale) = files.open_if_there(base, suffix)? {
                stale.set_len(0).at(&files.path(base, suffix))?;
            }
        }
        let max = TimestampOffset { timestamp: -1, offset: base };
        Ok(Segment {
            base,
            size: 0,
            created: now,
            modified: now,
            unsynced: true,
            first_timestamp: None,
            file: Some(file),
            indexes: Some(Box::new(Indexes {
                offsets: OffsetIndex::empty(),
                times: TimeIndex::empty(),
                max,
                bytes_since_entry: 0,
            })),
            aborted: Some(Vec::new()),
            first_aborted: None,
            aborted_unwritten: false,
            aborted_unsynced: false,
            max: None,
        })
    }

    /// Takes back what [`Segment::create`] may have made when it failed.
    pub(super) fn remove_created(files: Files<'_>, base: Offset) -> Result<(), StorageError> {
        let path = files.path(base, LOG);
        match files.disk.remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StorageError::io(&path, e)),
            _ => Ok(()),
        }
    }

    /// A segment whose file of `size` bytes was found in the directory.
    pub(super) fn found(base: Offset, size: u32, modified: Ms) -> Segment {
        Segment {
            base,
            size,
            created: modified,
            modified,
            unsynced: false,
            first_timestamp: None,
            file: None,
            indexes: None,
            aborted: None,
            first_aborted: None,
            aborted_unwritten: false,
            aborted_unsynced: false,
            max: None,
        }
    }

    pub(super) fn file(&mut self, files: Files<'_>) -> Result<Arc<dyn File>, StorageError> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => Ok(self.file.insert(files.open(self.base, LOG, OpenMode::Write)?).clone()),
        }
    }

    pub(super) fn has_open_files(&self) -> bool {
        self.file.is_some()
    }

    /// True once [`Segment::first_aborted`] can say.
    pub(super) fn knows_aborted(&self) -> bool {
        self.aborted.is_some() || self.first_aborted.is_some()
    }

    /// Where the first transaction began whose abort is in the segment; `None` if there is none, as far as is known.
    pub(super) fn first_aborted(&self) -> Option<Offset> {
        self.aborted.as_deref().map(first_of).or(self.first_aborted).filter(|&first| first < Offset::MAX)
    }

    /// Closes the files of a closed segment; they are opened again when they are needed.
    pub(super) fn drop_handles(&mut self) {
        self.first_aborted = self.aborted.as_deref().map(first_of).or(self.first_aborted);
        self.file = None;
        self.max = self.indexes.take().map(|indexes| indexes.max).or(self.max);
        self.aborted = None;
    }

    /// True if `offset` can be named relative to the base.
    pub(super) fn can_hold(&self, offset: Offset) -> bool {
        offset >= self.base && offset - self.base <= i64::from(i32::MAX)
    }

    /// True if an index has no room for another entry below `bytes_max`, one being kept for the last of the
    /// time index.
    pub(super) fn indexes_full(&self, bytes_max: u32) -> bool {
        self.indexes.as_ref().is_some_and(|i| {
            i.offsets.bytes() + 8 > u64::from(bytes_max) || i.times.bytes() + 24 > u64::from(bytes_max)
        })
    }

    /// Writes whole batches at the end. On an error nothing has changed but, perhaps, bytes behind `size`.
    pub(super) fn append(
        &mut self,
        files: Files<'_>,
        parts: &[IoSlice<'_>],
        batches: impl Iterator<Item = Appended> + Clone,
        index_interval: u32,
        now: Ms,
    ) -> Result<(), StorageError> {
        self.load_indexes(files, index_interval)?;
        let file = self.file(files)?;
        let path = || files.path(self.base, LOG);
        // A write that fails changes the file too, and so does cutting it off again: without a sync a crash could bring
        // the cut-off part back behind what was durable before.
        self.unsynced = true;
        if let Err(e) = file.write_at(u64::from(self.size), parts) {
            // The part that was written goes again, so that a reader of the file meets whole batches only. If
            // even that fails the length in memory still says where the log ends.
            file.set_len(u64::from(self.size)).at(&path())?;
            return Err(StorageError::io(&path(), e));
        }
        self.modified = now;
        for batch in batches {
            if self.size == 0 {
                self.first_timestamp = Some(batch.max_timestamp);
            }
            self.note(files, batch, index_interval)?;
        }
        Ok(())
    }

    /// Takes a batch that begins at `size` into the indexes and moves the end behind it.
    pub(super) fn note(
        &mut self,
        files: Files<'_>,
        batch: Appended,
        index_interval: u32,
    ) -> Result<(), StorageError> {
        let (base, position) = (self.base, self.size);
        let Some(indexes) = self.indexes.as_mut() else { return Ok(()) };
        if batch.max_timestamp > indexes.max.timestamp {
            indexes.max = TimestampOffset { timestamp: batch.max_timestamp, offset: batch.last_offset };
        }
        if indexes.bytes_since_entry > index_interval {
            indexes.bytes_since_entry = 0;
            let entry = OffsetEntry { relative_offset: (batch.last_offset - base) as u32, position };
            let path = files.path(base, INDEX);
            indexes.offsets.push(entry, || files.disk.open(&path, OpenMode::Create)).at(&path)?;
            indexes.note_max(files, base)?;
        }
        indexes.bytes_since_entry = indexes.bytes_since_entry.saturating_add(batch.bytes);
        self.size += batch.bytes;
        Ok(())
    }

    /// Adds an aborted transaction; those before it are loaded.
    pub(super) fn note_aborted(&mut self, files: Files<'_>, txn: AbortedTxn) -> Result<(), StorageError> {
        debug_assert!(self.aborted.is_some(), "whoever adds one has loaded them");
        let mut all = self.aborted.take().unwrap_or_default();
        all.push(txn);
        let written = if self.aborted_unwritten {
            self.write_aborted(files, &all)
        } else {
            let path = files.path(self.base, TXN_INDEX);
            files
                .disk
                .open(&path, OpenMode::Create)
                .and_then(|file| {
                    let at = ((all.len() - 1) * AbortedTxn::BYTES) as u64;
                    file.write_at(at, &[IoSlice::new(&txn.encode())])
                })
                .at(&path)
        };
        self.aborted = Some(all);
        self.aborted_unwritten = written.is_err();
        self.aborted_unsynced = true;
        written
    }

    /// True while something of it may not be durable.
    pub(super) fn is_dirty(&self) -> bool {
        self.unsynced || self.aborted_unsynced
    }

    /// The files that the next sync must cover; from here on the segment counts as clean.
    pub(super) fn take_unsynced(&mut self, files: Files<'_>) -> Result<Vec<Arc<dyn File>>, StorageError> {
        let mut taken = Vec::new();
        if std::mem::take(&mut self.unsynced) {
            taken.push(self.file(files)?);
        }
        if std::mem::take(&mut self.aborted_unsynced)
            && let Some(file) = files.open_if_there(self.base, TXN_INDEX)?
        {
            taken.push(file);
        }
        Ok(taken)
    }

    /// True if [`Segment::take_unsynced`] will give a file whose name may be new.
    pub(super) fn has_unsynced_aborted(&self) -> bool {
        self.aborted_unsynced
    }

    /// Reads the index of aborted transactions. False if it is not there or broken: then it has to be made anew from the
    /// log. A segment that was closed, here or by recovery, has one, even if it is empty; those of Kafka's that it leaves out
    /// are made once.
    pub(super) fn load_aborted(&mut self, files: Files<'_>) -> Result<bool, StorageError> {
        if self.aborted.is_none() {
            let path = files.path(self.base, TXN_INDEX);
            self.aborted = match read_file(files.disk, &path, TXN_INDEX_BYTES_MAX) {
                Ok(bytes) => AbortedTxn::decode_all(&bytes),
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                Err(e) => return Err(StorageError::io(&path, e)),
            };
        }
        Ok(self.aborted.is_some())
    }

    /// The aborted transactions whose markers are in this segment, once they are loaded.
    pub(super) fn aborted(&self) -> &[AbortedTxn] {
        debug_assert!(self.aborted.is_some(), "whoever asks has loaded them");
        self.aborted.as_deref().unwrap_or_default()
    }

    /// Replaces the index of aborted transactions.
    pub(super) fn set_aborted(&mut self, files: Files<'_>, all: Vec<AbortedTxn>) -> Result<(), StorageError> {
        let path = files.path(self.base, TXN_INDEX);
        if !all.is_empty() || files.disk.exists(&path) {
            self.aborted_unsynced = true;
        }
        self.write_aborted(files, &all)?;
        (self.aborted, self.first_aborted) = (Some(all), None);
        self.aborted_unwritten = false;
        Ok(())
    }

    fn write_aborted(&self, files: Files<'_>, all: &[AbortedTxn]) -> Result<(), StorageError> {
        let path = files.path(self.base, TXN_INDEX);
        let bytes: Vec<u8> = all.iter().flat_map(AbortedTxn::encode).collect();
        let file = files.disk.open(&path, OpenMode::Create).at(&path)?;
        file.write_at(0, &[IoSlice::new(&bytes)]).at(&path)?;
        file.set_len(bytes.len() as u64).at(&path)
    }

    /// Loads the indexes if they are not, rebuilding what is missing or cannot be believed.
    pub(super) fn load_indexes(&mut self, files: Files<'_>, interval: u32) -> Result<(), StorageError> {
        if self.indexes.is_some() {
            return Ok(());
        }
        let offsets = match files.open_if_there(self.base, INDEX)? {
            Some(file) => OffsetIndex::load(file).at(&files.path(self.base, INDEX))?,
            None => None,
        };
        let times = match files.open_if_there(self.base, TIME_INDEX)? {
            Some(file) => TimeIndex::load(file).at(&files.path(self.base, TIME_INDEX))?,
            None => None,
        };
        match (offsets, times) {
            (Some(offsets), Some(times)) if self.believes(files, &offsets, &times)? => {
                self.adopt(files, offsets, times)
            }
            _ => self.rebuild_indexes(files, interval),
        }
    }

    /// True if the last entries point to what they say.
    fn believes(
        &mut self,
        files: Files<'_>,
        offsets: &OffsetIndex,
        times: &TimeIndex,
    ) -> Result<bool, StorageError> {
        if !offsets.is_sane(self.size) {
            return Ok(false);
        }
        // A segment with records always has a last entry in the time index once it is closed; only an empty
        // one has none.
        let times_sane = times
            .last()
            .is_none_or(|last| last.timestamp >= 0 && i64::from(last.relative_offset) <= i64::from(i32::MAX));
        let Some(last) = offsets.last() else { return Ok(times_sane) };
        let there = self.batch_at(files, last.position)?;
        let base = self.base;
        Ok(times_sane
            && there.is_some_and(|batch| batch.last_offset - base == i64::from(last.relative_offset)))
    }

    fn adopt(
        &mut self,
        files: Files<'_>,
        offsets: OffsetIndex,
        times: TimeIndex,
    ) -> Result<(), StorageError> {
        let base = self.base;
        let mut max = times.last().map_or(TimestampOffset { timestamp: -1, offset: base }, |last| {
            TimestampOffset { timestamp: last.timestamp, offset: base + i64::from(last.relative_offset) }
        });
        // What lies behind the last entry is looked at: the active segment's largest timestamp may be there.
        let from = offsets.last().map_or(0, |last| last.position);
        let mut walk = Walk::new(self.file(files)?, from, self.size);
        while let Some(batch) = walk.next(files, base)? {
            if batch.max_timestamp > max.timestamp {
                max = TimestampOffset { timestamp: batch.max_timestamp, offset: batch.last_offset };
            }
        }
        let bytes_since_entry = self.size - from;
        self.indexes = Some(Box::new(Indexes { offsets, times, max, bytes_since_entry }));
        Ok(())
    }

    /// Builds both indexes anew from the headers in the log.
    pub(super) fn rebuild_indexes(&mut self, files: Files<'_>, interval: u32) -> Result<(), StorageError> {
        tracing::info!(segment = %files.path(self.base, LOG).display(), "rebuilding indexes");
        let size = std::mem::take(&mut self.size);
        self.start_indexes(files)?;
        let mut walk = Walk::new(self.file(files)?, 0, size);
        let outcome = loop {
            match walk.next(files, self.base) {
                Ok(Some(batch)) => {
                    let batch = Appended {
                        last_offset: batch.last_offset,
                        max_timestamp: batch.max_timestamp,
                        bytes: batch.bytes,
                    };
                    if let Err(e) = self.note(files, batch, interval) {
                        break Err(e);
                    }
                }
                Ok(None) => break self.write_out_indexes(files),
                Err(e) => break Err(e),
            }
        };
        self.size = size;
        if outcome.is_err() {
            self.indexes = None;
        }
        outcome
    }

    /// Begins indexes without entries, their files cut to nothing.
    pub(super) fn start_indexes(&mut self, files: Files<'_>) -> Result<(), StorageError> {
        let mut indexes = Indexes {
            offsets: OffsetIndex::empty(),
            times: TimeIndex::empty(),
            max: TimestampOffset { timestamp: -1, offset: self.base },
            bytes_since_entry: 0,
        };
        indexes.finish(files, self.base)?;
        self.indexes = Some(Box::new(indexes));
        Ok(())
    }

    /// Keeps of the indexes on disk what is in order and lies below the recovery point, checks it against the
    /// log, and goes on from there: returns the position from which on the log must be walked. For recovery.
    pub(super) fn resume_indexes(
        &mut self,
        files: Files<'_>,
        size_max: u32,
        recovery_point: Offset,
    ) -> Result<u32, StorageError> {
        if recovery_point <= self.base {
            self.start_indexes(files)?;
            return Ok(0);
        }
        let offsets = match files.open_if_there(self.base, INDEX)? {
            Some(file) => OffsetIndex::load(file).at(&files.path(self.base, INDEX))?,
            None => None,
        };
        let times = match files.open_if_there(self.base, TIME_INDEX)? {
            Some(file) => TimeIndex::load(file).at(&files.path(self.base, TIME_INDEX))?,
            None => None,
        };
        let (Some(mut offsets), Some(mut times)) = (offsets, times) else {
            self.start_indexes(files)?;
            return Ok(0);
        };
        let index_path = files.path(self.base, INDEX);
        let sane = offsets.sane_prefix(size_max).at(&index_path)?;
        offsets.truncate(sane).at(&index_path)?;
        let base = self.base;
        let durable = offsets
            .partition_point(|e| base + i64::from(e.relative_offset) < recovery_point)
            .at(&index_path)?;
        offsets.truncate(durable).at(&index_path)?;
        let last = match offsets.last() {
            Some(last) => last,
            None => {
                self.start_indexes(files)?;
                return Ok(0);
            }
        };
        let there = self.batch_at(files, last.position)?;
        if there.is_none_or(|batch| batch.last_offset - base != i64::from(last.relative_offset)) {
            self.start_indexes(files)?;
            return Ok(0);
        }
        // The entry's own batch is walked again and gets its entry again.
        let time_path = files.path(base, TIME_INDEX);
        let sane = times.sane_prefix(last.relative_offset).at(&time_path)?;
        times.truncate(sane).at(&time_path)?;
        let count = offsets.len();
        offsets.truncate(count - 1).at(&index_path)?;
        let max = times.last().map_or(TimestampOffset { timestamp: -1, offset: base }, |last| {
            TimestampOffset { timestamp: last.timestamp, offset: base + i64::from(last.relative_offset) }
        });
        // Behind the last entry of a thin time index there may be a later timestamp than it knows.
        if sane < count.saturating_sub(1) && sane == 0 {
            self.start_indexes(files)?;
            return Ok(0);
        }
        self.indexes = Some(Box::new(Indexes { offsets, times, max, bytes_since_entry: u32::MAX }));
        Ok(last.position)
    }

    /// Where the last batch below `end` begins that the offset index on disk knows of and the log confirms; else 0. The
    /// indexes are not loaded, since nothing is known of the log's end yet. For recovery.
    pub(super) fn last_indexed(&mut self, files: Files<'_>, end: Offset) -> Result<u32, StorageError> {
        let path = files.path(self.base, INDEX);
        let Some(file) = files.open_if_there(self.base, INDEX)? else { return Ok(0) };
        let Some(offsets) = OffsetIndex::load(file).at(&path)? else { return Ok(0) };
        let (base, size) = (self.base, self.size);
        let sane = |e: &OffsetEntry| e.position < size && base + i64::from(e.relative_offset) < end;
        let count = offsets.partition_point(sane).at(&path)?;
        let Some(last) = count.checked_sub(1) else { return Ok(0) };
        let last = offsets.get(last).at(&path)?;
        let there = self.batch_at(files, last.position)?;
        let confirmed = there.is_some_and(|b| b.last_offset - base == i64::from(last.relative_offset));
        Ok(if confirmed { last.position } else { 0 })
    }

    /// The largest timestamp of the segment and the last offset of its batch; -1 if there are no records.
    pub(super) fn max_timestamp(
        &mut self,
        files: Files<'_>,
        interval: u32,
    ) -> Result<TimestampOffset, StorageError> {
        if let (None, Some(max)) = (&self.indexes, self.max) {
            return Ok(max);
        }
        self.load_indexes(files, interval)?;
        let none = TimestampOffset { timestamp: -1, offset: self.base };
        Ok(self.indexes.as_ref().map_or(none, |indexes| indexes.max))
    }

    /// Largest timestamp of the first batch; `None` in an empty segment or if it has none.
    pub(super) fn first_timestamp(&mut self, files: Files<'_>) -> Result<Option<Ms>, StorageError> {
        if self.first_timestamp.is_none() && self.size > 0 {
            self.first_timestamp = self.batch_at(files, 0)?.map(|batch| batch.max_timestamp);
        }
        Ok(self.first_timestamp.filter(|&timestamp| timestamp >= 0))
    }

    /// The batch that begins at `position`; `None` if there is no plausible header.
    fn batch_at(&mut self, files: Files<'_>, position: u32) -> Result<Option<BatchAt>, StorageError> {
        let (base, size) = (self.base, self.size);
        let file = self.file(files)?;
        if u64::from(position) + HEADER_BYTES as u64 > u64::from(size) {
            return Ok(None);
        }
        let mut raw = [0; HEADER_BYTES];
        read_exact_at(&*file, u64::from(position), &mut raw).at(&files.path(base, LOG))?;
        Ok(plausible(&raw, base, position, size))
    }

    /// The first batch whose last offset is at or above `offset`; `None` if there is none.
    pub(super) fn find(
        &mut self,
        files: Files<'_>,
        offset: Offset,
        interval: u32,
    ) -> Result<Option<BatchAt>, StorageError> {
        self.load_indexes(files, interval)?;
        let Some(indexes) = &self.indexes else { return Ok(None) };
        let relative = u32::try_from(offset.saturating_sub(self.base).max(0)).unwrap_or(u32::MAX);
        let from = indexes.offsets.lookup(relative).at(&files.path(self.base, INDEX))?;
        let mut walk = Walk::new(self.file(files)?, from, self.size);
        // An index that sends the walk into the middle of a batch, or behind the offset, is not to be
        // believed.
        let first = match walk.next(files, self.base) {
            Ok(Some(batch)) if from == 0 || batch.base_offset <= offset => Some(batch),
            Ok(None) if from == 0 => None,
            _ if from > 0 => {
                self.rebuild_indexes(files, interval)?;
                walk = Walk::new(self.file(files)?, 0, self.size);
                walk.next(files, self.base)?
            }
            other => other?,
        };
        let mut at = first;
        while let Some(batch) = at {
            if batch.last_offset >= offset {
                return Ok(Some(batch));
            }
            at = walk.next(files, self.base)?;
        }
        Ok(None)
    }

    /// The last offset of the first batch in the index that begins at `position` or behind it.
    pub(super) fn indexed_from(
        &mut self,
        files: Files<'_>,
        position: u32,
        interval: u32,
    ) -> Result<Option<Offset>, StorageError> {
        self.load_indexes(files, interval)?;
        let Some(indexes) = &self.indexes else { return Ok(None) };
        let entry = indexes.offsets.first_from(position).at(&files.path(self.base, INDEX))?;
        Ok(entry.map(|relative| self.base + i64::from(relative)))
    }

    /// Where a batch begins that the index knows of, at or below `position`; 0 if it knows none.
    pub(super) fn position_before(
        &mut self,
        files: Files<'_>,
        position: u32,
        interval: u32,
    ) -> Result<u32, StorageError> {
        self.load_indexes(files, interval)?;
        let Some(indexes) = &self.indexes else { return Ok(0) };
        indexes.offsets.position_before(position).at(&files.path(self.base, INDEX))
    }

    /// The first batch that is not below the time index's hint for `timestamp`: where a search by time
    /// begins.
    pub(super) fn time_hint(
        &mut self,
        files: Files<'_>,
        timestamp: Ms,
        interval: u32,
    ) -> Result<Offset, StorageError> {
        self.load_indexes(files, interval)?;
        let base = self.base;
        let Some(indexes) = &self.indexes else { return Ok(base) };
        let relative = indexes.times.lookup(timestamp).at(&files.path(base, TIME_INDEX))?;
        Ok(base + i64::from(relative))
    }

    /// A walk over the batches' headers from `position` on.
    pub(super) fn walk(&mut self, files: Files<'_>, position: u32) -> Result<Walk, StorageError> {
        Ok(Walk::new(self.file(files)?, position, self.size))
    }

    /// Offset behind the last record; the base if there is none.
    pub(super) fn next_offset(&mut self, files: Files<'_>, interval: u32) -> Result<Offset, StorageError> {
        self.load_indexes(files, interval)?;
        let from = self.indexes.as_ref().and_then(|i| i.offsets.last()).map_or(0, |last| last.position);
        let mut walk = Walk::new(self.file(files)?, from, self.size);
        let mut next = self.base;
        while let Some(batch) = walk.next(files, self.base)? {
            next = batch.last_offset + 1;
        }
        Ok(next)
    }

    /// Cuts everything from `position` on, which is where the batch begins that must go; `offset` is its base
    /// offset.
    pub(super) fn truncate(
        &mut self,
        files: Files<'_>,
        position: u32,
        offset: Offset,
        interval: u32,
    ) -> Result<(), StorageError> {
        self.load_indexes(files, interval)?;
        let path = files.path(self.base, LOG);
        let file = self.file(files)?;
        file.set_len(u64::from(position)).at(&path)?;
        self.size = position;
        if position == 0 {
            self.first_timestamp = None;
        }
        let relative = (offset - self.base) as u32;
        // Where it is not there it is made when it is asked for.
        if self.load_aborted(files)? {
            let left = self.aborted().iter().copied().filter(|txn| txn.last_offset < offset).collect();
            self.set_aborted(files, left)?;
        }
        let (index_path, time_path) = (files.path(self.base, INDEX), files.path(self.base, TIME_INDEX));
        if let Some(mut indexes) = self.indexes.take() {
            let keep = indexes.offsets.partition_point(|e| e.relative_offset < relative).at(&index_path)?;
            indexes.offsets.truncate(keep).at(&index_path)?;
            let keep = indexes.times.partition_point(|e| e.relative_offset < relative).at(&time_path)?;
            indexes.times.truncate(keep).at(&time_path)?;
            self.adopt(files, indexes.offsets, indexes.times)?;
        }
        Ok(())
    }

    /// Writes what memory holds of the indexes to their files.
    pub(super) fn write_out_indexes(&mut self, files: Files<'_>) -> Result<(), StorageError> {
        let base = self.base;
        match &mut self.indexes {
            Some(indexes) => indexes.finish(files, base),
            None => Ok(()),
        }
    }

    /// The segment is closed or the log is: the time index gets its last entry, both indexes are written out.
    pub(super) fn finish(&mut self, files: Files<'_>) -> Result<(), StorageError> {
        if let (true, Some(all)) = (self.aborted_unwritten, &self.aborted) {
            self.write_aborted(files, all)?;
            (self.aborted_unwritten, self.aborted_unsynced) = (false, true);
        }
        if self.aborted.as_ref().is_some_and(Vec::is_empty) {
            // That it is there says that nothing is missing. If a power loss takes it, it is made anew.
            files.open(self.base, TXN_INDEX, OpenMode::Create)?;
        }
        let base = self.base;
        match &mut self.indexes {
            Some(indexes) => {
                indexes.note_max(files, base)?;
                indexes.finish(files, base)
            }
            None => Ok(()),
        }
    }

    /// The files besides the log that must be durable before recovery may trust this closed segment.
    pub(super) fn index_files(&self) -> Vec<Arc<dyn File>> {
        self.indexes
            .as_ref()
            .map(|i| [i.offsets.file(), i.times.file()].into_iter().flatten().collect())
            .unwrap_or_default()
    }
}

impl Indexes {
    fn note_max(&mut self, files: Files<'_>, base: Offset) -> Result<(), StorageError> {
        let later = self.times.last().is_none_or(|last| self.max.timestamp > last.timestamp);
        if later && self.max.timestamp >= 0 {
            let entry =
                TimeEntry { timestamp: self.max.timestamp, relative_offset: (self.max.offset - base) as u32 };
            let path = files.path(base, TIME_INDEX);
            self.times.push(entry, || files.disk.open(&path, OpenMode::Create)).at(&path)?;
        }
        Ok(())
    }

    fn finish(&mut self, files: Files<'_>, base: Offset) -> Result<(), StorageError> {
        let path = files.path(base, INDEX);
        self.offsets.finish(|| files.disk.open(&path, OpenMode::Create)).at(&path)?;
        let path = files.path(base, TIME_INDEX);
        self.times.finish(|| files.disk.open(&path, OpenMode::Create)).at(&path)
    }
}

/// The batch behind a header, if the header can be one of a segment with this base and size.
pub(super) fn plausible(raw: &[u8], base: Offset, position: u32, size: u32) -> Option<BatchAt> {
    let header = BatchHeader::new(raw)?;
    let bytes = u32::try_from(header.total_bytes()?).ok()?;
    let fits = position.checked_add(bytes).is_some_and(|end| end <= size);
    let delta = header.last_offset_delta();
    let in_range = header.base_offset() >= base
        && delta >= 0
        && header.base_offset() - base <= i64::from(i32::MAX) - i64::from(delta);
    (header.magic() == MAGIC && fits && in_range).then(|| BatchAt {
        base_offset: header.base_offset(),
        last_offset: header.last_offset(),
        position,
        bytes,
        max_timestamp: header.max_timestamp(),
        leader_epoch: header.partition_leader_epoch(),
    })
}

/// Goes from header to header, reading blocks.
pub(super) struct Walk {
    file: Arc<dyn File>,
    position: u32,
    size: u32,
    block: Vec<u8>,
    block_at: u32,
}

impl Walk {
    fn new(file: Arc<dyn File>, position: u32, size: u32) -> Walk {
        Walk { file, position, size, block: Vec::new(), block_at: 0 }
    }

    /// The next batch; `None` at the end of the segment.
    pub(super) fn next(&mut self, files: Files<'_>, base: Offset) -> Result<Option<BatchAt>, StorageError> {
        if self.position >= self.size {
            return Ok(None);
        }
        let inside = self.position.checked_sub(self.block_at).map(|at| at as usize);
        let raw = match inside.and_then(|at| self.block.get(at..at + HEADER_BYTES)) {
            Some(raw) => raw,
            None => {
                let left = (self.size - self.position) as usize;
                // The first block is small: most walks end within a batch or two.
                let want = if self.block.is_empty() { 4096 } else { WALK_BLOCK };
                self.block.resize(left.min(want), 0);
                self.block_at = self.position;
                read_exact_at(&*self.file, u64::from(self.position), &mut self.block)
                    .at(&files.path(base, LOG))?;
                &self.block
            }
        };
        match plausible(raw, base, self.position, self.size) {
            Some(batch) => {
                self.position += batch.bytes;
                Ok(Some(batch))
            }
            None => Err(StorageError::Corrupt {
                path: files.path(base, LOG),
                position: u64::from(self.position),
                why: "no batch begins where one should".to_owned(),
            }),
        }
    }
}
