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
use crate::config::Layers;

/// This broker's configuration by layers, as the newest metadata has it.
pub(super) fn current_layers(cx: &RequestContext) -> Layers {
    cx.broker.image().configs().over(&cx.broker.layers.load(), cx.broker.config.node_id)
}
