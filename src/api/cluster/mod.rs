//! What concerns the cluster as a whole: versions, brokers, quorum, features, disks.

mod allocate_producer_ids;
mod alter_partition;
mod alter_replica_log_dirs;
mod api_versions;
mod broker_heartbeat;
mod broker_registration;
mod controller_registration;
mod describe_cluster;
mod describe_log_dirs;
mod describe_quorum;
mod envelope;
mod fetch_snapshot;
mod raft;
mod unregister_broker;
mod update_features;

pub use allocate_producer_ids::AllocateProducerIds;
pub use alter_partition::AlterPartition;
pub use alter_replica_log_dirs::AlterReplicaLogDirs;
pub use api_versions::ApiVersions;
pub use broker_heartbeat::BrokerHeartbeat;
pub use broker_registration::BrokerRegistration;
pub use controller_registration::ControllerRegistration;
pub use describe_cluster::DescribeCluster;
pub use describe_log_dirs::DescribeLogDirs;
pub use describe_quorum::DescribeQuorum;
pub use envelope::Envelope;
pub use fetch_snapshot::FetchSnapshot;
pub use raft::{RaftAppendEntries, RaftSnapshot, RaftTransferLeader, RaftVote};
pub use unregister_broker::UnregisterBroker;
pub use update_features::UpdateFeatures;
