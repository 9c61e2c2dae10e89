//! Dynamic configuration: from the metadata image into the layers that everything resolves its values from.
//!
//! A key that may change while the node runs is looked up in the layers when its value is needed, or followed from here:
//! what the typed view of the file says of it is only where it began.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::config::{BrokerConfig, Layers};
use crate::env::Env;
use crate::metadata::ConfigResource;
use crate::quorum::Publisher;
use crate::replica::{PartitionSettings, ReplicaManager, SettingsOf, UNLIMITED_RATE};
use crate::server::{ConnectionLimits, Most};
use crate::types::NodeId;

/// How a topic's settings follow from the image and the broker's layers.
pub(super) fn settings_of(layers: Arc<ArcSwap<Layers>>) -> SettingsOf {
    Box::new(move |image, topic| {
        let own = image.configs().props(&ConfigResource::topic(topic));
        PartitionSettings::from(&layers.load().topic(&own))
    })
}

/// Keeps the layers up to date. Subscribes before whoever resolves values from them. -> the layers whenever they change
pub(super) fn subscribe(
    publisher: &Publisher,
    node_id: NodeId,
    layers: &Arc<ArcSwap<Layers>>,
) -> watch::Receiver<Arc<Layers>> {
    let layers = Arc::clone(layers);
    let (cluster, own) = (ConfigResource::cluster(), ConfigResource::broker(node_id));
    let sender = watch::Sender::new(layers.load_full());
    let changes = sender.subscribe();
    publisher.subscribe(Box::new(move |delta, image| {
        if delta.is_snapshot || delta.configs.contains(&cluster) || delta.configs.contains(&own) {
            let dynamic = Arc::new(image.configs().over(&layers.load(), node_id));
            layers.store(Arc::clone(&dynamic));
            sender.send_replace(dynamic);
        }
    }));
    changes
}

/// The rates at which replicas may catch up (KIP-73), which follow the configuration for as long as the node runs.
pub(super) fn follow_throttled_rates(
    env: &Env,
    mut layers: watch::Receiver<Arc<Layers>>,
    replicas: &Arc<ReplicaManager>,
) {
    let replicas = Arc::clone(replicas);
    env.tasks.spawn("replication rates", async move {
        loop {
            let now = layers.borrow_and_update().clone();
            let rate = |key: &str| now.dynamic_rate(key).unwrap_or(UNLIMITED_RATE);
            replicas.set_throttled_rates(
                rate("leader.replication.throttled.rate"),
                rate("follower.replication.throttled.rate"),
            );
            if layers.changed().await.is_err() {
                return;
            }
        }
    });
}

/// Limits of connections that follow the configuration for as long as the node runs.
pub(super) async fn connection_limits(
    env: &Env,
    mut layers: watch::Receiver<Arc<Layers>>,
    began_with: &BrokerConfig,
) -> Arc<ConnectionLimits> {
    let now = layers.borrow_and_update().clone();
    let first = match BrokerConfig::new(&now) {
        Ok(config) => most(env, &config).await,
        Err(_) => most(env, began_with).await,
    };
    let limits = ConnectionLimits::new(first);
    let (env_of_task, followed) = (env.clone(), Arc::clone(&limits));
    env.tasks.spawn("connection limits", async move {
        while layers.changed().await.is_ok() {
            let now = layers.borrow_and_update().clone();
            match BrokerConfig::new(&now) {
                Ok(config) => followed.set(most(&env_of_task, &config).await),
                Err(e) => tracing::warn!("the limits of connections stay as they are: {e}"),
            }
        }
    });
    limits
}

/// The limits of a configuration, with the names in `max.connections.per.ip.overrides` looked up.
async fn most(env: &Env, config: &BrokerConfig) -> Most {
    let mut per_ip_overrides = BTreeMap::new();
    for (host, &max) in &config.max_connections_per_ip_overrides {
        match env.net.resolve(host).await {
            Ok(addresses) => {
                per_ip_overrides.extend(addresses.into_iter().map(|address| (address.to_canonical(), max)));
            }
            Err(e) => tracing::warn!("max.connections.per.ip.overrides: {host}: {e}"),
        }
    }
    Most { in_all: config.max_connections, per_ip: config.max_connections_per_ip, per_ip_overrides }
}

#[cfg(test)]
#[path = "dynamic_config_test.rs"]
mod tests;
