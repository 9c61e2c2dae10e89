//! What partitions need from time to time, and at the end: flushes, retention, checkpoints, closing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::manager::ReplicaManager;
use super::partition::Partition;
use crate::storage::dir::LogDir;
use crate::storage::{Log, StorageError, SyncJob};
use crate::types::{ErrorCode, Ms, Offset, TopicPartition};

/// Up to so many logs are synced one by one when the node stops.
const SYNCED_ONE_BY_ONE_MAX: usize = 64;

impl ReplicaManager {
    /// Does what is due in the logs. Blocks.
    pub fn tick(&self, now: Ms) {
        let due = self.logs.tick(now);
        for name in &due.sync {
            self.with(name, |partition| partition.sync_for_checkpoint());
        }
        for name in &due.unsynced {
            self.with(name, |partition| partition.sync_if_due(now));
        }
        for name in &due.retention {
            self.with(name, |partition| partition.enforce_retention(now));
        }
        let settled = if due.retention.is_empty() { Vec::new() } else { self.logs.settle_starts() };
        for name in due.reap.iter().chain(&settled) {
            self.with(name, |partition| partition.reap(now));
        }
    }

    /// Writes the high watermarks down, for the next start. Blocks.
    pub fn checkpoint_high_watermarks(&self) {
        let mut by_dir: BTreeMap<_, (Arc<LogDir>, BTreeMap<TopicPartition, Offset>)> = BTreeMap::new();
        for topic in self.topics() {
            for partition in topic.iter() {
                let Some((dir, high_watermark)) = partition.checkpoint_entry() else { continue };
                let entry = by_dir.entry(dir.path().to_owned()).or_insert_with(|| (dir, BTreeMap::new()));
                entry.1.insert(partition.name(), high_watermark);
            }
        }
        for (dir, offsets) in by_dir.into_values() {
            if let Err(fault) = self.logs.write_high_watermarks(&dir, &offsets) {
                tracing::error!("high watermarks cannot be written down: {fault}");
            }
        }
    }

    /// Forgets producers that have not been heard of for `expire_after`.
    pub fn expire_producers(&self, now: Ms, expire_after: Ms) {
        for topic in self.topics() {
            for partition in topic.iter() {
                partition.expire_producers(now, expire_after);
            }
        }
    }

    /// Closes every log in order: what is in memory goes to the disk, and the next start need not look for damage.
    /// Requests are refused from here on. Blocks.
    pub fn close(&self) {
        self.checkpoint_high_watermarks();
        let mut jobs = Vec::new();
        for topic in self.topics() {
            for partition in topic.iter() {
                let Some(mut log) = partition.give_up_log(ErrorCode::NotLeaderOrFollower) else { continue };
                match log.write_out_to_close() {
                    Ok(()) => jobs.extend(log.sync_job().map(|job| (log, job))),
                    Err(fault) => tracing::error!("{} cannot be closed in order: {fault}", partition.name()),
                }
            }
        }
        // One sync of the whole file system costs as much as some dozens of single ones.
        if jobs.len() > SYNCED_ONE_BY_ONE_MAX && self.can_sync_all() {
            let outcome = self.sync_all_at_once(&jobs);
            for (mut log, job) in jobs {
                let outcome = match &outcome {
                    Ok(()) => Ok(()),
                    Err(fault) => Err(StorageError::Offline { path: fault.clone() }),
                };
                let _logged_by_the_directory = log.synced(job.synced_by(outcome));
            }
            return;
        }
        for (mut log, job) in jobs {
            let done = job.run();
            let _logged_by_the_directory = log.synced(done);
        }
    }

    fn can_sync_all(&self) -> bool {
        self.logs.dirs().iter().all(|dir| dir.disk().sync_all(dir.path()).is_ok_and(|can| can))
    }

    /// Syncs every log directory as a whole. After a failure none of the logs counts as synced; it names where.
    fn sync_all_at_once(&self, jobs: &[(Log, SyncJob)]) -> Result<(), PathBuf> {
        let sync_dirs = || {
            for dir in self.logs.dirs() {
                if let Err(e) = dir.disk().sync_all(dir.path()) {
                    tracing::error!(dir = %dir.path().display(), "the file system cannot be synced: {e}");
                    return Err(dir.path().to_owned());
                }
            }
            Ok(())
        };
        let failed = |fault: StorageError| {
            tracing::error!("a log cannot be closed in order: {fault}");
            PathBuf::new()
        };
        jobs.iter().try_for_each(|(_, job)| job.write_files()).map_err(failed)?;
        sync_dirs()?;
        jobs.iter().try_for_each(|(_, job)| job.put_files_in_place()).map_err(failed)?;
        sync_dirs()
    }

    fn with(&self, name: &TopicPartition, act: impl FnOnce(&Arc<Partition>)) {
        if let Ok(partition) = self.partition(&name.topic, name.partition) {
            act(&partition);
        }
    }
}

impl Partition {
    /// The partition by its topic's name.
    pub fn name(&self) -> TopicPartition {
        TopicPartition::new(Arc::clone(self.topic()), self.index())
    }

    /// Brings on disk what recovery would have to read otherwise.
    fn sync_for_checkpoint(self: &Arc<Self>) {
        self.with_log(|log| log.write_out_indexes());
        self.request_sync();
    }

    fn sync_if_due(self: &Arc<Self>, now: Ms) {
        let mut due = false;
        self.with_log(|log| {
            due = log.sync_due(now);
            Ok(())
        });
        if due {
            self.request_sync();
        }
    }

    fn enforce_retention(&self, now: Ms) {
        let high_watermark = self.high_watermark();
        self.with_log(|log| log.delete_old_segments(now, high_watermark).map(drop));
    }

    fn reap(&self, now: Ms) {
        self.with_log(|log| log.reap(now).map(drop));
    }

    fn expire_producers(&self, now: Ms, expire_after: Ms) {
        self.with_log(|log| {
            log.remove_expired_producers(now, expire_after);
            Ok(())
        });
    }

    fn checkpoint_entry(&self) -> Option<(Arc<LogDir>, Offset)> {
        let mut entry = None;
        let high_watermark = self.high_watermark();
        self.with_log(|log| {
            entry = (log.log_end_offset() > 0).then(|| (Arc::clone(log.log_dir()), high_watermark));
            Ok(())
        });
        entry
    }

    fn with_log(&self, act: impl FnOnce(&mut crate::storage::Log) -> Result<(), StorageError>) {
        let mut state = self.lock();
        if let Some(log) = state.log_if_any()
            && let Err(fault) = act(log)
        {
            tracing::error!("{}: {fault}", self.name());
        }
    }
}
