//! What can be asked of the active controller, and what it answers. Plain data, without the wire's forms.

use std::sync::Arc;

use uuid::Uuid;

use crate::metadata::{ConfigResource, Endpoint, FeatureRange};
use crate::types::{
    BrokerEpoch, ErrorCode, LeaderEpoch, Ms, NodeId, PartitionIndex, ProducerId, TopicId, TopicName,
};

/// An error as the protocol answers it: a code, and words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", .code.name(), .message.as_ref().map(|m| format!(": {m}")).unwrap_or_default())]
pub struct ApiError {
    /// The code; never [`ErrorCode::None`].
    pub code: ErrorCode,
    /// What to tell people; `None` where Kafka sends its standard text for the code.
    pub message: Option<String>,
}

impl ApiError {
    /// An error with words of its own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> ApiError {
        ApiError { code, message: None }
    }
}

/// Values of a configuration, by key.
pub type ConfigValues = Vec<(String, Option<String>)>;

/// A change that somebody wants. Who may ask was settled before.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Makes topics.
    CreateTopics {
        /// The topics, names as asked.
        topics: Vec<NewTopic>,
        /// True to only say what would happen.
        validate_only: bool,
    },
    /// Deletes topics.
    DeleteTopics(Vec<TopicRef>),
    /// Gives topics more partitions.
    CreatePartitions {
        /// The topics.
        topics: Vec<NewPartitions>,
        /// True to only say what would happen.
        validate_only: bool,
    },
    /// Changes single values of configurations (KIP-339).
    IncrementalAlterConfigs {
        /// What to change, by resource.
        changes: Vec<(ConfigResource, Vec<ConfigChange>)>,
        /// True to only say what would happen.
        validate_only: bool,
    },
    /// Replaces all values of configurations.
    AlterConfigs {
        /// All that shall be set, by resource.
        configs: Vec<(ConfigResource, ConfigValues)>,
        /// True to only say what would happen.
        validate_only: bool,
    },
    /// Elects leaders.
    ElectLeaders {
        /// Of which kind.
        kind: ElectionKind,
        /// For which partitions; `None` for all.
        partitions: Option<Vec<(TopicName, Vec<PartitionIndex>)>>,
    },
    /// Gives leadership back to preferred replicas, where that costs nothing; the controller's own idea.
    BalanceLeaders,
    /// Finds leaders that may lack records, in topics that allow it; the controller's own idea.
    ElectUncleanLeaders,
    /// Moves partitions to other brokers, or no longer (KIP-455).
    AlterPartitionReassignments {
        /// The partitions.
        topics: Vec<(TopicName, Vec<Reassignment>)>,
        /// False to refuse what changes the number of replicas (KIP-860).
        allow_replication_factor_change: bool,
    },
    /// Moves feature levels (KIP-584).
    UpdateFeatures {
        /// The features.
        updates: Vec<FeatureUpdate>,
        /// True to only say what would happen.
        validate_only: bool,
    },
    /// Hands out a block of producer ids (KIP-730).
    AllocateProducerIds {
        /// To this broker,
        broker: NodeId,
        /// in this epoch of its registration.
        epoch: BrokerEpoch,
    },
    /// Registers a broker (KIP-631).
    RegisterBroker(BrokerRegistration),
    /// Forgets a broker.
    UnregisterBroker(NodeId),
    /// Forgets the registration of a controller.
    UnregisterController(NodeId),
    /// Registers a controller (KIP-919).
    RegisterController(ControllerRegistration),
    /// A broker's heartbeat that wants something changed.
    BrokerHeartbeat(BrokerHeartbeat),
    /// A broker did not say anything for too long.
    FenceBroker {
        /// The broker.
        broker: NodeId,
        /// Its epoch.
        epoch: BrokerEpoch,
    },
    /// A leader changes its in-sync replicas (KIP-497).
    AlterPartition {
        /// The leader.
        broker: NodeId,
        /// Its epoch as a broker.
        epoch: BrokerEpoch,
        /// The changes.
        partitions: Vec<IsrChange>,
    },
}

/// What came of a [`Command`], in its order.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Of [`Command::CreateTopics`]: one for each topic asked.
    CreateTopics(Vec<(String, Result<CreatedTopic, ApiError>)>),
    /// Of [`Command::DeleteTopics`]: what was deleted, or why not.
    DeleteTopics(Vec<(TopicRef, Result<(TopicName, TopicId), ApiError>)>),
    /// Of [`Command::CreatePartitions`].
    CreatePartitions(Vec<(TopicName, Result<(), ApiError>)>),
    /// Of both commands that alter configurations.
    AlterConfigs(Vec<(ConfigResource, Result<(), ApiError>)>),
    /// Of [`Command::ElectLeaders`]. When all partitions were asked for, those that needed nothing are left out.
    ElectLeaders(Vec<(TopicName, Vec<(PartitionIndex, Result<(), ApiError>)>)>),
    /// Of [`Command::BalanceLeaders`] and [`Command::ElectUncleanLeaders`].
    Elections {
        /// True if there is more to do, for which the round had no room.
        more: bool,
    },
    /// Of [`Command::AlterPartitionReassignments`]: one for each partition asked.
    AlterPartitionReassignments(Vec<(TopicName, Vec<(PartitionIndex, Result<(), ApiError>)>)>),
    /// Of [`Command::UpdateFeatures`]: all or none.
    UpdateFeatures,
    /// Of [`Command::AllocateProducerIds`]: the first id and how many.
    ProducerIds {
        /// First id of the block.
        first: ProducerId,
        /// Number of ids.
        count: i32,
    },
    /// Of [`Command::RegisterBroker`]: the registration's epoch.
    RegisterBroker(BrokerEpoch),
    /// Done; there is nothing to tell.
    Done,
    /// Of [`Command::BrokerHeartbeat`].
    BrokerHeartbeat {
        /// True while the broker may not lead.
        is_fenced: bool,
        /// True if nothing is led by it any more and it may stop.
        should_shut_down: bool,
        /// For how long after it has sent the heartbeat the broker may lead, in milliseconds; -1 if that is not said. The
        /// active controller says it when it answers.
        lease_ms: Ms,
    },
    /// Of [`Command::AlterPartition`].
    AlterPartition(Vec<(TopicId, PartitionIndex, Result<PartitionState, ErrorCode>)>),
}

