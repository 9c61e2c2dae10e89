//! OffsetFetch: how far groups have read.

use std::sync::Arc;

use kafka_protocol::messages::GroupId as WireGroupId;

use super::{ask, kept, kept_option, mismatched, text};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::{FetchTopic, FetchedPartition, FetchedTopic, OffsetFetch as Fetch};
use crate::coordinator::group::{Command, Reply};
use crate::coordinator::runtime::Refused;
use crate::schema::api::offset_fetch_request::OffsetFetchRequestGroup;
use crate::schema::api::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::schema::api::{OffsetFetchRequest, OffsetFetchResponse};
use crate::types::{ErrorCode, TopicId};

/// From this version on the answer has an error for the whole group.
const GROUP_ERROR_FROM: i16 = 2;
/// From this version on a request names any number of groups (KIP-709).
const BATCHED_FROM: i16 = 8;
/// From this version on topics go by id (KIP-848).
const TOPIC_IDS_FROM: i16 = 10;

/// Key 9.
pub struct OffsetFetch;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;
    type Response = OffsetFetchResponse;
    const KEY: i16 = 9;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=10;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse {
        if cx.version < BATCHED_FROM {
            return handle_single(cx, request).await;
        }
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            groups.push(handle_group(cx, group, request.require_stable).await);
        }
        OffsetFetchResponse::default().with_groups(groups)
    }
}

async fn fetch(cx: &RequestContext, fetch: Fetch) -> Result<Vec<FetchedTopic>, ErrorCode> {
    let group = fetch.group.clone();
    match ask(cx, &group, Command::Fetch(fetch)).await {
        Ok(Reply::Fetch(fetched)) => fetched,
        Ok(other) => Err(mismatched(&other)),
        // Consumers of before 3.9 do not know what to do about the other errors here.
        Err(Refused::NotAvailable | Refused::TimedOut) => Err(ErrorCode::NotCoordinator),
        Err(refused) => Err(refused.error_code()),
    }
}

async fn handle_single(cx: &RequestContext, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let wanted: Option<Vec<FetchTopic>> = request.topics.as_ref().map(|topics| {
        let topic = |t: &crate::schema::api::offset_fetch_request::OffsetFetchRequestTopic| FetchTopic {
            name: kept(&t.name),
            id: TopicId::NIL,
            partitions: t.partition_indexes.clone(),
        };
        topics.iter().map(topic).collect()
    });
    let what = Fetch {
        group: kept(&request.group_id),
        member: None,
        member_epoch: -1,
        topics: wanted.clone(),
        require_stable: request.require_stable,
    };
    let (fetched, error) = match fetch(cx, what).await {
        Ok(fetched) => (fetched, ErrorCode::None),
        Err(error) if cx.version >= GROUP_ERROR_FROM => (Vec::new(), error),
        Err(error) => (wanted.unwrap_or_default().into_iter().map(|t| failed(t, error)).collect(), error),
    };
    let partition = |p: &FetchedPartition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(p.index)
            .with_committed_offset(p.offset)
            .with_committed_leader_epoch(p.leader_epoch)
            .with_metadata(Some(text(&p.metadata)))
            .with_error_code(p.error.code())
    };
    let topic = |t: &FetchedTopic| {
        OffsetFetchResponseTopic::default()
            .with_name(text(&t.name).into())
            .with_partitions(t.partitions.iter().map(partition).collect())
    };
    let error = if cx.version >= GROUP_ERROR_FROM { error } else { ErrorCode::None };
    OffsetFetchResponse::default()
        .with_topics(fetched.iter().map(topic).collect())
        .with_error_code(error.code())
}

/// A topic of which nothing could be found out.
fn failed(topic: FetchTopic, error: ErrorCode) -> FetchedTopic {
    let one =
        |index| FetchedPartition { index, offset: -1, leader_epoch: -1, metadata: Arc::from(""), error };
    FetchedTopic {
        name: topic.name,
        id: topic.id,
        partitions: topic.partitions.into_iter().map(one).collect(),
    }
}

async fn handle_group(
    cx: &RequestContext,
    group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let by_id = cx.version >= TOPIC_IDS_FROM;
    let image = cx.broker.image();
    let mut unknown = Vec::new();
    let topics = group.topics.as_ref().map(|topics| {
        let mut known = Vec::with_capacity(topics.len());
        for topic in topics {
            let id = TopicId(topic.topic_id);
            let name = match by_id {
                true => image.topics().get_by_id(id).map(|topic| topic.name.clone()),
                false => Some(kept(&topic.name)),
            };
            let partitions = topic.partition_indexes.clone();
            match name {
                Some(name) => known.push(FetchTopic { name, id, partitions }),
                None => {
                    let topic = FetchTopic { name: Arc::from(""), id, partitions };
                    unknown.push(failed(topic, ErrorCode::UnknownTopicId));
                }
            }
        }
        known
    });
    let all = topics.is_none();
    let what = Fetch {
        group: kept(&group.group_id),
        member: kept_option(group.member_id.as_ref()),
        member_epoch: group.member_epoch,
        topics,
        require_stable,
    };
    match fetch(cx, what).await {
        Err(error) => group_answer(group.group_id, &[], error),
        Ok(mut fetched) => {
            if by_id && all {
                // Everything was asked for: ids are those of today. What is committed for a topic that is gone, or was
                // made anew, cannot be named.
                fetched.retain_mut(|topic| {
                    let now = image.topics().get(&topic.name).map(|now| now.id);
                    let same = now.filter(|now| topic.id.is_nil() || topic.id == *now);
                    topic.id = same.unwrap_or(TopicId::NIL);
                    same.is_some()
                });
            }
            fetched.extend(unknown);
            group_answer(group.group_id, &fetched, ErrorCode::None)
        }
    }
}

fn group_answer(group: WireGroupId, topics: &[FetchedTopic], error: ErrorCode) -> OffsetFetchResponseGroup {
    let partition = |p: &FetchedPartition| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(p.index)
            .with_committed_offset(p.offset)
            .with_committed_leader_epoch(p.leader_epoch)
            .with_metadata(Some(text(&p.metadata)))
            .with_error_code(p.error.code())
    };
    let topic = |t: &FetchedTopic| {
        OffsetFetchResponseTopics::default()
            .with_name(text(&t.name).into())
            .with_topic_id(t.id.0)
            .with_partitions(t.partitions.iter().map(partition).collect())
    };
    OffsetFetchResponseGroup::default()
        .with_group_id(group)
        .with_topics(topics.iter().map(topic).collect())
        .with_error_code(error.code())
}
