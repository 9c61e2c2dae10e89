//! Dynamic configuration: what was set by AlterConfigs, as text, by resource.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use imbl::OrdMap;

use crate::config::{Layers, Props};
use crate::types::NodeId;

/// Kinds of things that have a configuration; numbers are `ConfigResource.Type`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    /// A topic, by name.
    Topic = 2,
    /// A broker by id, or every broker under the empty name.
    Broker = 4,
    /// Log levels of a broker. Never in the log.
    BrokerLogger = 8,
    /// A client metrics subscription, by name (KIP-714).
    ClientMetrics = 16,
    /// A group, by id.
    Group = 32,
}

impl ResourceType {
    /// The kind with this number.
    pub fn from_code(code: i8) -> Option<ResourceType> {
        match code {
            2 => Some(ResourceType::Topic),
            4 => Some(ResourceType::Broker),
            8 => Some(ResourceType::BrokerLogger),
            16 => Some(ResourceType::ClientMetrics),
            32 => Some(ResourceType::Group),
            _ => None,
        }
    }

    /// Kafka's number of it.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// A thing that has a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// What kind of thing.
    pub kind: ResourceType,
    /// Which one. Empty, with [`ResourceType::Broker`], means every broker.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// A resource of this kind and name.
    pub fn new(kind: ResourceType, name: impl Into<Arc<str>>) -> ConfigResource {
        ConfigResource { kind, name: name.into() }
    }

    /// The topic of this name.
    pub fn topic(name: impl Into<Arc<str>>) -> ConfigResource {
        ConfigResource::new(ResourceType::Topic, name)
    }

    /// The broker with this id.
    pub fn broker(id: NodeId) -> ConfigResource {
        ConfigResource::new(ResourceType::Broker, id.to_string())
    }

    /// Every broker: the cluster-wide default.
    pub fn cluster() -> ConfigResource {
        ConfigResource::new(ResourceType::Broker, "")
    }

    /// The group of this id.
    pub fn group(id: impl Into<Arc<str>>) -> ConfigResource {
        ConfigResource::new(ResourceType::Group, id)
    }
}

/// Values set on one resource, by name. Sensitive values are there in the clear.
pub type ConfigMap = BTreeMap<Arc<str>, Arc<str>>;

/// All dynamic configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configs {
    by_resource: OrdMap<ConfigResource, Arc<ConfigMap>>,
}

impl Configs {
    /// What is set on a resource; empty if nothing is.
    pub fn of(&self, resource: &ConfigResource) -> &Arc<ConfigMap> {
        static NOTHING: LazyLock<Arc<ConfigMap>> = LazyLock::new(Arc::default);
        self.by_resource.get(resource).unwrap_or(&NOTHING)
    }

    /// The same, as the layers of a configuration take it.
    pub fn props(&self, resource: &ConfigResource) -> Props {
        self.of(resource).iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    /// The configuration of the broker `node` by layers: that of its file, under what is set for all brokers and for
    /// this one.
    pub fn over(&self, file: &Layers, node: NodeId) -> Layers {
        file.with_dynamic(self.props(&ConfigResource::cluster()), self.props(&ConfigResource::broker(node)))
    }

    /// Resources with something set, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<ConfigMap>)> {
        self.by_resource.iter()
    }

    /// Sets a value, or takes it away with `None`.
    pub(super) fn set(&mut self, resource: &ConfigResource, name: &str, value: Option<&str>) {
        match value {
            Some(value) => {
                let map = self.by_resource.entry(resource.clone()).or_default();
                Arc::make_mut(map).insert(name.into(), value.into());
            }
            None => {
                let Some(map) = self.by_resource.get_mut(resource) else { return };
                Arc::make_mut(map).remove(name);
                if map.is_empty() {
                    self.by_resource.remove(resource);
                }
            }
        }
    }

    /// Takes everything away that is set on a resource; true if there was something.
    pub(super) fn clear(&mut self, resource: &ConfigResource) -> bool {
        self.by_resource.remove(resource).is_some()
    }
}
