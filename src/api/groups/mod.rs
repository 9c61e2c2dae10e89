//! Groups: joining, staying, leaving; committed offsets; what operators ask about them.
//!
//! Handlers turn requests into commands of [`crate::coordinator::group`], send them to the shard that keeps the group,
//! and turn what it says into answers.

mod commit_answer;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod delete_groups;
mod describe_groups;
mod find_coordinator;
mod heartbeat;
mod join_group;
mod leave_group;
mod list_groups;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod sync_group;

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

pub(super) use commit_answer::CommitAnswer;
pub use consumer_group_describe::ConsumerGroupDescribe;
pub use consumer_group_heartbeat::ConsumerGroupHeartbeat;
pub use delete_groups::DeleteGroups;
pub use describe_groups::DescribeGroups;
pub use find_coordinator::FindCoordinator;
pub use heartbeat::Heartbeat;
pub use join_group::JoinGroup;
pub use leave_group::LeaveGroup;
pub use list_groups::ListGroups;
pub use offset_commit::OffsetCommit;
pub use offset_delete::OffsetDelete;
pub use offset_fetch::OffsetFetch;
pub use sync_group::SyncGroup;

use crate::api::RequestContext;
use crate::coordinator::group::state::GroupId;
use crate::coordinator::group::{Command, Reply};
use crate::coordinator::routing::{CONSUMER_OFFSETS, partition_for};
use crate::coordinator::runtime::Refused;
use crate::types::{ErrorCode, PartitionIndex};

/// The partition of `__consumer_offsets` that keeps `group`; NOT_COORDINATOR while the topic is not there.
pub(super) fn partition_of(cx: &RequestContext, group: &str) -> Result<PartitionIndex, Refused> {
    let image = cx.broker.image();
    let topic = image.topics().get(CONSUMER_OFFSETS).ok_or(Refused::NotCoordinator)?;
    let partitions = i32::try_from(topic.iter().count()).unwrap_or(i32::MAX);
    if partitions == 0 { Err(Refused::NotCoordinator) } else { Ok(partition_for(group, partitions)) }
}

/// Asks the shard that keeps `group`.
pub(super) async fn ask(cx: &RequestContext, group: &str, command: Command) -> Result<Reply, Refused> {
    let partition = partition_of(cx, group)?;
    cx.broker.groups.request(partition, command).await
}

/// Groups by the partition that keeps them; those that this broker cannot place come with the reason.
fn by_partition(
    cx: &RequestContext,
    groups: impl Iterator<Item = GroupId>,
) -> BTreeMap<Result<PartitionIndex, ErrorCode>, Vec<GroupId>> {
    let mut placed: BTreeMap<_, Vec<GroupId>> = BTreeMap::new();
    for group in groups {
        let partition = partition_of(cx, &group).map_err(Refused::error_code);
        placed.entry(partition).or_default().push(group);
    }
    placed
}

/// A reply of another kind than the command's cannot be; if it is, the client hears of an error of ours.
pub(super) fn mismatched(reply: &Reply) -> ErrorCode {
    tracing::error!(?reply, "the coordinator answered another command than was sent");
    ErrorCode::UnknownServerError
}

/// Text that outlives the request it came in.
pub(super) fn kept(text: &StrBytes) -> Arc<str> {
    Arc::from(&**text)
}

pub(super) fn kept_option(text: Option<&StrBytes>) -> Option<Arc<str>> {
    text.map(kept)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn text_option(of: Option<&Arc<str>>) -> Option<StrBytes> {
    of.map(|of| text(of))
}

/// True if consumer groups are served (KIP-848): `group.version` is at 1, and `group.coordinator.rebalance.protocols` names
/// them.
fn consumer_protocol_is_on(cx: &RequestContext) -> bool {
    const GROUP_VERSION: &str = "group.version";
    let protocols = &cx.broker.config.group_coordinator_rebalance_protocols;
    cx.broker.image().features().level(GROUP_VERSION) >= 1 && protocols.iter().any(|p| p == "consumer")
}

/// The error that the whole request gets for an empty group id, where Kafka does not allow one.
fn invalid_group(group: &str) -> Option<ErrorCode> {
    group.is_empty().then_some(ErrorCode::InvalidGroupId)
}
