//! ShareAcknowledge: what a member says of records it holds.

use std::collections::BTreeMap;

use super::acks::{self, RawBatch};
use super::{asked_wrong_broker, kept, leader_of, share_groups_enabled, text};
use crate::api::{Api, On, RequestContext};
use crate::schema::api::share_acknowledge_response as wire;
use crate::schema::api::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
use crate::share_partition::session::FINAL_EPOCH;
use crate::types::{ErrorCode, TopicId};

/// Key 79.
pub struct ShareAcknowledge;

impl Api for ShareAcknowledge {
    type Request = ShareAcknowledgeRequest;
    type Response = ShareAcknowledgeResponse;
    const KEY: i16 = 79;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=2;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: ShareAcknowledgeRequest) -> ShareAcknowledgeResponse {
        match acknowledge(cx, request).await {
            Ok(response) => response,
            Err(error) => ShareAcknowledgeResponse {
                error_code: error.code(),
                error_message: Some(text(error.name())),
                ..ShareAcknowledgeResponse::default()
            },
        }
    }
}

async fn acknowledge(
    cx: &RequestContext,
    request: ShareAcknowledgeRequest,
) -> Result<ShareAcknowledgeResponse, ErrorCode> {
    if !share_groups_enabled(cx) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let group = request.group_id.filter(|group| !group.is_empty()).ok_or(ErrorCode::InvalidRequest)?;
    let member = request.member_id.filter(|member| !member.is_empty()).ok_or(ErrorCode::InvalidRequest)?;
    let session = (kept(&group), kept(&member));
    let settings = (cx.broker.share.settings_of())(&session.0);
    if request.is_renew_ack && !settings.may_renew {
        return Err(ErrorCode::InvalidRequest);
    }
    cx.broker.share.sessions().lock().acknowledge(&session, request.share_session_epoch)?;
    let acks = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let batches = partition.acknowledgement_batches.iter().map(|batch| RawBatch {
                first: batch.first_offset,
                last: batch.last_offset,
                types: &batch.acknowledge_types,
            });
            let at = (TopicId(topic.topic_id), partition.partition_index);
            (at, acks::parse(batches, request.is_renew_ack))
        })
    });
    let outcomes = acks::keep(cx, &session, acks.collect()).await;
    if request.share_session_epoch == FINAL_EPOCH {
        cx.broker.share.end_session(&session, None);
    }
    let mut response = ShareAcknowledgeResponse {
        acquisition_lock_timeout_ms: i32::try_from(settings.limits.lock_ms).unwrap_or(i32::MAX),
        ..ShareAcknowledgeResponse::default()
    };
    let mut endpoints = BTreeMap::new();
    for ((topic, index), error) in outcomes {
        let mut partition = wire::PartitionData {
            partition_index: index,
            error_code: error.code(),
            error_message: error.is_err().then(|| text(error.name())),
            ..wire::PartitionData::default()
        };
        if asked_wrong_broker(error)
            && let Some((leader, epoch, endpoint)) = leader_of(cx, topic, index)
        {
            partition.current_leader = wire::LeaderIdAndEpoch { leader_id: leader, leader_epoch: epoch };
            endpoints.extend(endpoint.map(|endpoint| (leader, endpoint)));
        }
        match response.responses.last_mut() {
            Some(last) if last.topic_id == topic.0 => last.partitions.push(partition),
            _ => response
                .responses
                .push(wire::ShareAcknowledgeTopicResponse { topic_id: topic.0, partitions: vec![partition] }),
        }
    }
    let endpoints = endpoints.into_iter().map(|(id, endpoint)| wire::NodeEndpoint {
        node_id: id.into(),
        host: text(&endpoint.host),
        port: i32::from(endpoint.port),
        rack: None,
    });
    response.node_endpoints = endpoints.collect();
    Ok(response)
}
