//! What goes from the end: records that another leader does not have. Synced before it returns.

use super::{Log, files};
use crate::storage::fault::{At, StorageError};
use crate::storage::recovery;
use crate::storage::segment::{Files, LOG, SNAPSHOT, Segment};
use crate::types::Offset;

impl Log {
    /// Removes every record at or above `offset`. Blocks for the disk. The log may end below `offset` if that
    /// lies inside a batch.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<(), StorageError> {
        self.ready()?;
        if offset >= self.end {
            return Ok(());
        }
        // What retention has written down must not end up above the end either.
        if offset < self.start.max(self.next_start)
            || self.segments.first_base().is_none_or(|base| offset < base)
        {
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
            segment.unsynced = true;
            for file in segment.take_unsynced(cx)? {
                file.sync().at(&path)?;
            }
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
        (self.dir_dirty, self.parent_dirty, self.is_new) = (false, false, false);
        self.epochs.clear();
        self.epochs_dirty = true;
        self.producers.reset(offset);
        let backwards = offset < self.start.max(self.next_start);
        (self.start, self.next_start, self.synced, self.end) = (offset, offset, offset, offset);
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
