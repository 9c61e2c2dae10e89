//! ShareGroupHeartbeat: join, stay in, or leave a share group.
//!
//! A group reads only partitions that share coordinators keep positions for. Where they do not yet, they are asked here, on
//! behalf of the group, and the member is told when they have answered: it need not come again to learn what to read.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;

use super::{ask, kept, share_groups_enabled, text};
use crate::api::auto_create::auto_create;
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::{ShareBeat, ShareHeartbeat};
use crate::coordinator::group::{Command, Reply};
use crate::coordinator::routing::SHARE_GROUP_STATE;
use crate::coordinator::share::command::{Initialize, Of};
use crate::schema::api::share_group_heartbeat_response::{Assignment, TopicPartitions};
use crate::schema::api::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use crate::types::{ErrorCode, PartitionIndex, TopicId};

/// The longest that a member is kept waiting for positions to begin.
const INITIALIZE_WAIT: Duration = Duration::from_secs(3);

/// Key 76.
pub struct ShareGroupHeartbeat;

impl Api for ShareGroupHeartbeat {
    type Request = ShareGroupHeartbeatRequest;
    type Response = ShareGroupHeartbeatResponse;
    const KEY: i16 = 76;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=1;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: ShareGroupHeartbeatRequest) -> ShareGroupHeartbeatResponse {
        match beat(cx, &request).await {
            Ok(beat) => answer(&request.member_id, beat),
            Err((error, message)) => ShareGroupHeartbeatResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from_string(message))),
        }
    }
}

type Refusal = (ErrorCode, String);

async fn beat(cx: &RequestContext, request: &ShareGroupHeartbeatRequest) -> Result<ShareBeat, Refusal> {
    if !share_groups_enabled(cx) {
        return Err((ErrorCode::UnsupportedVersion, ErrorCode::UnsupportedVersion.name().to_owned()));
    }
    let bad = |why: &str| Err((ErrorCode::InvalidRequest, why.to_owned()));
    let names = request.subscribed_topic_names.as_ref();
    if request.group_id.trim().is_empty() {
        return bad("GroupId can't be empty.");
    }
    if request.member_id.trim().is_empty() {
        return bad("MemberId can't be empty.");
    }
    if request.rack_id.as_ref().is_some_and(|rack| rack.trim().is_empty()) {
        return bad("RackId can't be empty.");
    }
    if request.member_epoch < -1 {
        return bad("MemberEpoch is invalid.");
    }
    if request.member_epoch == 0 && names.is_none_or(Vec::is_empty) {
        return bad("SubscribedTopicNames must be set in first request.");
    }
    let mut heartbeat = ShareHeartbeat {
        group: kept(&request.group_id),
        member: kept(&request.member_id),
        member_epoch: request.member_epoch,
        rack_id: request.rack_id.as_ref().map(kept),
        names: names.map(|names| names.iter().map(|name| kept(name)).collect()),
        client_id: kept(&cx.client_id),
        client_host: format!("/{}", cx.connection.peer.ip()).into(),
    };
    if request.member_epoch == 0 {
        auto_create(cx, [SHARE_GROUP_STATE].into_iter()).await;
    }
    let beat = send(cx, heartbeat.clone()).await?;
    if beat.initialize.is_empty() {
        return Ok(beat);
    }
    let (group, epoch, partitions) =
        (Arc::clone(&heartbeat.group), beat.state_epoch, beat.initialize.clone());
    let (of, (begun, ready)) = (cx.clone(), tokio::sync::oneshot::channel());
    cx.broker.tasks.spawn("share group positions", async move {
        initialize(&of, group, epoch, partitions).await;
        // Nobody may wait any more.
        let _gone = begun.send(());
    });
    if tokio::time::timeout(INITIALIZE_WAIT, ready).await.is_err() {
        return Ok(beat);
    }
    // The same member once more, as it would come next.
    heartbeat.member_epoch = beat.member_epoch;
    heartbeat.names = None;
    let again = send(cx, heartbeat).await?;
    let assignment = again.assignment.or(beat.assignment);
    Ok(ShareBeat { assignment, ..again })
}

async fn send(cx: &RequestContext, heartbeat: ShareHeartbeat) -> Result<ShareBeat, Refusal> {
    let group = Arc::clone(&heartbeat.group);
    match ask(cx, &group, Command::ShareHeartbeat(heartbeat)).await {
        Ok(Reply::ShareHeartbeat(beat)) => beat,
        Ok(_) => Err((ErrorCode::UnknownServerError, String::new())),
        Err(refused) => Err((refused.error_code(), refused.to_string())),
    }
}

/// Has positions begun, and tells the group of those that are.
async fn initialize(
    cx: &RequestContext,
    group: Arc<str>,
    state_epoch: i32,
    partitions: Vec<(TopicId, PartitionIndex)>,
) {
    let what = Initialize { state_epoch, start_offset: -1 };
    let of = Of {
        group: Arc::clone(&group),
        partitions: partitions.into_iter().map(|(topic, index)| (topic, index, what)).collect(),
    };
    let mut begun = Vec::new();
    for (topic, index, outcome) in cx.broker.share.states().initialize(of).await {
        match outcome {
            Ok(()) => begun.push((topic, index)),
            Err(error) => {
                tracing::warn!(%group, %topic, index, %error, "positions of a share group cannot begin yet")
            }
        }
    }
    if begun.is_empty() {
        return;
    }
    if let Err(refused) = ask(cx, &group, Command::ShareInitialized(Arc::clone(&group), begun)).await {
        tracing::warn!(%group, "a share group cannot be told of its positions yet: {refused}");
    }
}

fn answer(member: &StrBytes, beat: ShareBeat) -> ShareGroupHeartbeatResponse {
    let assignment = beat.assignment.map(|partitions| {
        let topics = partitions.by_topic().map(|(topic, indexes)| {
            TopicPartitions::default().with_topic_id(topic.0).with_partitions(indexes.collect())
        });
        Assignment::default().with_topic_partitions(topics.collect())
    });
    ShareGroupHeartbeatResponse::default()
        .with_member_id(Some(text(member)))
        .with_member_epoch(beat.member_epoch)
        .with_heartbeat_interval_ms(i32::try_from(beat.heartbeat_interval_ms).unwrap_or(i32::MAX))
        .with_assignment(assignment)
}
