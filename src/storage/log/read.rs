//! What goes out: bytes from an offset on, and the transactions that a reader of them must leave out.

use super::{Log, files};
use crate::storage::fault::{ReadError, StorageError};
use crate::storage::recovery;
use crate::storage::segment::{BatchAt, Files};
use crate::storage::slice::FileSlice;
use crate::storage::txn_index::AbortedTxn;
use crate::types::Offset;

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

impl Log {
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

    /// An offset that lies behind every batch of `read`, and not far: what a reader that leaves out aborted transactions
    /// must know of. `end` is where its reading had to stop.
    pub fn offset_behind(&mut self, read: &ReadOutcome, end: Offset) -> Result<Offset, StorageError> {
        self.ready()?;
        let len = read.slice.as_ref().map_or(0, |slice| slice.len);
        let interval = self.config.index_interval_bytes;
        let i = self.segments.floor(read.segment_base);
        let behind = match self.segments.get_mut(i) {
            Some(segment) => segment.indexed_from(files!(self), read.position.saturating_add(len), interval),
            None => Ok(None),
        };
        let behind = self.after(behind)?;
        Ok(behind.unwrap_or_else(|| self.segments.end_of(i, self.end)).min(end))
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

    /// Sees to it that segment `i` has its index of aborted transactions. One that got lost is made anew from the log.
    pub(super) fn load_aborted(&mut self, i: usize) -> Result<(), StorageError> {
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        let Some(segment) = self.segments.get_mut(i) else { return Ok(()) };
        if segment.load_aborted(cx)? { Ok(()) } else { recovery::rebuild_aborted(self, i) }
    }

    fn find_aborted(&mut self, from: Offset, upto: Offset) -> Result<Vec<AbortedTxn>, StorageError> {
        let mut found = Vec::new();
        let last = self.segments.len().saturating_sub(1);
        let first = self.segments.floor(from);
        if first < last && self.segments.wants_aborted_in(first) {
            for i in first + 1..last {
                if self.segments.get(i).is_some_and(|segment| !segment.knows_aborted()) {
                    self.load_aborted(i)?;
                }
            }
            self.segments.note_aborted_in(first);
        }
        let mut next = Some(first);
        while let Some(i) = next {
            // Of those between, none reaches back so far. The last one is still written to.
            next = match self.segments.next_aborted_in(i, upto) {
                None if i < last => Some(last),
                closed => closed,
            };
            self.load_aborted(i)?;
            let Some(segment) = self.segments.get(i) else { break };
            let aborted = segment.aborted();
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
}
