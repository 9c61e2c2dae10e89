//! One log directory: its lock, its failure, and what its logs tell it so that nobody has to scan them.
//!
//! Logs report transitions only (became dirty, was synced, has data, moved its start), so a log that nobody
//! writes to costs nothing but its entry in the table of marks. The marks are what the checkpoint files are
//! written from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::checkpoint;
use super::fault::{At, StorageError};
use crate::env::Disk;
use crate::env::disk::LockGuard;
use crate::types::{BrokerEpoch, Ms, Offset, TopicPartition};

/// Kafka's lock file in each log directory.
pub const LOCK_FILE: &str = ".lock";

/// What a log has told about its offsets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Marks {
    /// Everything below it is durable.
    pub(super) recovery_point: Offset,
    /// The log start offset.
    pub(super) start: Offset,
    /// The log start offset that is in the checkpoint on disk.
    pub(super) durable_start: Offset,
    /// How often the log was registered: a report of an earlier log of this name is void.
    pub(super) registration: u64,
}

#[derive(Default)]
struct Table {
    marks: BTreeMap<TopicPartition, Marks>,
    registrations: u64,
    unsynced: BTreeMap<TopicPartition, Ms>,
    with_data: BTreeSet<TopicPartition>,
    to_reap: BTreeSet<TopicPartition>,
    faulty: BTreeSet<TopicPartition>,
    /// Logs that are gone, but not from the checkpoints on disk.
    stale: BTreeSet<TopicPartition>,
    /// Files and directories to remove, by when.
    doomed: BTreeMap<(Ms, u64), PathBuf>,
    doomed_count: u64,
    starts_moved: bool,
    points_moved: bool,
    /// Logs whose recovery point has moved since all of them were written down.
    recent: BTreeSet<TopicPartition>,
    recent_moved: bool,
}

/// What is on disk of recovery points.
struct Points {
    /// Names the content of the checkpoint of all of them, once this run has written it.
    all: Option<String>,
    /// False once it is known that there are no recent ones beside it.
    recent: bool,
}

/// A log directory. Shared by the manager and the logs in it.
pub struct LogDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    failed: AtomicBool,
    /// Logs that were handed out or found, with or without a directory.
    logs: AtomicUsize,
    table: Mutex<Table>,
    /// Checkpoint files are written one at a time, the newest table last.
    writing: Mutex<Points>,
    _lock: Option<Box<dyn LockGuard>>,
}

impl std::fmt::Debug for LogDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogDir({})", self.path.display())
    }
}

