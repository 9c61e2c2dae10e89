//! What must be done from time to time: checkpoints, retention, flushes, removal of files.
//!
//! Every second the log directories say which logs need something. They know it from what the logs told them, so a tick
//! costs nothing for logs that nobody writes to.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::{BrokerConfig, Layers};
use crate::env::Env;
use crate::replica::ReplicaManager;
use crate::types::Ms;

/// How often to look.
const TICK: Duration = Duration::from_secs(1);

/// Starts the ticks of a node.
pub(super) fn start(
    env: &Env,
    config: &BrokerConfig,
    layers: &Arc<ArcSwap<Layers>>,
    replicas: &Arc<ReplicaManager>,
) {
    let layers = Arc::clone(layers);
    let (tasks, clock, replicas) = (env.tasks.clone(), Arc::clone(&env.clock), Arc::clone(replicas));
    let checkpoint_every = config.replica_high_watermark_checkpoint_interval_ms;
    let producers_every = Ms::from(config.producer_id_expiration_check_interval_ms);
    env.tasks.spawn("log maintenance", async move {
        let mut next_checkpoint = clock.now() + checkpoint_every;
        let mut next_expiry = clock.now() + producers_every;
        loop {
            tokio::time::sleep(TICK).await;
            let now = clock.now();
            let checkpoint = now >= next_checkpoint;
            if checkpoint {
                next_checkpoint = now + checkpoint_every;
            }
            let expire = now >= next_expiry;
            if expire {
                next_expiry = now + producers_every;
            }
            let expire_after = layers.load().number("producer.id.expiration.ms");
            let replicas = Arc::clone(&replicas);
            let work = move || {
                replicas.tick(now);
                if checkpoint {
                    replicas.checkpoint_high_watermarks();
                }
                if expire {
                    replicas.expire_producers(now, expire_after);
                }
            };
            if tasks.run_blocking(work).await.is_none() {
                return;
            }
        }
    });
}
