//! What concerns configurations: saying what they are and where they come from, and changing them.

mod alter_configs;
mod describe_configs;
mod incremental_alter_configs;
mod list_config_resources;
mod loggers;
mod preprocess;

pub use alter_configs::AlterConfigs;
pub use describe_configs::DescribeConfigs;
pub use incremental_alter_configs::IncrementalAlterConfigs;
pub use list_config_resources::ListConfigResources;

use super::RequestContext;
use crate::config::{Layers, Props};
use crate::metadata::{ConfigResource, MetadataImage};
use crate::types::NodeId;

/// What is set dynamically on a resource.
pub fn dynamic_props(image: &MetadataImage, resource: &ConfigResource) -> Props {
    image.configs().of(resource).iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// The configuration of the broker `node` by layers: that of its file, under what `image` says of all brokers and of
/// this one.
pub fn layers_at(file: &Layers, image: &MetadataImage, node: NodeId) -> Layers {
    let cluster = dynamic_props(image, &ConfigResource::cluster());
    file.with_dynamic(cluster, dynamic_props(image, &ConfigResource::broker(node)))
}

/// This broker's configuration by layers, as it is now.
pub(super) fn current_layers(cx: &RequestContext) -> Layers {
    layers_at(&cx.broker.layers.load(), &cx.broker.image(), cx.broker.config.node_id)
}
