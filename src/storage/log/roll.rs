//! Files that are made: the directory with the first record, the next segment, the producers' snapshot between two.

use std::io::IoSlice;

use super::{Log, files};
use crate::env::disk::OpenMode;
use crate::storage::checkpoint::{PARTITION_METADATA, partition_metadata_content};
use crate::storage::fault::{At, StorageError};
use crate::storage::segment::{Files, LOG, SNAPSHOT, Segment};
use crate::types::{Ms, Offset, TopicPartition};

impl Log {
    /// Sees to it that there is an active segment with room for a batch.
    pub(super) fn make_room(
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

    pub(super) fn make_dir(&mut self) -> Result<(), StorageError> {
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
        (self.has_dir, self.is_new) = (true, true);
        self.epochs_dirty = true;
        Ok(())
    }

    /// After a kill, names and the topic id may be there without being durable.
    pub(in crate::storage) fn distrust_names(&mut self) -> Result<(), StorageError> {
        (self.parent_dirty, self.dir_dirty) = (true, true);
        // A sync that has ended well was of the topic id, too.
        self.is_new = self.synced == 0;
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
    pub(super) fn take_snapshot(&mut self, offset: Offset) -> Result<(), StorageError> {
        let content = self.producers.to_bytes();
        let path = files!(self).path(offset, SNAPSHOT);
        let file = self.dir.disk().open(&path, OpenMode::Create).at(&path)?;
        file.write_at(0, &[IoSlice::new(&content)]).at(&path)?;
        file.set_len(content.len() as u64).at(&path)?;
        self.also_sync.push(file);
        self.dir_dirty = true;
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