/// A topic to make.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions, or -1 for the default or with assignments.
    pub partitions: i32,
    /// Number of replicas, or -1 for the default or with assignments.
    pub replication_factor: i16,
    /// Brokers of each partition, if chosen by hand.
    pub assignments: Vec<(PartitionIndex, Vec<NodeId>)>,
    /// Values to set.
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedTopic {
    /// Its id; nil if it was only validated.
    pub id: TopicId,
    /// Number of partitions.
    pub partitions: i32,
    /// Number of replicas of the first partition.
    pub replication_factor: i16,
    /// Values that were set on it.
    pub configs: Vec<(Arc<str>, Arc<str>)>,
}

/// A topic by name or by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    /// By name.
    Name(TopicName),
    /// By id.
    Id(TopicId),
}

/// More partitions for a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPartitions {
    /// The topic.
    pub topic: TopicName,
    /// How many it shall have in all.
    pub count: i32,
    /// Brokers of each new partition, if chosen by hand.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

/// One change of a configuration; `value` is what [`ConfigOp`] needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigChange {
    /// The key.
    pub name: String,
    /// What to do.
    pub op: ConfigOp,
    /// With what.
    pub value: Option<String>,
}

/// Kinds of change; numbers are `AlterConfigOp.OpType`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigOp {
    /// Sets the value.
    Set = 0,
    /// Goes back to the default.
    Delete = 1,
    /// Adds to a list.
    Append = 2,
    /// Takes out of a list.
    Subtract = 3,
}

impl ConfigOp {
    /// The kind with this number.
    pub fn from_code(code: i8) -> Option<ConfigOp> {
        match code {
            0 => Some(ConfigOp::Set),
            1 => Some(ConfigOp::Delete),
            2 => Some(ConfigOp::Append),
            3 => Some(ConfigOp::Subtract),
            _ => None,
        }
    }

    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            ConfigOp::Set => "SET",
            ConfigOp::Delete => "DELETE",
            ConfigOp::Append => "APPEND",
            ConfigOp::Subtract => "SUBTRACT",
        }
    }
}

/// Kinds of election; numbers are `ElectionType`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionKind {
    /// Back to the first replica, if it is in sync.
    Preferred,
    /// Anybody who is alive, also at the price of losing records.
    Unclean,
}

/// Where a partition shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    /// The partition.
    pub partition: PartitionIndex,
    /// The brokers that shall hold it, the preferred leader first; `None` to give up the reassignment that is under way.
    pub replicas: Option<Vec<NodeId>>,
}

/// A new level for a feature.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureUpdate {
    /// The feature.
    pub name: String,
    /// The level; 0 turns it off.
    pub level: i16,
    /// What may be done to get there; numbers are 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
    pub kind: i8,
}

/// What a broker says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerRegistration {
    /// Its id.
    pub id: NodeId,
    /// Id of the cluster it belongs to.
    pub cluster_id: String,
    /// Chosen anew at each start of the process.
    pub incarnation: Uuid,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// Feature levels it can do.
    pub features: Vec<FeatureRange>,
    /// Its rack.
    pub rack: Option<String>,
    /// Ids of its log directories.
    pub log_dirs: Vec<Uuid>,
    /// The epoch of its last registration, if it was shut down cleanly since then; -1 if it was not, or nobody knows
    /// (KIP-966).
    pub previous_epoch: BrokerEpoch,
}

/// What a controller says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerRegistration {
    /// Its id.
    pub id: NodeId,
    /// Chosen anew at each start of the process.
    pub incarnation: Uuid,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// Feature levels it can do.
    pub features: Vec<FeatureRange>,
}

/// What a broker's heartbeat wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerHeartbeat {
    /// The broker.
    pub id: NodeId,
    /// Its epoch.
    pub epoch: BrokerEpoch,
    /// Metadata offset that it has applied.
    pub current_offset: i64,
    /// True to be fenced.
    pub want_fence: bool,
    /// True to be let go.
    pub want_shut_down: bool,
}

/// New in-sync replicas of a partition, as its leader wants them.
#[derive(Clone, Debug, PartialEq)]
pub struct IsrChange {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition's epoch that the leader knows.
    pub partition_epoch: i32,
    /// Brokers and their epochs, -1 for "any".
    pub isr: Vec<(NodeId, BrokerEpoch)>,
    /// True while the leader recovers from an unclean election.
    pub recovering: bool,
}

/// A partition after a change.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionState {
    /// Its leader.
    pub leader: NodeId,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition's epoch.
    pub partition_epoch: i32,
    /// In-sync replicas.
    pub isr: Vec<NodeId>,
    /// True while the leader recovers from an unclean election.
    pub recovering: bool,
}
