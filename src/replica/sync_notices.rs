//! What leaders have to be told beside the fetches: that a disk has caught up, and that there is more to fetch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::partition::Partition;
use crate::types::{PartitionIndex, TopicId};

type Key = (TopicId, PartitionIndex);

/// What one leader has to be told. A partition is in it once, however often it was synced.
#[derive(Default)]
pub(super) struct SyncNotices {
    news: Mutex<News>,
    wake: Notify,
}

#[derive(Default)]
struct News {
    synced: BTreeMap<Key, Arc<Partition>>,
    end_wait: bool,
    /// Partitions of which the next fetch has to say what is synced: a notice may get lost, or come too early to count.
    fetched: BTreeSet<Key>,
}

impl SyncNotices {
    /// The disk of `partition` has caught up.
    pub(super) fn add(&self, partition: &Arc<Partition>) {
        let key = (partition.topic_id(), partition.index());
        let mut news = self.news.lock();
        news.synced.insert(key, Arc::clone(partition));
        news.fetched.insert(key);
        drop(news);
        self.wake.notify_one();
    }

    /// A fetch that waits shall be answered now.
    pub(super) fn end_wait(&self) {
        self.news.lock().end_wait = true;
        self.wake.notify_one();
    }

    /// Partitions that were synced since it was asked last, for the next fetch.
    pub(super) fn take_fetched(&self) -> BTreeSet<Key> {
        std::mem::take(&mut self.news.lock().fetched)
    }

    /// All there is, once there is anything: partitions that were synced, and whether a wait is to end.
    pub(super) async fn take(&self) -> (Vec<Arc<Partition>>, bool) {
        loop {
            let (synced, end_wait) = {
                let mut news = self.news.lock();
                (std::mem::take(&mut news.synced), std::mem::take(&mut news.end_wait))
            };
            if end_wait || !synced.is_empty() {
                return (synced.into_values().collect(), end_wait);
            }
            self.wake.notified().await;
        }
    }
}
