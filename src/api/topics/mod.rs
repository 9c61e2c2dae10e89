//! What concerns topics: where their partitions are, making and removing them.

mod alter_partition_reassignments;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod describe_topic_partitions;
mod elect_leaders;
mod list_partition_reassignments;
mod metadata;

pub use alter_partition_reassignments::AlterPartitionReassignments;
pub use create_partitions::CreatePartitions;
pub use create_topics::CreateTopics;
pub use delete_topics::DeleteTopics;
pub use describe_topic_partitions::DescribeTopicPartitions;
pub use elect_leaders::ElectLeaders;
pub use list_partition_reassignments::ListPartitionReassignments;
pub use metadata::Metadata;
