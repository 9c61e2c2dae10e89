//! The metadata log on disk: Kafka's segments of record batches, one batch for each entry.
//!
//! Lies in `<metadata.log.dir>/__cluster_metadata-0/` as `%020d.log`, named by base offset. Kafka's offsets count records,
//! openraft's indexes count entries: the index of a batch is its rank in the log. Where the log does not begin with the
//! first batch ever written, `ottla-log-start` names the offset and the index of the first one.
//!
//! Invariants:
//! * Batches follow each other without gaps in offsets, over all segments. Terms never fall.
//! * What is written stays in the file's order; [`MetadataLog::sync`] makes it durable, and after a sync that failed
//!   nothing is written or believed any more.
//! * On opening, a torn end is cut: bytes after the last whole batch with no whole batch behind them. Anything else that
//!   is not whole is damage, which is refused and never cut.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::env::disk::{OpenMode, put_in_place, read_exact_at, read_file, replace_file, write_beside};
use crate::env::{Disk, File};
use crate::types::{LeaderEpoch, Ms, NodeId, Offset};
use crate::wire::batch::{Batch, BatchHeader, HEADER_BYTES, MAGIC};

use super::batches::{self, BatchContentError};
use super::types::{Entry, EntryPayload, LogId, Payload, Voter, log_id, term_of};

/// Names the first offset and index of a log that has lost its front.
const START_FILE: &str = "ottla-log-start";
/// Stands in it while the log is emptied to go on behind a snapshot that came from elsewhere.
const RESET_LINE: &str = "reset";
const EPOCHS_FILE: &str = "leader-epoch-checkpoint";
/// A larger file of epochs is written anew.
const EPOCHS_BYTES_MAX: u64 = 16 << 20;
/// Largest batch that is read: twice what one proposal may hold.
const BATCH_BYTES_MAX: usize = 64 << 20;
/// Largest file of a segment, whatever the configuration says; keeps positions and memory in bounds.
const SEGMENT_BYTES_MAX: u64 = 4 << 30;
/// Bytes of decoded entries that are kept, since what is appended is read again at once to be applied.
const CACHE_BYTES: usize = 4 << 20;

/// A log that cannot be opened or used.
#[derive(Debug, Error)]
pub enum MetadataLogError {
    /// The disk said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Bytes that are not what was written.
    #[error(
        "{path} is damaged at byte {position}: {what}; refusing to go on, restore it from another controller"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        what: String,
    },
    /// An earlier write or sync failed, so nothing can be promised any more.
    #[error("an earlier write to the metadata log failed")]
    Failed,
}

impl From<MetadataLogError> for io::Error {
    fn from(error: MetadataLogError) -> io::Error {
        let kind = match &error {
            MetadataLogError::Io { source, .. } => source.kind(),
            MetadataLogError::Damaged { .. } => io::ErrorKind::InvalidData,
            MetadataLogError::Failed => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// One batch.
struct Slot {
    base: Offset,
    term: u64,
    segment: Offset,
    position: u64,
    bytes: u32,
    payload: Option<Payload>,
}

struct Segment {
    file: Arc<dyn File>,
    len: u64,
}

/// Where the log begins: everything before was dropped because a snapshot has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Start {
    offset: Offset,
    /// The last entry that is gone; `None` if none is.
    purged: Option<LogId>,
}

/// The log. Plain calls that may block; [`super::log_store`] gives it to openraft.
pub(super) struct MetadataLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    start: Start,
    slots: VecDeque<Slot>,
    segments: BTreeMap<Offset, Segment>,
    end: Offset,
    epochs: Vec<(LeaderEpoch, Offset)>,
    cached_bytes: usize,
    /// Slots before this one have no payload in memory.
    cached_from: usize,
    failed: bool,
}

fn at_path(path: &Path) -> impl FnOnce(io::Error) -> MetadataLogError + '_ {
    |source| MetadataLogError::Io { path: path.to_owned(), source }
}

