//! Fetches of followers that wait for records, so that a follower can have them end.
//!
//! A follower that is given more to follow while its fetch waits would have to wait for the end of it, up to
//! `replica.fetch.wait.max.ms`, before it could ask for what is new; and with it every acks=all append there.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::purgatory::FetchWaiter;
use crate::types::NodeId;

/// The waiting fetches of followers. Bounded by the connections: each has one at most.
#[derive(Default)]
pub struct FollowerWaits {
    waiting: Mutex<BTreeMap<NodeId, Vec<Arc<FetchWaiter>>>>,
}

impl FollowerWaits {
    /// A fetch of `node` begins to wait.
    pub fn add(&self, node: NodeId, waiter: &Arc<FetchWaiter>) {
        self.waiting.lock().entry(node).or_default().push(Arc::clone(waiter));
    }

    /// A fetch of `node` waits no more.
    pub fn remove(&self, node: NodeId, waiter: &Arc<FetchWaiter>) {
        let mut waiting = self.waiting.lock();
        if let Some(of_node) = waiting.get_mut(&node) {
            of_node.retain(|known| !Arc::ptr_eq(known, waiter));
            if of_node.is_empty() {
                waiting.remove(&node);
            }
        }
    }

    /// Has every fetch of `node` that waits answered now.
    pub fn end(&self, node: NodeId) {
        let waiting = self.waiting.lock();
        waiting.get(&node).into_iter().flatten().for_each(|waiter| waiter.end_wait());
    }
}
