//! `queued.max.request.bytes`: how many bytes of requests may be in the process at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

/// The bytes of requests that are read and not answered, over all connections.
///
/// Kafka's rule: while anything is left, a request is taken in whole, however large; once nothing is left, no connection
/// is read from until requests have been answered.
pub struct RequestMemory {
    /// Bytes left; below zero after a large request. `None` where the setting is off.
    left: Option<AtomicI64>,
    freed: Notify,
}

impl RequestMemory {
    /// `limit` in bytes; zero or less means no limit, as `queued.max.request.bytes` says it.
    pub fn new(limit: i64) -> Arc<RequestMemory> {
        Arc::new(RequestMemory { left: (limit > 0).then(|| AtomicI64::new(limit)), freed: Notify::new() })
    }

    /// True while another request may be read.
    pub(super) fn has_room(&self) -> bool {
        self.left.as_ref().is_none_or(|left| left.load(Ordering::Acquire) > 0)
    }

    /// Waits until another request may be read.
    pub(super) async fn room(&self) {
        while !self.has_room() {
            let freed = self.freed.notified();
            if self.has_room() {
                return;
            }
            freed.await;
        }
    }

    /// Counts a request of `bytes` until the permit is dropped.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<RequestPermit> {
        let left = self.left.as_ref()?;
        left.fetch_sub(bytes as i64, Ordering::AcqRel);
        Some(RequestPermit { memory: Arc::clone(self), bytes: bytes as i64 })
    }
}

/// The bytes of one request.
pub(super) struct RequestPermit {
    memory: Arc<RequestMemory>,
    bytes: i64,
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        if let Some(left) = &self.memory.left {
            left.fetch_add(self.bytes, Ordering::AcqRel);
            self.memory.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readers_wait_while_nothing_is_left() {
        let memory = RequestMemory::new(100);
        let large = memory.take(250);
        assert!(!memory.has_room());
        let small = memory.take(10);
        drop(small);
        assert!(!memory.has_room());
        let waiting = tokio::time::timeout(std::time::Duration::from_secs(5), memory.room());
        let ((), waited) = tokio::join!(async { drop(large) }, waiting);
        waited.expect("freed memory wakes who waits for it");
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let memory = RequestMemory::new(-1);
        assert!(memory.take(usize::MAX / 2).is_none());
        assert!(memory.has_room());
    }
}
