//! Partitions that this broker leads or follows.
//!
//! `storage` below does not know that partitions have leaders; this layer does not know that requests exist. A metadata
//! change comes in through [`roles`](ReplicaManager::apply); appends and reads go to a [`Partition`]; what must wait does
//! so in `purgatory`; syncs are grouped by `syncer`. What a leader concludes from its followers is [`leader`], what a
//! follower does next is [`follower`], both pure; `fetcher` copies, `alter_partition` asks for changes of in-sync sets.

mod alter_partition;
pub mod fetch_session;
mod fetch_session_state;
mod fetcher;
mod followed;
pub mod follower;
mod follower_waits;
pub mod leader;
mod leader_endpoint;
pub mod leader_messages;
mod lease;
mod manager;
mod partition;
mod purgatory;
mod queries;
mod remote_leader;
mod roles;
mod session_shards;
mod settings;
mod shared;
mod sync_notices;
mod syncer;
mod throttle;
mod transactions;
mod upkeep;

pub use alter_partition::{AlterPartition, IsrChange};
pub use fetcher::{Endpoints, FetcherSettings};
pub use follower_waits::FollowerWaits;
pub use leader_endpoint::{
    Asked, BoundsAnswer, EndpointError, EpochEndAnswer, FetchedFrom, FetchedPartition, FollowerFetchAnswer,
    FollowerFetchRequest, LeaderEndpoint, REPLICA_SYNCED_KEY, ReplicaSynced, SYNCED_END_OFFSET_TAG,
    SyncedPartition,
};
pub use lease::Lease;
pub use manager::{ReplicaManager, TopicReplicas};
pub use partition::{
    Acks, Append, AppendError, Appended, FollowerRead, Isolation, Partition, PartitionRead, Read,
    Verification,
};
pub use purgatory::{FetchWaiter, ProduceWait, ProduceWaitSlot, WaitingFetches};
pub use queries::{Deleted, OffsetAt, OffsetQuery};
pub use remote_leader::{FollowerIdentity, remote_endpoints};
pub use roles::SettingsOf;
pub use session_shards::ShardedSessions;
pub use settings::PartitionSettings;
pub use throttle::UNLIMITED as UNLIMITED_RATE;
pub use transactions::{TxnBegin, TxnEnd};
