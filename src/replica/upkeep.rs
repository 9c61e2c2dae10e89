//! What partitions need from time to time, and at the end: flushes, retention, checkpoints, closing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::manager::ReplicaManager;
use super::partition::Partition;
use crate::storage::StorageError;
use crate::storage::dir::LogDir;
use crate::types::{ErrorCode, Ms, Offset, TopicPartition};

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
        let topics = self.topics();
        let partitions = topics.iter().flat_map(|topic| topic.iter());
        let logs = partitions.filter_map(|partition| partition.give_up_log(ErrorCode::NotLeaderOrFollower));
        if let Err(fault) = self.logs.close_logs(logs) {
            tracing::error!("not every log was closed in order: {fault}");
        }
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