/// Name of the segment that begins at `base`.
fn segment_name(base: Offset) -> String {
    format!("{base:020}.log")
}

impl MetadataLog {
    /// Opens the log in `dir`, which is made if it is not there. `segment_bytes` is `metadata.log.segment.bytes`.
    ///
    /// `snapshot` is the end of the oldest snapshot, offset and epoch: a log that begins there without saying so was
    /// left by Kafka, whose files have no indexes.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        segment_bytes: u64,
    ) -> Result<MetadataLog, MetadataLogError> {
        disk.create_dir_all(dir).map_err(at_path(dir))?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent).map_err(at_path(parent))?;
        }
        let mut log = MetadataLog {
            segment_bytes: segment_bytes.clamp(1 << 10, SEGMENT_BYTES_MAX),
            start: Start { offset: 0, purged: None },
            slots: VecDeque::new(),
            segments: BTreeMap::new(),
            end: 0,
            epochs: Vec::new(),
            cached_bytes: 0,
            cached_from: 0,
            failed: false,
            dir: dir.to_owned(),
            disk,
        };
        let (start, is_reset) = match log.read_start()? {
            Some((start, is_reset)) => (Some(start), is_reset),
            None => (None, false),
        };
        let mut bases = Vec::new();
        for entry in log.disk.list(dir).map_err(at_path(dir))? {
            let stem = entry.name.strip_suffix(".log").filter(|s| s.len() == 20 && !entry.is_dir);
            if let Some(base) = stem.and_then(|s| s.parse::<Offset>().ok()) {
                bases.push(base);
            }
        }
        bases.sort_unstable();
        match start {
            Some(start) => log.start = start,
            None => {
                if let Some(&first) = bases.first().filter(|first| **first > 0) {
                    // A log that Kafka has shortened: the entries before it are counted as one.
                    log.start = Start { offset: first, purged: Some(log_id(0, 0)) };
                }
            }
        }
        log.end = log.start.offset;
        if is_reset {
            // The node stopped within `reset_to`: what lies here is not what comes before the start.
            for base in bases.drain(..) {
                log.remove_segment_files(base)?;
            }
            log.write_start(false)?;
        }
        // Segments that end before the start were being deleted when the node stopped.
        while bases.get(1).is_some_and(|next| *next <= log.start.offset) {
            log.remove_segment_files(bases.remove(0))?;
        }
        let last = bases.last().copied();
        for base in bases {
            log.load_segment(base, Some(base) == last)?;
        }
        if start.is_none() && log.start.offset > 0 {
            // Its term is that of the first batch at most, which is what matters for order.
            let term = log.slots.front().map_or(0, |slot| slot.term);
            log.start.purged = Some(log_id(term, 0));
            log.write_start(false)?;
        }
        log.recount_epochs();
        log.mend_epochs()?;
        Ok(log)
    }

    /// Where the log begins, and whether everything in it is to be dropped.
    fn read_start(&self) -> Result<Option<(Start, bool)>, MetadataLogError> {
        let path = self.dir.join(START_FILE);
        let text = match read_file(&*self.disk, &path, 4096) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(at_path(&path)(e)),
        };
        let parse = || {
            let text = std::str::from_utf8(&text).ok()?;
            let mut lines = text.lines();
            if lines.next()? != "0" {
                return None;
            }
            let mut numbers = lines.next()?.split(' ').map(|n| n.parse::<i64>().ok().filter(|n| *n >= 0));
            let (offset, index, term) = (numbers.next()??, numbers.next()??, numbers.next()??);
            let start = Start {
                offset,
                purged: Some(log_id(term as u64, u64::try_from(index).ok()?.checked_sub(1)?)),
            };
            Some((start, lines.next() == Some(RESET_LINE)))
        };
        match parse() {
            Some(start) => Ok(Some(start)),
            None => {
                let what = "it is not a version and then offset, index and term".to_owned();
                Err(MetadataLogError::Damaged { path, position: 0, what })
            }
        }
    }

    fn write_start(&self, is_reset: bool) -> Result<(), MetadataLogError> {
        let path = self.dir.join(START_FILE);
        let Some(purged) = self.start.purged else { return Ok(()) };
        let mut text = format!("0\n{} {} {}\n", self.start.offset, purged.index() + 1, term_of(&purged));
        if is_reset {
            text.push_str(RESET_LINE);
            text.push('\n');
        }
        replace_file(&*self.disk, &path, text.as_bytes()).map_err(at_path(&path))
    }

    /// Reads one segment and takes its batches in.
    fn load_segment(&mut self, base: Offset, is_last: bool) -> Result<(), MetadataLogError> {
        let path = self.dir.join(segment_name(base));
        let file = self.disk.open(&path, OpenMode::Write).map_err(at_path(&path))?;
        let len = file.len().map_err(at_path(&path))?;
        let damaged =
            |position: u64, what: String| MetadataLogError::Damaged { path: path.clone(), position, what };
        if base > self.end {
            return Err(damaged(0, format!("the log ends at offset {} before it", self.end)));
        }
        let mut next = base;
        let mut position = 0u64;
        let mut good = 0u64;
        while position < len {
            let whole = match read_batch(&*file, position, len) {
                Ok(whole) => whole,
                Err(ReadError::Io(e)) => return Err(at_path(&path)(e)),
                Err(ReadError::Torn(what)) => {
                    if !is_last || has_batch_after(&*file, position, len, next).map_err(at_path(&path))? {
                        return Err(damaged(position, what));
                    }
                    tracing::warn!(
                        file = %path.display(), position, len, "cutting the torn end of the metadata log: {what}"
                    );
                    file.set_len(position).map_err(at_path(&path))?;
                    file.sync().map_err(at_path(&path))?;
                    break;
                }
            };
            let batch = Batch::first_of(&whole).map_err(|e| damaged(position, e.to_string()))?;
            let header = batch.header();
            if header.base_offset() != next {
                return Err(damaged(position, format!("offset {} where {next} comes", header.base_offset())));
            }
            let payload = batches::decode(&batch, &whole)
                .map_err(|e: BatchContentError| damaged(position, e.to_string()))?;
            let term = u64::try_from(header.partition_leader_epoch())
                .map_err(|_| damaged(position, "a batch without an epoch".to_owned()))?;
            next += payload.offsets();
            if header.base_offset() >= self.start.offset {
                if self.last_log_id().is_some_and(|last| term_of(&last) > term) {
                    return Err(damaged(position, format!("epoch {term} after a later one")));
                }
                self.slots.push_back(Slot {
                    base: header.base_offset(),
                    term,
                    segment: base,
                    position,
                    bytes: whole.len() as u32,
                    payload: None,
                });
                self.end = next;
            }
            position += whole.len() as u64;
            good = position;
        }
        self.cached_from = self.slots.len();
        self.end = self.end.max(next.min(self.start.offset.max(next)));
        self.segments.insert(base, Segment { file, len: good });
        Ok(())
    }

    fn recount_epochs(&mut self) {
        self.epochs.clear();
        for slot in &self.slots {
            let epoch = slot.term as LeaderEpoch;
            if self.epochs.last().is_none_or(|(last, _)| *last != epoch) {
                self.epochs.push((epoch, slot.base));
            }
        }
    }

    fn check(&self) -> Result<(), MetadataLogError> {
        if self.failed { Err(MetadataLogError::Failed) } else { Ok(()) }
    }

    /// Index of the first entry that is there, or would be.
    fn first_index(&self) -> u64 {
        self.start.purged.map_or(0, |purged| purged.index() + 1)
    }

    /// Index after the last entry.
    pub(super) fn next_index(&self) -> u64 {
        self.first_index() + self.slots.len() as u64
    }

    /// Offset of the first record that is there.
    pub(super) fn start_offset(&self) -> Offset {
        self.start.offset
    }

    /// Offset after the last record.
    pub(super) fn end_offset(&self) -> Offset {
        self.end
    }

    /// The last entry that was dropped from the front.
    pub(super) fn purged(&self) -> Option<LogId> {
        self.start.purged
    }

    /// The last entry; if there is none, the last that was dropped.
    pub(super) fn last_log_id(&self) -> Option<LogId> {
        match self.slots.back() {
            Some(slot) => Some(log_id(slot.term, self.next_index() - 1)),
            None => self.start.purged,
        }
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first_index())?).ok()?)
    }

    /// Offset of an entry's first record.
    #[cfg(test)]
    pub(super) fn base_offset_of(&self, index: u64) -> Option<Offset> {
        Some(self.slot(index)?.base)
    }

    /// Offset after an entry's last record.
    pub(super) fn end_of_entry(&self, index: u64) -> Option<Offset> {
        if self.start.purged.is_some_and(|purged| purged.index() == index) {
            return Some(self.start.offset);
        }
        self.slot(index)?;
        Some(self.slot(index + 1).map_or(self.end, |next| next.base))
    }

    /// The entry that ends before `offset`: the one that a snapshot up to `offset` contains last.
    pub(super) fn entry_before(&self, offset: Offset) -> Option<LogId> {
        if offset == self.start.offset {
            return self.start.purged;
        }
        let after = self.slots.partition_point(|slot| slot.base < offset);
        let ends_there = self.slots.get(after).map_or(self.end, |slot| slot.base) == offset;
        let before = after.checked_sub(1).filter(|_| ends_there)?;
        Some(log_id(self.slots[before].term, self.first_index() + before as u64))
    }

    /// Entries from `from` up to but not including `to`, as many as are there.
    pub(super) fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, MetadataLogError> {
        let from = from.max(self.first_index());
        let to = to.min(self.next_index());
        let mut entries = Vec::with_capacity(to.saturating_sub(from).min(4096) as usize);
        for index in from..to {
            let Some(slot) = self.slot(index) else { break };
            let content = match &slot.payload {
                Some(content) => content.clone(),
                None => self.read_payload(slot)?,
            };
            entries.push(Entry { log_id: log_id(slot.term, index), payload: content.into() });
        }
        Ok(entries)
    }

    /// Index after the entries from `from` that take `bytes_max` together: at least the first, at most up to `to`.
    pub(super) fn index_within(&self, from: u64, to: u64, bytes_max: usize) -> u64 {
        let mut bytes = 0;
        let mut next = from;
        while next < to {
            let Some(slot) = self.slot(next) else { break };
            bytes += slot.bytes as usize;
            if bytes > bytes_max && next > from {
                break;
            }
            next += 1;
        }
        next
    }

    /// The batches of entries as they lie here, one after another. `None` if one of them is not here, or no more.
    pub(super) fn batches_of(
        &self,
        ids: impl IntoIterator<Item = LogId>,
    ) -> Result<Option<Bytes>, MetadataLogError> {
        let mut batches = Vec::new();
        for id in ids {
            let Some(slot) = self.slot(id.index()).filter(|slot| slot.term == term_of(&id)) else {
                return Ok(None);
            };
            batches.push(self.read_slot(slot)?);
        }
        Ok(Some(match batches.len() {
            1 => batches.remove(0),
            _ => batches.concat().into(),
        }))
    }

    /// The batches from the one that has `offset` on up to `end`, and no more than `bytes_max` bytes
    /// unless the first has more.
    pub(super) fn batches_from(
        &self,
        offset: Offset,
        end: Offset,
        bytes_max: usize,
    ) -> Result<Bytes, MetadataLogError> {
        if offset >= end {
            return Ok(Bytes::new());
        }
        let first = self.slots.partition_point(|slot| slot.base <= offset).saturating_sub(1);
        let mut batches: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        for at in first..self.slots.len() {
            let slot = &self.slots[at];
            let ends = self.slots.get(at + 1).map_or(self.end, |next| next.base);
            bytes += slot.bytes as usize;
            if ends > end || (bytes > bytes_max && !batches.is_empty()) {
                break;
            }
            batches.push(self.read_slot(slot)?);
        }
        Ok(match batches.len() {
            1 => batches.remove(0),
            _ => batches.concat().into(),
        })
    }

    /// The end of `epoch` here, or of the greatest before it: epoch, and the offset after its last record. `None` where
    /// the log has nothing so old.
    pub(super) fn end_of_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let after = self.slots.partition_point(|slot| slot.term as LeaderEpoch <= epoch);
        match after.checked_sub(1) {
            Some(last) => {
                let end = self.slots.get(after).map_or(self.end, |slot| slot.base);
                Some((self.slots[last].term as LeaderEpoch, end))
            }
            None => {
                let purged = self.start.purged.filter(|purged| term_of(purged) as LeaderEpoch <= epoch)?;
                Some((term_of(&purged) as LeaderEpoch, self.start.offset))
            }
        }
    }

    fn read_payload(&self, slot: &Slot) -> Result<Payload, MetadataLogError> {
        let whole = self.read_slot(slot)?;
        let path = self.dir.join(segment_name(slot.segment));
        let damaged =
            |what: String| MetadataLogError::Damaged { path: path.clone(), position: slot.position, what };
        let batch = Batch::first_of(&whole).map_err(|e| damaged(e.to_string()))?;
        batches::decode(&batch, &whole).map_err(|e| damaged(e.to_string()))
    }

    fn read_slot(&self, slot: &Slot) -> Result<Bytes, MetadataLogError> {
        let path = self.dir.join(segment_name(slot.segment));
        let damaged =
            |what: String| MetadataLogError::Damaged { path: path.clone(), position: slot.position, what };
        let Some(segment) = self.segments.get(&slot.segment) else {
            return Err(damaged("the segment is gone".to_owned()));
        };
        let end = slot.position + u64::from(slot.bytes);
        let whole = match read_batch(&*segment.file, slot.position, end) {
            Ok(whole) => whole,
            Err(ReadError::Io(e)) => return Err(at_path(&path)(e)),
            Err(ReadError::Torn(what)) => return Err(damaged(what)),
        };
        let batch = Batch::first_of(&whole).map_err(|e| damaged(e.to_string()))?;
        if batch.header().base_offset() != slot.base {
            return Err(damaged("another batch than was written there".to_owned()));
        }
        Ok(whole)
    }

    /// Writes entries at the end. They are not durable before [`MetadataLog::sync`].
    ///
    /// An entry that came in a batch is written as that batch; others get one with the time `now`. `leader` and `voters`
    /// go into the control batch of a blank entry. A batch that does not follow the last one is refused: whose log gave
    /// the same entry another offset has another history.
    pub(super) fn append(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
        now: Ms,
        leader: NodeId,
        voters: &BTreeMap<NodeId, Voter>,
    ) -> Result<(), MetadataLogError> {
        self.check()?;
        let mut new_epoch = false;
        for entry in entries {
            if self.slots.is_empty() && self.start.purged.is_none() && entry.log_id.index() > 0 {
                // Only tests of the store begin a log elsewhere than at its start.
                let before = log_id(term_of(&entry.log_id), entry.log_id.index() - 1);
                self.start.purged = Some(before);
                self.write_start(false)?;
            }
            assert_eq!(entry.log_id.index(), self.next_index(), "entries are appended without holes");
            let term = term_of(&entry.log_id);
            let epoch = LeaderEpoch::try_from(term).map_err(|_| MetadataLogError::Failed)?;
            let base = self.end;
            let EntryPayload { content, batch } = entry.payload;
            let bytes = match batch {
                Some(batch) => self.check_follows(batch, epoch)?,
                None => {
                    // The first entry of all is written by every voter by itself, and must be the same everywhere.
                    let now = if term == 0 { 0 } else { now };
                    batches::encode(&content, base, epoch, now, (leader, voters)).into()
                }
            };
            let (segment, position) = self.write(base, &bytes)?;
            if self.epochs.last().is_none_or(|(last, _)| *last != epoch) {
                self.epochs.push((epoch, base));
                new_epoch = true;
            }
            self.end = base + content.offsets();
            self.cached_bytes += content.memory();
            self.slots.push_back(Slot {
                base,
                term,
                segment,
                position,
                bytes: bytes.len() as u32,
                payload: Some(content),
            });
        }
        self.trim_cache();
        if new_epoch {
            self.write_epochs()?;
        }
        Ok(())
    }

    fn check_follows(&mut self, batch: Bytes, epoch: LeaderEpoch) -> Result<Bytes, MetadataLogError> {
        let found = BatchHeader::new(&batch).map(|h| (h.base_offset(), h.partition_leader_epoch()));
        if found == Some((self.end, epoch)) {
            return Ok(batch);
        }
        self.failed = true;
        let what =
            format!("the leader's batch is {found:?} where offset {} of epoch {epoch} comes", self.end);
        Err(MetadataLogError::Damaged { path: self.dir.clone(), position: 0, what })
    }

    fn write(&mut self, base: Offset, bytes: &[u8]) -> Result<(Offset, u64), MetadataLogError> {
        let full = |s: &Segment| s.len > 0 && s.len + bytes.len() as u64 > self.segment_bytes;
        if self.segments.last_key_value().is_none_or(|(_, segment)| full(segment)) {
            self.roll(base)?;
        }
        let Some((&name, segment)) = self.segments.iter_mut().next_back() else {
            return Err(MetadataLogError::Failed);
        };
        let position = segment.len;
        if let Err(e) = segment.file.write_at(position, &[IoSlice::new(bytes)]) {
            self.failed = true;
            return Err(at_path(&self.dir.join(segment_name(name)))(e));
        }
        segment.len += bytes.len() as u64;
        Ok((name, position))
    }

    /// Begins a segment. The one before is made durable first, so that only the last one can have a torn end.
    fn roll(&mut self, base: Offset) -> Result<(), MetadataLogError> {
        self.sync_last()?;
        let path = self.dir.join(segment_name(base));
        let made = self.disk.open(&path, OpenMode::Create).and_then(|file| {
            // What is in it is synced before any of it counts; its name must not be lost then.
            file.set_len(0)?;
            self.disk.sync_dir(&self.dir)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                self.segments.insert(base, Segment { file, len: 0 });
                Ok(())
            }
            Err(e) => {
                self.failed = true;
                Err(at_path(&path)(e))
            }
        }
    }

    fn sync_last(&mut self) -> Result<(), MetadataLogError> {
        let Some((&base, segment)) = self.segments.last_key_value() else { return Ok(()) };
        if let Err(e) = segment.file.sync() {
            self.failed = true;
            return Err(at_path(&self.dir.join(segment_name(base)))(e));
        }
        Ok(())
    }

    /// The file to sync so that all that was appended is durable; `None` if there is nothing. Whoever syncs it says
    /// [`MetadataLog::fail`] if that fails.
    pub(super) fn file_to_sync(&self) -> Option<Arc<dyn File>> {
        Some(self.segments.last_key_value()?.1.file.clone())
    }

    /// Nothing is believed any more.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    fn trim_cache(&mut self) {
        while self.cached_bytes > CACHE_BYTES && self.cached_from < self.slots.len() {
            if let Some(payload) = self.slots[self.cached_from].payload.take() {
                self.cached_bytes -= payload.memory();
            }
            self.cached_from += 1;
        }
    }

    /// Writes the epochs down for Kafka and its tools. They are never read here but counted anew when the log is opened,
    /// so that a start and an election need not wait for them to be on disk.
    fn write_epochs(&mut self) -> Result<(), MetadataLogError> {
        let path = self.dir.join(EPOCHS_FILE);
        let text = self.epochs_text();
        let written = write_beside(&*self.disk, &path, text.as_bytes()).map(drop);
        written.and_then(|()| put_in_place(&*self.disk, &path)).map_err(|e| {
            self.failed = true;
            at_path(&path)(e)
        })
    }

    fn epochs_text(&self) -> String {
        let mut text = format!("0\n{}\n", self.epochs.len());
        for (epoch, start) in &self.epochs {
            text.push_str(&format!("{epoch} {start}\n"));
        }
        text
    }

    /// Mends the file of the epochs where a power loss took what was not synced.
    fn mend_epochs(&mut self) -> Result<(), MetadataLogError> {
        let path = self.dir.join(EPOCHS_FILE);
        let found = match read_file(&*self.disk, &path, EPOCHS_BYTES_MAX) {
            Ok(found) => found,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Vec::new(),
            Err(e) => return Err(at_path(&path)(e)),
        };
        if self.epochs.is_empty() || found == self.epochs_text().as_bytes() {
            return Ok(());
        }
        self.write_epochs()
    }

    /// Drops the entries after `last`, or all. Durable on return.
    pub(super) fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), MetadataLogError> {
        self.check()?;
        let keep = match last {
            Some(last) => (last.index() + 1).saturating_sub(self.first_index()) as usize,
            None => 0,
        };
        if keep >= self.slots.len() {
            return Ok(());
        }
        let (cut_segment, cut_position) = (self.slots[keep].segment, self.slots[keep].position);
        self.end = self.slots[keep].base;
        for slot in self.slots.drain(keep..) {
            self.cached_bytes -= slot.payload.as_ref().map_or(0, Payload::memory);
        }
        self.cached_from = self.cached_from.min(keep);
        let result = (|| {
            while let Some((&base, _)) = self.segments.last_key_value().filter(|(b, _)| **b > cut_segment) {
                self.segments.remove(&base);
                self.remove_segment_files(base)?;
            }
            let path = self.dir.join(segment_name(cut_segment));
            if let Some(segment) = self.segments.get_mut(&cut_segment) {
                segment.file.set_len(cut_position).map_err(at_path(&path))?;
                segment.file.sync().map_err(at_path(&path))?;
                segment.len = cut_position;
            }
            self.disk.sync_dir(&self.dir).map_err(at_path(&self.dir))
        })();
        self.failed |= result.is_err();
        result?;
        self.recount_epochs();
        self.write_epochs()
    }

    /// Drops the entries up to `upto`, which a snapshot holds. Segments that have nothing else are removed. `upto` may lie
    /// after the end: then the log becomes empty and goes on after it, at `offset`, the snapshot's end.
    pub(super) fn purge(&mut self, upto: LogId, offset: Option<Offset>) -> Result<(), MetadataLogError> {
        self.check()?;
        if self.start.purged.is_some_and(|purged| purged.index() >= upto.index()) {
            return Ok(());
        }
        let drop = (upto.index() + 1 - self.first_index()) as usize;
        if drop > self.slots.len() {
            self.end = offset.unwrap_or(self.end).max(self.end);
        }
        let drop = drop.min(self.slots.len());
        for slot in self.slots.drain(..drop) {
            self.cached_bytes -= slot.payload.as_ref().map_or(0, Payload::memory);
        }
        self.cached_from = self.cached_from.saturating_sub(drop);
        self.start =
            Start { offset: self.slots.front().map_or(self.end, |slot| slot.base), purged: Some(upto) };
        // First what is gone, then the going: a crash between leaves segments that are skipped and removed later.
        let result = self.write_start(false).and_then(|()| {
            if self.slots.is_empty() && self.segments.last_key_value().is_some_and(|(b, _)| *b < self.end) {
                self.roll(self.end)?;
            }
            let bases: Vec<Offset> = self.segments.keys().copied().collect();
            for pair in bases.windows(2) {
                if pair[1] <= self.start.offset {
                    self.segments.remove(&pair[0]);
                    self.remove_segment_files(pair[0])?;
                }
            }
            Ok(())
        });
        self.failed |= result.is_err();
        result?;
        self.recount_epochs();
        self.write_epochs()
    }

    /// Drops everything; the log goes on behind entry `last`, at `offset`, where a snapshot ends that is on disk already
    /// and that came from elsewhere. Durable on return.
    pub(super) fn reset_to(&mut self, last: LogId, offset: Offset) -> Result<(), MetadataLogError> {
        self.check()?;
        self.slots.clear();
        (self.cached_bytes, self.cached_from) = (0, 0);
        self.end = offset;
        self.start = Start { offset, purged: Some(last) };
        let result = self.write_start(true).and_then(|()| {
            while let Some((base, _)) = self.segments.pop_last() {
                self.remove_segment_files(base)?;
            }
            self.roll(offset)?;
            self.write_start(false)
        });
        self.failed |= result.is_err();
        result?;
        self.recount_epochs();
        self.write_epochs()
    }

    /// True if entry `id` is here.
    pub(super) fn has(&self, id: LogId) -> bool {
        self.start.purged == Some(id) || self.slot(id.index()).is_some_and(|slot| slot.term == term_of(&id))
    }

    /// Removes a segment's file, and the indexes that Kafka may have left beside it.
    fn remove_segment_files(&self, base: Offset) -> Result<(), MetadataLogError> {
        for suffix in ["index", "timeindex", "txnindex", "log"] {
            let path = self.dir.join(format!("{base:020}.{suffix}"));
            match self.disk.remove_file(&path) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(at_path(&path)(e)),
            }
        }
        Ok(())
    }
}

