//! What becomes durable: the jobs that wait for the disk, what their end means, and the orderly end of a log.

use std::path::PathBuf;
use std::sync::Arc;

use super::{LEADER_EPOCHS, Log, files};
use crate::env::File;
use crate::env::disk::{put_in_place, replace_file, write_beside};
use crate::storage::dir::LogDir;
use crate::storage::fault::{At, StorageError};
use crate::storage::segment::Files;
use crate::types::{Ms, Offset, TopicPartition};

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

    /// The work without its syncs, for many logs at once: afterwards the caller syncs the whole file system, and says so
    /// with [`SyncJob::synced_by`]. Until then a power loss may leave the files half written. Blocks.
    pub(in crate::storage) fn put_files_in_place(&self) -> Result<(), StorageError> {
        let disk = &**self.dir.disk();
        for (path, content) in &self.replace {
            write_beside(disk, path, content).and_then(|_| put_in_place(disk, path)).at(path)?;
        }
        Ok(())
    }

    /// The outcome, once everything on the file system is durable, or not.
    pub(in crate::storage) fn synced_by(self, outcome: Result<(), StorageError>) -> SyncDone {
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
    /// What has to be synced now; `None` if there is nothing or a job is under way (ask again when it is
    /// done: one job covers all that came meanwhile).
    pub fn sync_job(&mut self) -> Option<SyncJob> {
        if self.in_flight || self.is_offline() || !self.loaded {
            return None;
        }
        if !self.is_unsynced() {
            return None;
        }
        let mut files = std::mem::take(&mut self.also_sync);
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        let mut failed = None;
        for segment in self.segments.iter_mut().filter(|s| s.is_dirty()) {
            // Its name may be as new as what is in it.
            self.dir_dirty |= segment.has_unsynced_aborted();
            match segment.take_unsynced(cx) {
                Ok(taken) => files.extend(taken),
                Err(error) => failed = Some(error),
            }
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

    /// True if a [`SyncJob`] would have something to do.
    pub(super) fn is_unsynced(&self) -> bool {
        let names_dirty = self.dir_dirty || self.parent_dirty || (self.epochs_dirty && self.has_dir);
        names_dirty || !self.also_sync.is_empty() || self.segments.iter().any(|s| s.is_dirty())
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
        self.is_new = false;
        // A truncation since then has synced for itself, and what came after it was not covered.
        if done.generation == self.generation {
            self.synced = self.synced.max(done.upto);
            let clean = self.synced == self.end && !self.segments.iter().any(|s| s.is_dirty());
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
    pub(in crate::storage) fn write_out_to_close(&mut self) -> Result<(), StorageError> {
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
}
