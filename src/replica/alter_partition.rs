//! Changes of in-sync sets on their way to the controller: AlterPartition.
//!
//! A partition has at most one change under way; it counts as pending from the moment it is proposed until its fate is
//! known. All that gather while one request is under way go with the next.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::leader::{AfterAnswer, Altered, Proposal};
use super::manager::ReplicaManager;
use super::partition::Partition;
use crate::env::net::BoxFuture;
use crate::types::{ErrorCode, PartitionIndex, TopicId};

/// After a request that failed for reasons that may pass.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// Partitions in one request at most.
const CHANGES_MAX: usize = 10_000;

/// The change of one partition.
#[derive(Clone, Debug)]
pub struct IsrChange {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// What the leader wants.
    pub proposal: Proposal,
}

/// The way to the active controller.
pub trait AlterPartition: Send + Sync {
    /// Asks for the changes in this broker's name. The answers are in their order; as a whole it fails if it is not known
    /// what became of them, or if the controller does not take this broker for what it is.
    fn alter<'a>(
        &'a self,
        changes: &'a [IsrChange],
    ) -> BoxFuture<'a, Result<Vec<Result<Altered, ErrorCode>>, ErrorCode>>;
}

/// The changes that wait for the next request. Bounded by the number of partitions, each has one at most.
#[derive(Default)]
pub(super) struct IsrChanges {
    waiting: Mutex<Vec<(Arc<Partition>, Proposal)>>,
    wake: Notify,
}

impl IsrChanges {
    pub(super) fn add(&self, partition: Arc<Partition>, proposal: Proposal) {
        self.waiting.lock().push((partition, proposal));
        self.wake.notify_one();
    }

    fn take(&self) -> Vec<(Arc<Partition>, Proposal)> {
        let mut waiting = self.waiting.lock();
        let count = waiting.len().min(CHANGES_MAX);
        waiting.drain(..count).collect()
    }
}

impl ReplicaManager {
    /// Sends changes of in-sync sets to `controller`, and looks from time to time for followers that do not keep up.
    pub fn start_altering(self: &Arc<Self>, controller: Arc<dyn AlterPartition>) {
        let changes = Arc::clone(&self.shared.isr_changes);
        self.env.tasks.spawn("alter partitions", async move {
            loop {
                let batch = changes.take();
                if batch.is_empty() {
                    changes.wake.notified().await;
                } else if !send(&*controller, &changes, batch).await {
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        });
        let manager = Arc::clone(self);
        self.env.tasks.spawn("in-sync replicas", async move {
            loop {
                let every = (manager.shared.lag_ms_max() / 2).max(1) as u64;
                tokio::time::sleep(Duration::from_millis(every)).await;
                for topic in manager.topics() {
                    topic.iter().for_each(Partition::check_followers);
                }
            }
        });
    }
}

/// Sends one request. False if something of it has to be sent again, which is queued then.
async fn send(
    controller: &dyn AlterPartition,
    changes: &IsrChanges,
    batch: Vec<(Arc<Partition>, Proposal)>,
) -> bool {
    let wanted: Vec<IsrChange> = batch
        .iter()
        .map(|(partition, proposal)| IsrChange {
            topic_id: partition.topic_id(),
            partition: partition.index(),
            proposal: proposal.clone(),
        })
        .collect();
    let answers = match controller.alter(&wanted).await {
        Ok(answers) => answers,
        Err(error) => {
            tracing::info!("the controller does not take changes of in-sync replicas: {error}");
            Vec::new()
        }
    };
    let mut settled = true;
    let mut answers = answers.into_iter();
    for (partition, proposal) in batch {
        let answer = answers.next().unwrap_or(Err(ErrorCode::RequestTimedOut));
        if partition.on_isr_answer(&proposal, answer) == AfterAnswer::SendAgain {
            settled = false;
            changes.add(partition, proposal);
        }
    }
    settled
}
