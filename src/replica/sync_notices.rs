//! Followed partitions whose disk has caught up, until their leader is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::partition::Partition;
use crate::types::{PartitionIndex, TopicId};

/// What one leader has to be told. A partition is in it once, however often it was synced.
#[derive(Default)]
pub(super) struct SyncNotices {
    partitions: Mutex<BTreeMap<(TopicId, PartitionIndex), Arc<Partition>>>,
    wake: Notify,
}

impl SyncNotices {
    pub(super) fn add(&self, partition: &Arc<Partition>) {
        let key = (partition.topic_id(), partition.index());
        self.partitions.lock().insert(key, Arc::clone(partition));
        self.wake.notify_one();
    }

    /// All there are, once there are any.
    pub(super) async fn take(&self) -> Vec<Arc<Partition>> {
        loop {
            let all = std::mem::take(&mut *self.partitions.lock());
            if !all.is_empty() {
                return all.into_values().collect();
            }
            self.wake.notified().await;
        }
    }
}
