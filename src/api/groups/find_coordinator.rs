//! FindCoordinator: which broker keeps a group, a transactional id or a share group's state.

use std::borrow::Cow;

use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::api::auto_create::auto_create;
use crate::api::{Api, On, RequestContext};
use crate::coordinator::routing::{CONSUMER_OFFSETS, SHARE_GROUP_STATE, TRANSACTION_STATE, partition_for};
use crate::coordinator::share::ShareKey;
use crate::metadata::Endpoint;
use crate::schema::api::find_coordinator_response::Coordinator;
use crate::schema::api::{FindCoordinatorRequest, FindCoordinatorResponse};
use crate::types::{ErrorCode, NodeId};

/// From this version on a request names any number of keys (KIP-699).
const BATCHED_FROM: i16 = 4;
/// The key is a group's id.
const GROUP: i8 = 0;
/// The key is a transactional id.
const TRANSACTION: i8 = 1;
/// The key is a partition for a share group (KIP-932).
const SHARE: i8 = 2;
/// The first version that knows keys of share groups.
const SHARE_SINCE: i16 = 6;

/// Key 10.
pub struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;
    type Response = FindCoordinatorResponse;
    const KEY: i16 = 10;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=6;
    const ON: On = On::Broker;

    fn sends_away(cx: &RequestContext) -> bool {
        cx.may_be_old_again()
    }

    async fn handle(cx: &RequestContext, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        let keys = match cx.version < BATCHED_FROM {
            true => vec![request.key],
            false => request.coordinator_keys,
        };
        if let Some(topic) = topic_of(cx, request.key_type) {
            auto_create(cx, [topic].into_iter()).await;
        }
        let found = keys.into_iter().map(|key| {
            let found = find(cx, request.key_type, &key);
            (key, found)
        });
        if cx.version >= BATCHED_FROM {
            return FindCoordinatorResponse::default().with_coordinators(found.map(coordinator).collect());
        }
        match found.map(coordinator).next() {
            None => FindCoordinatorResponse::default().with_error_code(ErrorCode::InvalidRequest.code()),
            Some(one) => FindCoordinatorResponse::default()
                .with_error_code(one.error_code)
                .with_error_message(one.error_message)
                .with_node_id(one.node_id)
                .with_host(one.host)
                .with_port(one.port),
        }
    }
}

/// Where coordinators of such keys keep their state.
fn topic_of(cx: &RequestContext, key_type: i8) -> Option<&'static str> {
    match key_type {
        GROUP => Some(CONSUMER_OFFSETS),
        TRANSACTION => Some(TRANSACTION_STATE),
        SHARE if cx.version >= SHARE_SINCE => Some(SHARE_GROUP_STATE),
        _ => None,
    }
}

fn find(cx: &RequestContext, key_type: i8, key: &str) -> Result<(NodeId, Endpoint), ErrorCode> {
    let topic = topic_of(cx, key_type).ok_or(ErrorCode::InvalidRequest)?;
    // Its own form decides, not the one in which it was written.
    let key: Cow<'_, str> = match key_type {
        SHARE => ShareKey::parse(key).ok_or(ErrorCode::InvalidRequest)?.to_string().into(),
        _ => key.into(),
    };
    let image = cx.broker.image();
    let count = image.topics().get(topic).map_or(0, |topic| topic.partitions.len());
    let partition = match i32::try_from(count) {
        Ok(count @ 1..) => partition_for(&key, count),
        Ok(_) | Err(_) => return Err(ErrorCode::CoordinatorNotAvailable),
    };
    let leader = image.topics().partition(topic, partition).map(|partition| partition.leader);
    let may_lead = |id| id != cx.broker.config.node_id || cx.broker.replicas.lease().check().is_ok();
    let leader = leader.filter(|&id| image.is_active(id) && may_lead(id));
    let leader = leader.and_then(|id| image.brokers().get(id));
    let endpoint = leader.and_then(|broker| {
        broker.endpoint(&cx.connection.listener.name).map(|endpoint| (broker.id, endpoint.clone()))
    });
    endpoint.ok_or(ErrorCode::CoordinatorNotAvailable)
}

fn coordinator((key, found): (StrBytes, Result<(NodeId, Endpoint), ErrorCode>)) -> Coordinator {
    let answer = Coordinator::default().with_key(key);
    match found {
        Ok((node, endpoint)) => answer
            .with_node_id(BrokerId(node))
            .with_host(text(&endpoint.host))
            .with_port(i32::from(endpoint.port)),
        Err(error) => answer
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(error.code())
            .with_error_message(Some(text(error.name()))),
    }
}