impl LogDir {
    /// Takes the directory into use: makes it if it is missing, and locks it.
    pub fn lock(disk: Arc<dyn Disk>, path: PathBuf) -> Result<LogDir, StorageError> {
        disk.create_dir_all(&path).at(&path)?;
        // Also if it was there: whoever made it may have died before its name was durable.
        if let Some(parent) = path.parent() {
            disk.sync_dir(parent).at(parent)?;
        }
        let lock_path = path.join(LOCK_FILE);
        let lock = match disk.lock(&lock_path) {
            Ok(lock) => lock,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                return Err(StorageError::Locked { path: lock_path });
            }
            Err(e) => return Err(StorageError::io(&lock_path, e)),
        };
        Ok(LogDir {
            disk,
            path,
            failed: AtomicBool::new(false),
            logs: AtomicUsize::new(0),
            table: Mutex::default(),
            writing: Mutex::new(Points { all: None, recent: true }),
            _lock: Some(lock),
        })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file system it is on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// True once it has failed; it stays so until the node starts again.
    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Takes the directory out of use: no log in it accepts or serves anything any more.
    pub fn fail(&self, why: &StorageError) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(dir = %self.path.display(), error = %why, "log directory failed and is not used any more");
        }
    }

    /// Passes a result on; the directory fails if it is an I/O error.
    pub(super) fn watch<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error @ StorageError::Io { .. }) = &result {
            self.fail(error);
        }
        result
    }

    pub(super) fn offline(&self) -> StorageError {
        StorageError::Offline { path: self.path.clone() }
    }

    /// How many logs belong to it, whether or not they have files yet.
    pub fn partitions(&self) -> usize {
        self.logs.load(Ordering::Relaxed)
    }

    pub(super) fn count_log(&self) {
        self.logs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn discount_log(&self) {
        let _ = self.logs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }

    /// A log in it is corrupt: the directory can only be stopped uncleanly, so that the next start looks
    /// again.
    pub(super) fn note_fault(&self, tp: &TopicPartition) {
        self.table.lock().faulty.insert(tp.clone());
    }

    pub(super) fn register(&self, tp: &TopicPartition, recovery_point: Offset, start: Offset) -> u64 {
        let mut table = self.table.lock();
        table.registrations += 1;
        let registration = table.registrations;
        let durable_start = table.marks.get(tp).map_or(0, |marks| marks.durable_start);
        let marks = Marks { recovery_point, start, durable_start, registration };
        table.marks.insert(tp.clone(), marks);
        (table.points_moved, table.starts_moved) = (true, true);
        registration
    }

    pub(super) fn unregister(&self, tp: &TopicPartition) {
        let mut table = self.table.lock();
        table.marks.remove(tp);
        table.unsynced.remove(tp);
        table.with_data.remove(tp);
        table.to_reap.remove(tp);
        table.faulty.remove(tp);
        table.recent.remove(tp);
        table.stale.insert(tp.clone());
        (table.points_moved, table.starts_moved) = (true, true);
    }

    /// A checkpoint on disk names a log that is not there.
    pub(super) fn note_stale(&self, tp: &TopicPartition) {
        let mut table = self.table.lock();
        table.stale.insert(tp.clone());
        (table.points_moved, table.starts_moved) = (true, true);
    }

    /// Makes sure that no checkpoint on disk speaks of an earlier log of this name, before a new one has its
    /// directory.
    pub(super) fn make_way(&self, tp: &TopicPartition) -> Result<(), StorageError> {
        if !self.table.lock().stale.contains(tp) {
            return Ok(());
        }
        self.write_starts()?;
        self.write_recovery_points()?;
        self.table.lock().stale.remove(tp);
        Ok(())
    }

    /// Takes note of what the checkpoints on disk say of a log that is not opened yet, so that they go on saying it.
    pub(super) fn note_found(&self, tp: &TopicPartition, recovery_point: Offset, start: Offset) {
        let marks = Marks { recovery_point, start, durable_start: start, registration: 0 };
        self.table.lock().marks.insert(tp.clone(), marks);
    }

    pub(super) fn marks(&self, tp: &TopicPartition) -> Option<Marks> {
        self.table.lock().marks.get(tp).copied()
    }

    /// The log has unsynced bytes since `now`.
    pub(super) fn note_unsynced(&self, tp: &TopicPartition, now: Ms) {
        self.table.lock().unsynced.entry(tp.clone()).or_insert(now);
    }

    /// The log is durable up to `recovery_point`; `clean` if there is nothing behind it.
    pub(super) fn note_synced(
        &self,
        tp: &TopicPartition,
        registration: u64,
        recovery_point: Offset,
        clean: bool,
    ) {
        let mut table = self.table.lock();
        if clean {
            table.unsynced.remove(tp);
        }
        if let Some(marks) = table.marks.get_mut(tp).filter(|marks| marks.registration == registration)
            && marks.recovery_point != recovery_point
        {
            marks.recovery_point = recovery_point;
            (table.points_moved, table.recent_moved) = (true, true);
            if !table.recent.contains(tp) {
                table.recent.insert(tp.clone());
            }
        }
    }

    pub(super) fn note_data(&self, tp: &TopicPartition) {
        self.table.lock().with_data.insert(tp.clone());
    }

    pub(super) fn note_start(&self, tp: &TopicPartition, registration: u64, start: Offset) {
        let mut table = self.table.lock();
        if let Some(marks) = table.marks.get_mut(tp).filter(|marks| marks.registration == registration)
            && marks.start != start
        {
            marks.start = start;
            table.starts_moved = true;
            table.to_reap.insert(tp.clone());
        }
    }

    /// `path` is removed once `due` has come.
    pub(super) fn doom(&self, due: Ms, path: PathBuf) {
        let mut table = self.table.lock();
        table.doomed_count += 1;
        let key = (due, table.doomed_count);
        table.doomed.insert(key, path);
    }

    /// Removes what is due. Stops at the first failure, which fails the directory. Blocks.
    pub fn remove_doomed(&self, now: Ms) -> Result<(), StorageError> {
        loop {
            let next = {
                let mut table = self.table.lock();
                match table.doomed.first_key_value() {
                    Some((&(due, _), _)) if due <= now => table.doomed.pop_first().map(|(_, path)| path),
                    _ => None,
                }
            };
            let Some(path) = next else { return Ok(()) };
            let removed = match self.disk.metadata(&path) {
                Ok(found) if found.is_dir => self.disk.remove_dir_all(&path),
                Ok(_) => self.disk.remove_file(&path),
                Err(e) => Err(e),
            };
            match removed {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return self.watch(Err(StorageError::io(&path, e)));
                }
                _ => {}
            }
        }
    }

    /// Logs with bytes that are not durable, and since when.
    pub fn unsynced(&self) -> Vec<(TopicPartition, Ms)> {
        self.table.lock().unsynced.iter().map(|(tp, &since)| (tp.clone(), since)).collect()
    }

    /// Logs that have records: those that retention looks at.
    pub fn with_data(&self) -> Vec<TopicPartition> {
        self.table.lock().with_data.iter().cloned().collect()
    }

    /// Logs whose start moved and is durable: their segments below it can go ([`super::Log::reap`]).
    pub fn take_reapable(&self) -> Vec<TopicPartition> {
        let mut table = self.table.lock();
        let ready: Vec<TopicPartition> = table
            .to_reap
            .iter()
            .filter(|tp| table.marks.get(*tp).is_some_and(|marks| marks.durable_start >= marks.start))
            .cloned()
            .collect();
        for tp in &ready {
            table.to_reap.remove(tp);
        }
        ready
    }

    pub(super) fn reap_later(&self, tp: &TopicPartition) {
        self.table.lock().to_reap.insert(tp.clone());
    }

    /// True if a log start offset moved since the last checkpoint.
    pub fn starts_moved(&self) -> bool {
        self.table.lock().starts_moved
    }

    /// Writes the log start offsets, durably. Blocks.
    pub fn write_starts(&self) -> Result<(), StorageError> {
        let _one_at_a_time = self.writing.lock();
        let starts: Vec<(TopicPartition, Offset)> = {
            let mut table = self.table.lock();
            if !table.starts_moved {
                // Somebody else has written them meanwhile, or has failed to.
                return if self.is_failed() { Err(self.offline()) } else { Ok(()) };
            }
            table.starts_moved = false;
            // Kafka omits those that equal the first segment's base. With all of them here, the next start
            // need not look into each directory.
            table.marks.iter().map(|(tp, m)| (tp.clone(), m.start)).collect()
        };
        if let Err(fault) = self.write(checkpoint::LOG_START, &starts) {
            // Where there was only no room it is tried again.
            self.table.lock().starts_moved |= fault.is_full();
            return Err(fault);
        }
        let mut table = self.table.lock();
        for (tp, start) in starts {
            if let Some(marks) = table.marks.get_mut(&tp) {
                marks.durable_start = start;
            }
        }
        Ok(())
    }

    /// Writes the recovery points, durably. Blocks.
    pub fn write_recovery_points(&self) -> Result<(), StorageError> {
        let mut on_disk = self.writing.lock();
        let points: Vec<(TopicPartition, Offset)> = {
            let mut table = self.table.lock();
            if !table.points_moved {
                return Ok(());
            }
            (table.points_moved, table.recent_moved) = (false, false);
            table.recent.clear();
            table.marks.iter().map(|(tp, m)| (tp.clone(), m.recovery_point)).collect()
        };
        // They go first: a log may have become shorter than they say.
        if std::mem::take(&mut on_disk.recent) {
            let path = self.path.join(checkpoint::RECENT_POINTS);
            let removed = match self.disk.remove_file(&path) {
                // It may be gone without that being durable: a kill came between.
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StorageError::io(&path, e)),
                _ => self.disk.sync_dir(&self.path).at(&self.path),
            };
            self.watch(removed)?;
        }
        on_disk.all = Some(self.write(checkpoint::RECOVERY_POINT, &points)?);
        Ok(())
    }

    /// Writes the recovery points that have moved since all of them were written, durably: what that costs follows the
    /// logs in use. Blocks.
    pub fn write_recent_points(&self) -> Result<(), StorageError> {
        let mut on_disk = self.writing.lock();
        let Some(all) = on_disk.all.clone() else {
            drop(on_disk);
            return self.write_recovery_points();
        };
        let points: Vec<(TopicPartition, Offset)> = {
            let mut table = self.table.lock();
            if !std::mem::take(&mut table.recent_moved) {
                return Ok(());
            }
            let point =
                |tp: &TopicPartition| table.marks.get(tp).map(|marks| (tp.clone(), marks.recovery_point));
            table.recent.iter().filter_map(point).collect()
        };
        if self.is_failed() {
            return Err(self.offline());
        }
        on_disk.recent = true;
        let lines = points.iter().map(|(tp, offset)| (tp, *offset));
        self.watch(checkpoint::write_recent_points(&*self.disk, &self.path, &all, lines))
    }

    /// Gives back what names the content.
    fn write(&self, name: &str, offsets: &[(TopicPartition, Offset)]) -> Result<String, StorageError> {
        if self.is_failed() {
            return Err(self.offline());
        }
        let lines = offsets.iter().map(|(tp, offset)| (tp, *offset));
        self.watch(checkpoint::write_offsets(&*self.disk, &self.path.join(name), lines))
    }

    /// Ends an orderly stop: checkpoints, then the mark. Every log has been closed before; if one was not, or
    /// is corrupt, the mark is left out and the next start recovers. Blocks.
    pub fn close(&self, broker_epoch: BrokerEpoch) -> Result<(), StorageError> {
        self.write_starts()?;
        self.write_recovery_points()?;
        let unfinished = {
            let table = self.table.lock();
            table.unsynced.keys().chain(&table.faulty).next().cloned()
        };
        if let Some(tp) = unfinished {
            tracing::warn!(dir = %self.path.display(), partition = %tp, "stopped without a clean-shutdown mark");
            return Ok(());
        }
        self.watch(checkpoint::write_clean_shutdown(&*self.disk, &self.path, broker_epoch))
    }
}
