//! Partitions that this broker leads or follows.
//!
//! `storage` below does not know that partitions have leaders; this layer does not know that requests exist. A metadata
//! change comes in through [`roles`](ReplicaManager::apply); appends and reads go to a [`Partition`]; what must wait does
//! so in `purgatory`; syncs are grouped by `syncer`.

pub mod fetch_session;
pub mod follower;
pub mod leader;
mod manager;
mod partition;
mod purgatory;
mod queries;
mod roles;
mod session_shards;
mod settings;
mod syncer;
mod upkeep;

pub use manager::{ReplicaManager, TopicReplicas};
pub use partition::{Acks, Append, AppendError, Appended, Isolation, Partition, PartitionRead, Read};
pub use purgatory::{FetchWaiter, ProduceWait, ProduceWaitSlot};
pub use queries::{OffsetAt, OffsetQuery};
pub use roles::SettingsOf;
pub use session_shards::ShardedSessions;
pub use settings::PartitionSettings;
