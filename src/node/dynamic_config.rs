//! Dynamic configuration: from the metadata image into the layers that everything resolves its values from.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{Layers, Props};
use crate::metadata::{ConfigResource, MetadataImage};
use crate::quorum::Publisher;
use crate::replica::{PartitionSettings, SettingsOf};
use crate::types::NodeId;

/// How a topic's settings follow from the image and the broker's layers.
pub(super) fn settings_of(layers: Arc<ArcSwap<Layers>>) -> SettingsOf {
    Box::new(move |image, topic| {
        let own = props(image, &ConfigResource::topic(topic));
        PartitionSettings::from(&layers.load().topic(&own))
    })
}

/// Keeps the layers up to date. Subscribes before whoever resolves values from them.
pub(super) fn subscribe(publisher: &Publisher, node_id: NodeId, layers: &Arc<ArcSwap<Layers>>) {
    let layers = Arc::clone(layers);
    let (cluster, own) = (ConfigResource::cluster(), ConfigResource::broker(node_id));
    publisher.subscribe(Box::new(move |delta, image| {
        if delta.is_snapshot || delta.configs.contains(&cluster) || delta.configs.contains(&own) {
            let dynamic = layers.load().with_dynamic(props(image, &cluster), props(image, &own));
            layers.store(Arc::new(dynamic));
        }
    }));
}

fn props(image: &MetadataImage, resource: &ConfigResource) -> Props {
    image.configs().of(resource).iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}
