//! Grouped syncs: what waits for the disk, waits together.
//!
//! A partition that has appended asks for a sync. While one of its syncs runs, everything appended meanwhile waits for
//! the next one, which covers it all. Several partitions sync side by side, because a file system merges concurrent
//! syncs far better than it does one after another; see "Group commit" in `docs/performance.md`.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::partition::Partition;
use crate::env::Tasks;

/// How many syncs run side by side. Past some eight, a file system's journal gains nothing more.
const LANES_MAX: usize = 8;

/// Runs the syncs of one node's partitions.
pub(super) struct Syncer {
    tasks: Tasks,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    dirty: VecDeque<Arc<Partition>>,
    lanes: usize,
}

impl Syncer {
    /// A syncer without work.
    pub(super) fn new(tasks: Tasks) -> Arc<Syncer> {
        Arc::new(Syncer { tasks, queue: Mutex::default() })
    }

    /// Has `partition` synced as soon as a lane is free. The partition asks once for each sync; it knows by itself
    /// whether it is queued already.
    pub(super) fn request(self: &Arc<Self>, partition: Arc<Partition>) {
        let mut queue = self.queue.lock();
        queue.dirty.push_back(partition);
        if queue.lanes < LANES_MAX {
            queue.lanes += 1;
            drop(queue);
            let syncer = Arc::clone(self);
            self.tasks.spawn("sync lane", async move {
                let tasks = syncer.tasks.clone();
                tasks.run_blocking(move || syncer.run_lane()).await;
            });
        }
    }

    /// Syncs one partition after another until none is left.
    fn run_lane(self: Arc<Self>) {
        loop {
            let next = {
                let mut queue = self.queue.lock();
                let next = queue.dirty.pop_front();
                if next.is_none() {
                    queue.lanes -= 1;
                }
                next
            };
            match next {
                Some(partition) => partition.sync(),
                None => return,
            }
        }
    }
}
