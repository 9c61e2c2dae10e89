//! What leaders have to be told beside the fetches: that a disk has caught up, and that there is more to fetch.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::partition::Partition;
use crate::types::{PartitionIndex, TopicId};

/// What one leader has to be told. A partition is in it once, however often it was synced.
#[derive(Default)]
pub(super) struct SyncNotices {
    news: Mutex<News>,
    wake: Notify,
}

#[derive(Default)]
struct News {
    synced: BTreeMap<(TopicId, PartitionIndex), Arc<Partition>>,
    end_wait: bool,
}

impl SyncNotices {
    /// The disk of `partition` has caught up.
    pub(super) fn add(&self, partition: &Arc<Partition>) {
        let key = (partition.topic_id(), partition.index());
        self.news.lock().synced.insert(key, Arc::clone(partition));
        self.wake.notify_one();
    }

    /// A fetch that waits shall be answered now.
    pub(super) fn end_wait(&self) {
        self.news.lock().end_wait = true;
        self.wake.notify_one();
    }

    /// All there is, once there is anything: partitions that were synced, and whether a wait is to end.
    pub(super) async fn take(&self) -> (Vec<Arc<Partition>>, bool) {
        loop {
            let News { synced, end_wait } = std::mem::take(&mut *self.news.lock());
            if end_wait || !synced.is_empty() {
                return (synced.into_values().collect(), end_wait);
            }
            self.wake.notified().await;
        }
    }
}
