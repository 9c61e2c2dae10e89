//! ConsumerGroupHeartbeat: become, stay, and cease to be a member of a consumer group (KIP-848).

use kafka_protocol::protocol::StrBytes;

use super::{ask, consumer_protocol_is_on, kept, kept_option, mismatched, text};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::{Beaten, ConsumerHeartbeat, Refusal};
use crate::coordinator::group::modern::Partitions;
use crate::coordinator::group::{Command, Reply};
use crate::schema::api::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use crate::schema::api::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use crate::types::{ErrorCode, TopicId};

/// From this version on clients make the members' ids (KIP-1082).
const OWN_IDS_FROM: i16 = 1;

/// Key 68.
pub struct ConsumerGroupHeartbeat;

impl Api for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    type Response = ConsumerGroupHeartbeatResponse;
    const KEY: i16 = 68;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Broker;

    async fn handle(
        cx: &RequestContext,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        if !consumer_protocol_is_on(cx) {
            return failed(ErrorCode::UnsupportedVersion, None);
        }
        let owned = request.topic_partitions.as_ref().map(|topics| {
            let of = |t: &crate::schema::api::consumer_group_heartbeat_request::TopicPartitions| {
                let id = TopicId(t.topic_id);
                t.partitions.iter().map(move |&index| (id, index)).collect::<Vec<_>>()
            };
            topics.iter().flat_map(of).collect()
        });
        let beat = ConsumerHeartbeat {
            group: kept(&request.group_id),
            member: kept(&request.member_id),
            epoch: request.member_epoch,
            instance_id: kept_option(request.instance_id.as_ref()),
            rack_id: kept_option(request.rack_id.as_ref()),
            client_id: kept(&cx.client_id),
            client_host: format!("/{}", cx.connection.peer.ip()).into(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            names: request
                .subscribed_topic_names
                .as_ref()
                .map(|names| names.iter().map(|n| kept(n)).collect()),
            regex: kept_option(request.subscribed_topic_regex.as_ref()),
            assignor: kept_option(request.server_assignor.as_ref()),
            owned,
            is_member_id_required: cx.version >= OWN_IDS_FROM,
        };
        if beat.group.is_empty() {
            let why = "GroupId can't be empty.";
            return failed(ErrorCode::InvalidRequest, Some(text(why)));
        }
        match ask(cx, &request.group_id, Command::ConsumerHeartbeat(Box::new(beat))).await {
            Ok(Reply::ConsumerHeartbeat(Ok(beaten))) => answer(&beaten),
            Ok(Reply::ConsumerHeartbeat(Err(Refusal { error, message }))) => {
                failed(error, message.as_deref().map(text))
            }
            Ok(other) => failed(mismatched(&other), None),
            Err(refused) => failed(refused.error_code(), None),
        }
    }
}

fn failed(error: ErrorCode, message: Option<StrBytes>) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default().with_error_code(error.code()).with_error_message(message)
}

fn answer(beaten: &Beaten) -> ConsumerGroupHeartbeatResponse {
    let assignment = |partitions: &Partitions| {
        let topics = partitions.by_topic().map(|(id, partitions)| {
            TopicPartitions::default().with_topic_id(id.0).with_partitions(partitions.collect())
        });
        Assignment::default().with_topic_partitions(topics.collect())
    };
    ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(text(&beaten.member)))
        .with_member_epoch(beaten.epoch)
        .with_heartbeat_interval_ms(i32::try_from(beaten.heartbeat_interval_ms).unwrap_or(i32::MAX))
        .with_assignment(beaten.assignment.as_ref().map(assignment))
}