enum ReadError {
    Io(io::Error),
    /// Not a whole batch, and why.
    Torn(String),
}

/// The batch at `position`, whole and with the right checksum.
fn read_batch(file: &dyn File, position: u64, end: u64) -> Result<Bytes, ReadError> {
    let torn = |what: &str| Err(ReadError::Torn(what.to_owned()));
    let left = end - position;
    if left < HEADER_BYTES as u64 {
        return torn("too few bytes for a batch");
    }
    let mut header = [0u8; HEADER_BYTES];
    read_exact_at(file, position, &mut header).map_err(ReadError::Io)?;
    let total = match BatchHeader::new(&header).map(|h| (h.magic(), h.total_bytes())) {
        Some((MAGIC, Some(total))) => total,
        _ => return torn("no batch of format 2"),
    };
    if total as u64 > left {
        return torn("the file ends within a batch");
    }
    if total > BATCH_BYTES_MAX {
        return torn("a batch larger than any that is written");
    }
    let mut whole = vec![0; total];
    read_exact_at(file, position, &mut whole).map_err(ReadError::Io)?;
    let batch = Batch::first_of(&whole).map_err(|e| ReadError::Torn(e.to_string()))?;
    batch.verify_checksum().map_err(|e| ReadError::Torn(e.to_string()))?;
    let header = batch.header();
    if header.last_offset_delta() < 0 || header.base_offset() < 0 {
        return torn("impossible offsets");
    }
    Ok(Bytes::from(whole))
}

/// True if a whole batch with an offset after `next` begins somewhere behind `position`: then what lies at `position`
/// was once whole too.
fn has_batch_after(file: &dyn File, position: u64, end: u64, next: Offset) -> io::Result<bool> {
    const WINDOW: usize = 1 << 20;
    let mut from = position + 1;
    let mut window = vec![0u8; WINDOW + HEADER_BYTES];
    while from + HEADER_BYTES as u64 <= end {
        let wanted = window.len().min((end - from) as usize);
        read_exact_at(file, from, &mut window[..wanted])?;
        for at in 0..wanted.saturating_sub(HEADER_BYTES - 1).min(WINDOW) {
            if window[at + 16] as i8 != MAGIC {
                continue;
            }
            let Some(header) = BatchHeader::new(&window[at..wanted]) else { continue };
            let plausible = header.base_offset() > next
                && header.base_offset() - next <= (end - position) as i64
                && header.records_count() > 0
                && header.total_bytes().is_some_and(|t| t as u64 <= end - from - at as u64);
            if plausible && read_batch(file, from + at as u64, end).is_ok() {
                return Ok(true);
            }
        }
        from += WINDOW as u64;
    }
    Ok(false)
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
