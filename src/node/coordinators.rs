//! Brings coordinators to life where this broker leads their partitions, and ends them where it does not.

use std::sync::Arc;
use std::time::Duration;

use crate::api::Broker;
use crate::config::BrokerConfig;
use crate::coordinator::group::config::GroupConfigs;
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::led_partition::LedPartition;
use crate::coordinator::routing::CONSUMER_OFFSETS;
use crate::coordinator::runtime::{Coordinator, Settings};
use crate::env::Env;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::quorum::Publisher;
use crate::types::Ms;
use crate::wire::compress::{Codec, Compression};

/// Commands that may be queued for one shard.
const QUEUE: usize = 4096;
/// How long to wait before a failed load is tried again.
const LOAD_RETRY: Duration = Duration::from_millis(500);

/// The group coordinator, which leads nothing yet.
pub(super) fn start_groups(env: &Env, config: &BrokerConfig) -> Arc<Coordinator<GroupShard>> {
    let codec = u8::try_from(config.offsets_topic_compression_codec).ok().and_then(Codec::from_number);
    let settings = Settings {
        name: "group coordinator",
        queue: QUEUE,
        write_timeout: Duration::from_millis(config.offsets_commit_timeout_ms.max(0) as u64),
        compression: Compression::new(codec.unwrap_or(Codec::None)),
        load_chunk_bytes: config.offsets_load_buffer_size,
        load_retry: LOAD_RETRY,
    };
    let groups = GroupConfigs {
        min_session_timeout_ms: config.group_min_session_timeout_ms,
        max_session_timeout_ms: config.group_max_session_timeout_ms,
        initial_rebalance_delay_ms: config.group_initial_rebalance_delay_ms,
        max_size: config.group_max_size,
        offset_metadata_max_bytes: config.offset_metadata_max_bytes,
        offsets_retention_ms: Ms::from(config.offsets_retention_minutes) * 60_000,
        offsets_retention_check_interval_ms: config.offsets_retention_check_interval_ms,
        offsets_commit_timeout_ms: Ms::from(config.offsets_commit_timeout_ms),
        ..GroupConfigs::default()
    };
    Coordinator::new(env, settings, Arc::new(groups), MetadataImage::empty())
}

/// Follows the leadership of `__consumer_offsets`. Subscribes after the replicas, whose partitions it takes up.
pub(super) fn subscribe(publisher: &Publisher, broker: &Arc<Broker>) {
    let broker = Arc::clone(broker);
    publisher.subscribe(Box::new(move |delta, image| follow(&broker, delta, image)));
}

fn follow(broker: &Broker, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
    let groups = &broker.groups;
    let deleted = delta.topics_deleted.values().any(|name| **name == *CONSUMER_OFFSETS);
    if deleted {
        groups.partitions().into_iter().for_each(|partition| groups.resigned(partition, None));
    }
    if let Some(topic) = image.topics().get(CONSUMER_OFFSETS)
        && let Some(changed) = delta.partitions.get(&topic.id)
    {
        for &index in changed {
            let Some(registration) = topic.partition(index) else { continue };
            let led = registration.leader == broker.config.node_id;
            match broker.replicas.partition(CONSUMER_OFFSETS, index) {
                Ok(partition) if led => {
                    let (clock, tasks) = (Arc::clone(&broker.clock), broker.tasks.clone());
                    groups.elected(
                        index,
                        LedPartition::new(partition, registration.leader_epoch, clock, tasks),
                    );
                }
                Ok(_) | Err(_) => groups.resigned(index, Some(registration.leader_epoch)),
            }
        }
    }
    groups.metadata_changed((**image).clone(), Arc::new(delta.clone()));
}

/// Ends every coordinator: their partitions are about to be closed.
pub(super) fn stop(broker: &Broker) {
    let groups = &broker.groups;
    groups.partitions().into_iter().for_each(|partition| groups.resigned(partition, None));
}
