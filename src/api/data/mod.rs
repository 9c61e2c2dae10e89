//! What concerns the records of partitions.

mod delete_records;
mod describe_producers;
mod fetch;
mod fetch_response;
mod list_offsets;
mod offset_for_leader_epoch;
mod produce;
mod replica_synced;

pub use delete_records::DeleteRecords;
pub use describe_producers::DescribeProducers;
pub use fetch::Fetch;
pub use list_offsets::ListOffsets;
pub use offset_for_leader_epoch::OffsetForLeaderEpoch;
pub use produce::Produce;
pub use replica_synced::ReplicaSynced;
