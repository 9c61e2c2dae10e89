//! What to write for a command (pure): image and command in, records and reply out.
//!
//! Nothing here changes anything: the records do, when they are applied, here and everywhere alike. Words and codes
//! of errors are Kafka's, since clients and scripts read them.

pub mod brokers;
pub mod change;
pub mod configs;
pub mod elections;
pub mod elr;
pub mod features;
pub mod partitions;
pub mod producer_ids;
pub mod reassign;
pub mod topics;

use uuid::Uuid;

use crate::config::Layers;
use crate::metadata::topics::directory;
use crate::metadata::{Broker, FeatureRange, MetadataImage};
use crate::schema::metadata::MetadataRecord;
use crate::types::{ErrorCode, Ms, NodeId, Offset, Rng};

use super::command::{ApiError, Command, Reply};
use super::liveness::Liveness;
use super::placement::UsableBroker;

/// Most records that one command may ask for, as in Kafka.
pub const RECORDS_PER_COMMAND_MAX: usize = 10_000;

/// What a decision goes by.
pub struct Facts<'a> {
    /// The cluster as it is.
    pub image: &'a MetadataImage,
    /// Who is alive.
    pub live: &'a Liveness,
    /// The wall clock.
    pub now: Ms,
    /// A clock that never jumps, of which sessions are.
    pub monotonic_ms: Ms,
    /// Offset that the first record of this decision will get.
    pub next_offset: Offset,
    /// What is set by configuration.
    pub rules: &'a Rules,
}

/// What the controller's configuration says about decisions.
#[derive(Clone, Debug)]
pub struct Rules {
    /// This controller.
    pub node_id: NodeId,
    /// Id of the cluster.
    pub cluster_id: String,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// What this node's file says.
    pub layers: Layers,
    /// Feature levels that this controller can do.
    pub features: Vec<FeatureRange>,
}

/// Records to write, and what to answer once they are committed. Without records the answer may go out when all that
/// was decided before is committed.
#[derive(Debug, PartialEq)]
pub struct Decision {
    /// In the order in which they apply.
    pub records: Vec<MetadataRecord>,
    /// The answer.
    pub reply: Reply,
}

/// Decides one command. An error writes nothing.
pub fn decide(facts: &Facts<'_>, command: &Command, rng: &mut Rng) -> Result<Decision, ApiError> {
    // What happens to a broker concerns all its partitions, however many: there is no smaller step.
    let is_limited = !matches!(
        command,
        Command::RegisterBroker(_)
            | Command::UnregisterBroker(_)
            | Command::BrokerHeartbeat(_)
            | Command::FenceBroker { .. }
            | Command::AlterPartition { .. }
    );
    let decision = match command {
        Command::CreateTopics { topics, validate_only } => topics::create(facts, topics, *validate_only, rng),
        Command::DeleteTopics(topics) => topics::delete(facts, topics),
        Command::CreatePartitions { topics, validate_only } => {
            partitions::create(facts, topics, *validate_only, rng)
        }
        Command::IncrementalAlterConfigs { changes, validate_only } => {
            configs::alter_incrementally(facts, changes, *validate_only)
        }
        Command::AlterConfigs { configs, validate_only } => configs::replace(facts, configs, *validate_only),
        Command::ElectLeaders { kind, partitions } => elections::elect(facts, *kind, partitions.as_deref()),
        Command::BalanceLeaders => Ok(elections::balance(facts)),
        Command::ElectUncleanLeaders => Ok(elections::elect_unclean(facts)),
        Command::AlterPartitionReassignments { topics, allow_replication_factor_change } => {
            Ok(reassign::alter(facts, topics, *allow_replication_factor_change))
        }
        Command::UpdateFeatures { updates, validate_only } => {
            features::update(facts, updates, *validate_only)
        }
        Command::AllocateProducerIds { broker, epoch } => producer_ids::allocate(facts, *broker, *epoch),
        Command::RegisterBroker(registration) => brokers::register(facts, registration),
        Command::UnregisterBroker(id) => brokers::unregister(facts, *id),
        Command::UnregisterController(id) => brokers::unregister_controller(facts, *id),
        Command::RegisterController(registration) => brokers::register_controller(facts, registration),
        Command::BrokerHeartbeat(heartbeat) => brokers::heartbeat(facts, heartbeat),
        Command::FenceBroker { broker, epoch } => brokers::fence(facts, *broker, *epoch),
        Command::AlterPartition { broker, epoch, partitions } => {
            partitions::alter(facts, *broker, *epoch, partitions)
        }
    }?;
    if is_limited && decision.records.len() > RECORDS_PER_COMMAND_MAX {
        return Err(ApiError::new(
            ErrorCode::PolicyViolation,
            "Unable to perform excessively large batch operation.",
        ));
    }
    Ok(decision)
}

impl Facts<'_> {
    /// The brokers that may get replicas.
    fn usable_brokers(&self) -> impl Iterator<Item = UsableBroker> {
        self.image.brokers().iter().map(|b| UsableBroker {
            id: b.id,
            rack: b.rack.as_ref().map(ToString::to_string),
            fenced: b.fenced,
        })
    }

    /// This controller's configuration under what was set dynamically.
    fn layers(&self) -> Layers {
        self.image.configs().over(&self.rules.layers, self.rules.node_id)
    }

    /// The directory that a new replica on `broker` is given: its only one, or none until the broker chose.
    fn default_directory(&self, broker: NodeId) -> Uuid {
        match self.image.brokers().get(broker).map(|b| b.log_dirs.as_slice()) {
            Some([only]) => *only,
            Some([]) => directory::MIGRATING,
            Some(_) => directory::UNASSIGNED,
            None => directory::UNASSIGNED,
        }
    }

    /// The broker's registration, if this is its epoch.
    fn broker_in_epoch(&self, id: NodeId, epoch: i64) -> Result<&Broker, ApiError> {
        match self.image.brokers().get(id) {
            None => Err(ApiError::new(
                ErrorCode::StaleBrokerEpoch,
                format!("No broker registration found for broker id {id}"),
            )),
            Some(broker) if broker.epoch != epoch => Err(ApiError::new(
                ErrorCode::StaleBrokerEpoch,
                format!("Expected broker epoch {}, but got broker epoch {epoch}", broker.epoch),
            )),
            Some(broker) => Ok(broker),
        }
    }
}

#[cfg(test)]
mod test_cluster;
#[cfg(test)]
#[path = "decide_test.rs"]
mod tests;
