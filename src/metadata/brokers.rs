//! Brokers and controllers as they registered themselves.

use std::sync::Arc;

use imbl::OrdMap;
use uuid::Uuid;

use crate::types::{BrokerEpoch, NodeId};

/// Registered brokers by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Brokers {
    by_id: OrdMap<NodeId, Arc<Broker>>,
}

/// One broker's registration (KIP-631).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: NodeId,
    /// The registration's epoch: the offset of its record.
    pub epoch: BrokerEpoch,
    /// Differs from one start of the process to the next.
    pub incarnation: Uuid,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// Feature levels it can do.
    pub features: Vec<FeatureRange>,
    /// Its rack.
    pub rack: Option<Arc<str>>,
    /// True while it may not lead anything nor be in sync.
    pub fenced: bool,
    /// True from the moment it asked to leave.
    pub in_controlled_shutdown: bool,
    /// Ids of its log directories.
    pub log_dirs: Vec<Uuid>,
    /// Log directories that take no new partitions; `None` if never told.
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

impl Broker {
    /// The endpoint of a listener, by the listener's name.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| &*e.listener == listener)
    }
}

/// An address at which a node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: Arc<str>,
    /// Host to connect to.
    pub host: Arc<str>,
    /// Port to connect to.
    pub port: u16,
    /// Kafka's number of the security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of one feature that a node can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureRange {
    /// The feature, such as `metadata.version`.
    pub name: Arc<str>,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

impl Brokers {
    /// The broker with this id.
    pub fn get(&self, id: NodeId) -> Option<&Arc<Broker>> {
        self.by_id.get(&id)
    }

    /// All brokers, fenced ones too, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.by_id.values()
    }

    /// Brokers that are not fenced, in order of their ids.
    pub fn unfenced(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.iter().filter(|b| !b.fenced)
    }

    /// Number of registered brokers.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True if none is registered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn put(&mut self, broker: Broker) {
        self.by_id.insert(broker.id, Arc::new(broker));
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> Option<&mut Broker> {
        self.by_id.get_mut(&id).map(Arc::make_mut)
    }

    pub(super) fn remove(&mut self, id: NodeId) -> bool {
        self.by_id.remove(&id).is_some()
    }
}

/// Registered controllers by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controllers {
    by_id: OrdMap<NodeId, Arc<Controller>>,
}

/// One controller's registration (KIP-919).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its id.
    pub id: NodeId,
    /// Differs from one start of the process to the next.
    pub incarnation: Uuid,
    /// Left over from the migration away from ZooKeeper; kept so that a snapshot repeats it.
    pub zk_migration_ready: bool,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// Feature levels it can do.
    pub features: Vec<FeatureRange>,
}

impl Controllers {
    /// The controller with this id.
    pub fn get(&self, id: NodeId) -> Option<&Arc<Controller>> {
        self.by_id.get(&id)
    }

    /// All controllers in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Controller>> {
        self.by_id.values()
    }

    pub(super) fn put(&mut self, controller: Controller) {
        self.by_id.insert(controller.id, Arc::new(controller));
    }

    pub(super) fn remove(&mut self, id: NodeId) -> bool {
        self.by_id.remove(&id).is_some()
    }
}
