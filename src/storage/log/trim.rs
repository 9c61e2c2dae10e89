//! What goes from the front: the log start offset moves over records, and the files below it go later.

use super::{Log, files};
use crate::storage::fault::{ReadError, StorageError};
use crate::storage::retention::{self, Limits, SegmentInfo};
use crate::storage::segment::{DELETED, Files, INDEX, LOG, SNAPSHOT, TIME_INDEX, TXN_INDEX};
use crate::types::{Ms, Offset};

impl Log {
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
        self.dir.note_start(&self.tp, self.registration, offset.max(self.next_start));
        Ok(true)
    }

    /// Has the log start offset move over the segments that are past their retention: [`Log::reap`] does that, once it is
    /// durable, and removes their files. So no reader sees a start that a power loss puts back. Gives back how many
    /// segments that are.
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
        self.next_start = self.next_start.max(base).max(self.start);
        self.dir.note_start(&self.tp, self.registration, self.next_start);
        Ok(count)
    }

    /// Moves the log start offset to where retention wants it, if that is durable.
    fn take_next_start(&mut self, durable: Offset) {
        if (self.start + 1..=durable).contains(&self.next_start) {
            self.start = self.next_start;
            self.epochs_dirty |= self.epochs.truncate_from_start(self.start);
        }
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
        let start = self.start.max(self.next_start);
        let count = retention::deletable(&infos, limits, start, high_watermark, now);
        self.segments.limit_open_files(usize::MAX);
        Ok(count)
    }

    /// Moves the log start offset to where retention wants it if the checkpoint on disk says so, and removes the files
    /// of segments that lie below it, once the names of those that stay are durable; until then it comes up again in
    /// [`crate::storage::Manager::tick`]. They are renamed now and removed after `file.delete.delay.ms`.
    pub fn reap(&mut self, now: Ms) -> Result<usize, StorageError> {
        self.ready()?;
        let durable = self.dir.marks(&self.tp).map_or(0, |marks| marks.durable_start);
        self.take_next_start(durable);
        if self.in_flight || self.dir_dirty || !self.also_sync.is_empty() {
            // The segments that stay, and what was known of producers where they begin, must be durable
            // first.
            self.dir.reap_later(&self.tp);
            return Ok(0);
        }
        let durable = durable.min(self.start);
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
    pub(super) fn remove_files(
        &mut self,
        base: Offset,
        due: Ms,
        with_snapshot: bool,
    ) -> Result<(), StorageError> {
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
}
