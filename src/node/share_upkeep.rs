//! Keeps the logs of share states short.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::api::Broker;
use crate::coordinator::routing::SHARE_GROUP_STATE;
use crate::coordinator::share::{Command, Reply};
use crate::types::{Ms, PartitionIndex};

/// Keeps the logs of share states short: has states that lie far back written anew, and deletes what is of no use any more.
/// Never returns.
pub(super) async fn keep_share_states_short(broker: Arc<Broker>) {
    let interval = |ms: Ms| Duration::from_millis(ms.max(1).unsigned_abs());
    let prune_interval = interval(broker.config.share_coordinator_state_topic_prune_interval_ms);
    let cold_interval = interval(broker.config.share_coordinator_cold_partition_snapshot_interval_ms);
    let now = Instant::now();
    let (mut next_prune, mut next_cold) = (now + prune_interval, now + cold_interval);
    loop {
        sleep_until(next_prune.min(next_cold)).await;
        let now = Instant::now();
        let (prunes, snapshots) = (next_prune <= now, next_cold <= now);
        for partition in broker.share_states.partitions() {
            if snapshots {
                snapshot_cold(&broker, partition).await;
            }
            if prunes {
                prune(&broker, partition).await;
            }
        }
        if prunes {
            next_prune = now + prune_interval;
        }
        if snapshots {
            next_cold = now + cold_interval;
        }
    }
}

/// Has states written anew until none lies far back. What cannot be done now is done the next time.
async fn snapshot_cold(broker: &Broker, partition: PartitionIndex) {
    while let Ok(Reply::Snapshots(1..)) = broker.share_states.request(partition, Command::SnapshotCold).await
    {
    }
}

/// Deletes what is before the oldest snapshot that counts.
async fn prune(broker: &Broker, partition: PartitionIndex) {
    let Ok(Reply::Redundant(before)) = broker.share_states.request(partition, Command::Redundant).await
    else {
        return;
    };
    let Ok(log) = broker.replicas.partition(SHARE_GROUP_STATE, partition) else { return };
    if before <= log.log_offsets().0 {
        return;
    }
    let of = Arc::clone(&log);
    match broker.tasks.run_blocking(move || of.delete_records(before)).await {
        Some(Ok(_)) | None => {}
        Some(Err(error)) => {
            tracing::debug!(partition, before, %error, "old share states are not deleted yet");
        }
    }
}
