//! Share groups (KIP-932): members' heartbeats, fetches and acknowledgements, what administrators ask of them, and the calls
//! between brokers by which their state is kept.

mod acknowledge;
mod acks;
mod describe;
mod fetch;
mod fetch_response;
mod heartbeat;
mod offsets;
mod state;

pub use acknowledge::ShareAcknowledge;
pub use describe::ShareGroupDescribe;
pub use fetch::ShareFetch;
pub use heartbeat::ShareGroupHeartbeat;
pub(super) use offsets::delete_states;
pub use offsets::{AlterShareGroupOffsets, DeleteShareGroupOffsets, DescribeShareGroupOffsets};
pub use state::{
    DeleteShareGroupState, InitializeShareGroupState, ReadShareGroupState, ReadShareGroupStateSummary,
    WriteShareGroupState,
};

use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use super::RequestContext;
use crate::coordinator::group::{Command, Reply};
use crate::coordinator::runtime::Refused;
use crate::metadata::Endpoint;
use crate::types::{ErrorCode, NodeId};

/// The feature that gates share groups, and the level from which they are there.
const FEATURE: (&str, i16) = ("share.version", 1);

/// True if the cluster has share groups.
fn share_groups_enabled(cx: &RequestContext) -> bool {
    cx.broker.image().features().level(FEATURE.0) >= FEATURE.1
}

/// Text that outlives the request it came in.
fn kept(text: &StrBytes) -> Arc<str> {
    Arc::from(&**text)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Asks the group coordinator's shard that keeps `group`.
async fn ask(cx: &RequestContext, group: &str, command: Command) -> Result<Reply, Refused> {
    super::groups::ask(cx, group, command).await
}

/// Where the leader of a partition can be reached, for whoever asked the wrong broker.
fn leader_of(
    cx: &RequestContext,
    topic: crate::types::TopicId,
    index: i32,
) -> Option<(NodeId, i32, Option<Endpoint>)> {
    let image = cx.broker.image();
    let partition = image.topics().get_by_id(topic)?.partition(index)?;
    let broker = image.brokers().get(partition.leader);
    let endpoint = broker.and_then(|broker| broker.endpoint(&cx.connection.listener.name)).cloned();
    Some((partition.leader, partition.leader_epoch, endpoint))
}

/// True for errors that a client meets with a look at the metadata.
fn asked_wrong_broker(error: ErrorCode) -> bool {
    matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch)
}

/// The error of a fetch of one partition, of those that share consumers know; they end at any other.
fn fetch_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NotLeaderOrFollower
        | ErrorCode::FencedLeaderEpoch
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::UnknownTopicId
        | ErrorCode::KafkaStorageError
        | ErrorCode::OffsetNotAvailable
        | ErrorCode::CorruptMessage
        | ErrorCode::None => error,
        _ => ErrorCode::UnknownServerError,
    }
}
