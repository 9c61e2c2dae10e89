//! Brings coordinators to life where this broker leads their partitions, and ends them where it does not.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::txn_work::TxnWorkers;
use crate::api::Broker;
use crate::api::transactions::{TxnVerifier, over_the_network};
use crate::client::ToBrokers;
use crate::config::BrokerConfig;
use crate::coordinator::group::assign::Assignor;
use crate::coordinator::group::config::{ConsumerConfigs, GroupConfigs, MigrationPolicy, Millis};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::group::share::ShareGroupConfigs;
use crate::coordinator::led_partition::LedPartition;
use crate::coordinator::routing::{CONSUMER_OFFSETS, SHARE_GROUP_STATE, TRANSACTION_STATE};
use crate::coordinator::runtime::{Coordinator, Settings};
use crate::coordinator::shard::Shard;
use crate::coordinator::share::{ShareConfigs, ShareShard};
use crate::coordinator::txn::{TxnConfigs, TxnShard};
use crate::env::Env;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::quorum::Publisher;
use crate::types::{LeaderEpoch, Ms, PartitionIndex, Rng};
use crate::wire::compress::{Codec, Compression};

/// Commands that may be queued for one shard.
const QUEUE: usize = 4096;
/// How long a record of a transaction may wait for the replicas. Kafka gives it `request.timeout.ms` of brokers.
const TXN_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait before a failed load is tried again.
const LOAD_RETRY: Duration = Duration::from_millis(500);

/// How long the answer of a transaction's coordinator may take: `request.timeout.ms` of Kafka's brokers.
const VERIFICATION_MAX: Duration = Duration::from_secs(30);

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
        consumer: consumer_configs(config),
        node_id: config.node_id,
        share: ShareGroupConfigs {
            session_timeout_ms: Ms::from(config.group_share_session_timeout_ms),
            heartbeat_interval_ms: Ms::from(config.group_share_heartbeat_interval_ms),
            assignment_interval_ms: Ms::from(config.group_share_assignment_interval_ms),
            initialize_retry_ms: Ms::from(config.group_share_initialize_retry_interval_ms),
            max_size: config.group_share_max_size,
        },
        ..GroupConfigs::default()
    };
    Coordinator::new(env, settings, Arc::new(groups), MetadataImage::empty())
}

/// The share coordinator, which leads nothing yet.
pub(super) fn start_share_states(env: &Env, config: &BrokerConfig) -> Arc<Coordinator<ShareShard>> {
    let codec = u8::try_from(config.share_coordinator_state_topic_compression_codec)
        .ok()
        .and_then(Codec::from_number);
    let settings = Settings {
        name: "share coordinator",
        queue: QUEUE,
        write_timeout: Duration::from_millis(config.share_coordinator_write_timeout_ms.max(0) as u64),
        compression: Compression::new(codec.unwrap_or(Codec::None)),
        load_chunk_bytes: config.share_coordinator_load_buffer_size,
        load_retry: LOAD_RETRY,
    };
    let update_records_per_snapshot =
        u32::try_from(config.share_coordinator_snapshot_update_records_per_snapshot).unwrap_or(0);
    let configs = ShareConfigs { update_records_per_snapshot };
    Coordinator::new(env, settings, Arc::new(configs), MetadataImage::empty())
}

/// The transaction coordinator, which leads nothing yet.
pub(super) fn start_transactions(env: &Env, config: &BrokerConfig) -> Arc<Coordinator<TxnShard>> {
    let settings = Settings {
        name: "transaction coordinator",
        queue: QUEUE,
        write_timeout: TXN_WRITE_TIMEOUT,
        compression: Compression::new(Codec::None),
        load_chunk_bytes: config.transaction_state_log_load_buffer_size,
        load_retry: LOAD_RETRY,
    };
    let transactions = TxnConfigs {
        max_timeout_ms: config.transaction_max_timeout_ms,
        abort_timed_out_interval_ms: config
            .transaction_abort_timed_out_transaction_cleanup_interval_ms
            .into(),
        remove_expired_interval_ms: config.transaction_remove_expired_transaction_cleanup_interval_ms.into(),
        id_expiration_ms: config.transactional_id_expiration_ms.into(),
        wait_ms: config.add_partitions_to_txn_retry_backoff_max_ms.into(),
    };
    Coordinator::new(env, settings, Arc::new(transactions), MetadataImage::empty())
}

