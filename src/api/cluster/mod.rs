//! What concerns the cluster as a whole: versions, brokers, quorum, features, disks.

mod alter_replica_log_dirs;
mod api_versions;
mod describe_cluster;
mod describe_log_dirs;
mod describe_quorum;
mod fetch_snapshot;
mod raft;
mod unregister_broker;
mod update_features;

pub use alter_replica_log_dirs::AlterReplicaLogDirs;
pub use api_versions::ApiVersions;
pub use describe_cluster::DescribeCluster;
pub use describe_log_dirs::DescribeLogDirs;
pub use describe_quorum::DescribeQuorum;
pub use fetch_snapshot::FetchSnapshot;
pub use raft::{RaftAppendEntries, RaftSnapshot, RaftTransferLeader, RaftVote};
pub use unregister_broker::UnregisterBroker;
pub use update_features::UpdateFeatures;