fn consumer_configs(config: &BrokerConfig) -> ConsumerConfigs {
    let millis = |[value, min, max]: [Ms; 3]| Millis { value, min, max };
    let assignors = config.group_consumer_assignors.iter();
    let policy = MigrationPolicy::from_name(&config.group_consumer_migration_policy);
    ConsumerConfigs {
        session_timeout_ms: millis(config.group_consumer_session_timeout_ms),
        heartbeat_interval_ms: millis(config.group_consumer_heartbeat_interval_ms),
        assignment_interval_ms: millis(config.group_consumer_assignment_interval_ms),
        max_size: config.group_consumer_max_size,
        // Names that are no assignors have been refused with the configuration.
        assignors: assignors.filter_map(|name| Assignor::from_name(name)).collect(),
        migration: policy.unwrap_or(MigrationPolicy::Bidirectional),
        regex_refresh_ms: config.group_consumer_regex_refresh_interval_ms,
    }
}

/// The way to the coordinators of transactions, for those who write to partitions.
pub(super) fn txn_verifier(
    env: &Env,
    config: &BrokerConfig,
    brokers: ToBrokers,
    image: Arc<ArcSwap<MetadataImage>>,
) -> TxnVerifier {
    let ask = over_the_network(brokers, VERIFICATION_MAX);
    TxnVerifier::new(config.node_id, image, env.tasks.clone(), ask)
}

/// Follows the leadership of the topics of coordinators. Subscribes after the replicas, whose partitions it takes up.
pub(super) fn subscribe(publisher: &Publisher, broker: &Arc<Broker>, rng: Rng) {
    let broker = Arc::clone(broker);
    let workers = TxnWorkers::new(&broker, rng);
    publisher.subscribe(Box::new(move |delta, image| {
        follow(&broker, &broker.groups, CONSUMER_OFFSETS, delta, image, |_, _, _| {});
        follow(&broker, &broker.transactions, TRANSACTION_STATE, delta, image, |partition, led, epoch| {
            workers.follow(partition, led, epoch);
        });
        follow(&broker, &broker.share_states, SHARE_GROUP_STATE, delta, image, |_, _, _| {});
        broker.share.metadata_changed();
    }));
}

/// Has `coordinator` follow the leadership of `topic`; `then` hears of each partition whether it is led here and in which
/// epoch, none if it is gone.
fn follow<S: Shard>(
    broker: &Broker,
    coordinator: &Arc<Coordinator<S>>,
    topic: &str,
    delta: &MetadataDelta,
    image: &Arc<MetadataImage>,
    then: impl Fn(PartitionIndex, bool, Option<LeaderEpoch>),
) {
    let deleted = delta.topics_deleted.values().any(|name| **name == *topic);
    if deleted {
        for partition in coordinator.partitions() {
            coordinator.resigned(partition, None);
            then(partition, false, None);
        }
    }
    if let Some(found) = image.topics().get(topic)
        && let Some(changed) = delta.partitions.get(&found.id)
    {
        for &index in changed {
            let Some(registration) = found.partition(index) else { continue };
            let led = registration.leader == broker.config.node_id;
            let epoch = registration.leader_epoch;
            match broker.replicas.partition(topic, index) {
                Ok(partition) if led => {
                    let (clock, tasks) = (Arc::clone(&broker.clock), broker.tasks.clone());
                    coordinator.elected(index, LedPartition::new(partition, epoch, clock, tasks));
                    then(index, true, Some(epoch));
                }
                Ok(_) | Err(_) => {
                    coordinator.resigned(index, Some(epoch));
                    then(index, false, Some(epoch));
                }
            }
        }
    }
    coordinator.metadata_changed((**image).clone(), Arc::new(delta.clone()));
}

fn resign_all<S: Shard>(coordinator: &Coordinator<S>) {
    coordinator.partitions().into_iter().for_each(|partition| coordinator.resigned(partition, None));
}

/// Ends every coordinator: their partitions are about to be closed.
pub(super) fn stop(broker: &Broker) {
    broker.share.stop();
    resign_all(&broker.groups);
    resign_all(&broker.transactions);
    resign_all(&broker.share_states);
}
