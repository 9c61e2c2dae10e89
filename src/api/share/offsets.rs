//! What administrators ask of share groups' positions: DescribeShareGroupOffsets, AlterShareGroupOffsets and
//! DeleteShareGroupOffsets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use super::{ask, kept, share_groups_enabled, text};
use crate::api::auto_create::auto_create;
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::share::Topics;
use crate::coordinator::group::{Command, Reply};
use crate::coordinator::routing::SHARE_GROUP_STATE;
use crate::coordinator::share::command::{Initialize, Of, Summary};
use crate::replica::{Isolation, OffsetQuery};
use crate::schema::api;
use crate::types::{ErrorCode, PartitionIndex, TopicId};

/// From this version on the lag is told (KIP-1226).
const LAG_FROM: i16 = 1;

fn described(error: ErrorCode) -> Option<StrBytes> {
    error.is_err().then(|| text(error.name()))
}

/// The partitions that the group has positions for.
async fn positions(cx: &RequestContext, group: &Arc<str>) -> Result<Topics, ErrorCode> {
    if !share_groups_enabled(cx) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    if group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    match ask(cx, group, Command::SharePositions(Arc::clone(group))).await {
        Ok(Reply::SharePositions(positions)) => positions,
        Ok(_) => Err(ErrorCode::UnknownServerError),
        Err(refused) => Err(refused.error_code()),
    }
}

/// Deletes everything that share coordinators keep of a group that is about to be deleted. A group that is no share group, or
/// is not there, has nothing.
///
/// # Errors
///
/// `NON_EMPTY_GROUP` while there are members, and what coordinators answer.
pub(in crate::api) async fn delete_states(cx: &RequestContext, group: &Arc<str>) -> Result<(), ErrorCode> {
    let topics = match positions(cx, group).await {
        Ok(topics) => topics,
        Err(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion | ErrorCode::InvalidGroupId) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let topics: Vec<TopicId> = topics.into_keys().collect();
    let outcomes = forget(cx, group, topics).await?;
    outcomes.into_values().find(|error| error.is_err()).map_or(Ok(()), Err)
}

/// Deletes positions for whole topics; an error per topic, and nothing for those that there were none of.
async fn forget(
    cx: &RequestContext,
    group: &Arc<str>,
    topics: Vec<TopicId>,
) -> Result<BTreeMap<TopicId, ErrorCode>, ErrorCode> {
    let gone = match ask(cx, group, Command::ShareForget(Arc::clone(group), topics)).await {
        Ok(Reply::SharePositions(gone)) => gone?,
        Ok(_) => return Err(ErrorCode::UnknownServerError),
        Err(refused) => return Err(refused.error_code()),
    };
    let mut outcomes: BTreeMap<TopicId, ErrorCode> = gone.keys().map(|&id| (id, ErrorCode::None)).collect();
    let partitions = gone.iter().flat_map(|(&id, (_, indexes))| indexes.iter().map(move |&p| (id, p)));
    for (topic, _, outcome) in cx.broker.share.states().delete(Arc::clone(group), partitions.collect()).await
    {
        if let Err(error) = outcome {
            outcomes.insert(topic, error);
        }
    }
    let done = outcomes.iter().filter(|(_, error)| !error.is_err()).map(|(&id, _)| id).collect();
    match ask(cx, group, Command::ShareForgotten(Arc::clone(group), done)).await {
        Ok(_) => Ok(outcomes),
        Err(refused) => Err(refused.error_code()),
    }
}

/// Key 90.
pub struct DescribeShareGroupOffsets;

impl Api for DescribeShareGroupOffsets {
    type Request = api::DescribeShareGroupOffsetsRequest;
    type Response = api::DescribeShareGroupOffsetsResponse;
    const KEY: i16 = 90;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: Self::Request) -> Self::Response {
        use api::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup as Group;
        let mut groups = Vec::with_capacity(request.groups.len());
        for asked in request.groups {
            let id = kept(&asked.group_id);
            let answer = match positions(cx, &id).await {
                Ok(known) => {
                    let topics = describe(cx, &id, &known, asked.topics).await;
                    Group { group_id: asked.group_id, topics, ..Group::default() }
                }
                Err(error) => Group {
                    group_id: asked.group_id,
                    error_code: error.code(),
                    error_message: Some(match error {
                        ErrorCode::GroupIdNotFound => text(&format!("Group {id} not found.")),
                        other => text(other.name()),
                    }),
                    ..Group::default()
                },
            };
            groups.push(answer);
        }
        Self::Response { groups, ..Self::Response::default() }
    }
}

type AskedTopic = api::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestTopic;
type AnsweredTopic = api::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseTopic;
type AnsweredPartition =
    api::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponsePartition;

async fn describe(
    cx: &RequestContext,
    group: &Arc<str>,
    known: &Topics,
    asked: Option<Vec<AskedTopic>>,
) -> Vec<AnsweredTopic> {
    let image = cx.broker.image();
    // All there is, or what is asked for.
    let wanted: Vec<(StrBytes, TopicId, Vec<PartitionIndex>)> = match asked {
        None => {
            let all = known.iter();
            all.map(|(&id, (name, indexes))| (text(name), id, indexes.iter().copied().collect())).collect()
        }
        Some(topics) => {
            let id = |name: &str| image.topics().get(name).map_or(TopicId::NIL, |topic| topic.id);
            topics.into_iter().map(|t| (t.topic_name.0.clone(), id(&t.topic_name), t.partitions)).collect()
        }
    };
    let has = |id: &TopicId, index: &PartitionIndex| {
        known.get(id).is_some_and(|(_, indexes)| indexes.contains(index))
    };
    let asked = wanted.iter().flat_map(|(_, id, indexes)| indexes.iter().map(move |&index| (*id, index)));
    let asked: Vec<_> = asked.filter(|(id, index)| has(id, index)).collect();
    let ends = match cx.version >= LAG_FROM {
        true => cx.broker.share.states().end_offsets(&asked).await,
        false => BTreeMap::new(),
    };
    let summaries = cx.broker.share.states().summarize(Arc::clone(group), asked).await;
    let summaries: BTreeMap<_, _> =
        summaries.into_iter().map(|(id, index, summary)| ((id, index), summary)).collect();
    let mut topics = Vec::with_capacity(wanted.len());
    for (topic_name, id, indexes) in wanted {
        let partitions = indexes.into_iter().map(|index| {
            let error = if id.is_nil() { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::None };
            let nothing = AnsweredPartition {
                partition_index: index,
                start_offset: -1,
                error_code: error.code(),
                error_message: described(error),
                ..AnsweredPartition::default()
            };
            match summaries.get(&(id, index)) {
                None => nothing,
                Some(Err(error)) => AnsweredPartition {
                    error_code: error.code(),
                    error_message: described(*error),
                    ..nothing
                },
                Some(Ok(summary)) => AnsweredPartition {
                    start_offset: summary.start_offset,
                    leader_epoch: summary.leader_epoch,
                    lag: lag(cx, (id, index), ends.get(&(id, index)).copied(), summary),
                    ..nothing
                },
            }
        });
        let partitions = partitions.collect();
        topics.push(AnsweredTopic { topic_name: topic_name.into(), topic_id: id.0, partitions });
    }
    topics
}

/// How many records are not done with (KIP-1226); -1 where that is not known. `end` is where the partition ends if another
/// broker leads it.
fn lag(
    cx: &RequestContext,
    (topic, index): (TopicId, PartitionIndex),
    end: Option<i64>,
    summary: &Summary,
) -> i64 {
    if summary.start_offset == -1 || summary.delivery_complete_count == -1 {
        return -1;
    }
    let partition = cx.broker.replicas.topic_by_id(topic).and_then(|topic| topic.partition(index).ok());
    let latest = OffsetQuery::Latest(Isolation::ReadUncommitted);
    let here = partition.and_then(|partition| partition.find_offset(latest, -1).ok().flatten());
    here.map(|at| at.offset)
        .or(end)
        .map_or(-1, |end| (end - summary.start_offset - i64::from(summary.delivery_complete_count)).max(0))
}

/// Key 91.
pub struct AlterShareGroupOffsets;

impl Api for AlterShareGroupOffsets {
    type Request = api::AlterShareGroupOffsetsRequest;
    type Response = api::AlterShareGroupOffsetsResponse;
    const KEY: i16 = 91;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: Self::Request) -> Self::Response {
        match alter(cx, &request).await {
            Ok(responses) => Self::Response::default().with_responses(responses),
            Err(error) => Self::Response::default()
                .with_error_code(error.code())
                .with_error_message(Some(refusal(error, &request.group_id))),
        }
    }
}

fn refusal(error: ErrorCode, group: &str) -> StrBytes {
    match error {
        ErrorCode::GroupIdNotFound => text(&format!("Group {group} not found.")),
        ErrorCode::NonEmptyGroup => text("The group is not empty."),
        other => text(other.name()),
    }
}

type AlteredTopic = api::alter_share_group_offsets_response::AlterShareGroupOffsetsResponseTopic;
type AlteredPartition = api::alter_share_group_offsets_response::AlterShareGroupOffsetsResponsePartition;

async fn alter(
    cx: &RequestContext,
    request: &api::AlterShareGroupOffsetsRequest,
) -> Result<Vec<AlteredTopic>, ErrorCode> {
    let group = kept(&request.group_id);
    // Refuses where there is no such group, before anything is made for it.
    positions(cx, &group).await?;
    auto_create(cx, [SHARE_GROUP_STATE].into_iter()).await;
    let image = cx.broker.image();
    let mut topics: Topics = BTreeMap::new();
    let mut wanted: BTreeMap<(TopicId, PartitionIndex), i64> = BTreeMap::new();
    for asked in &request.topics {
        let Some(topic) = image.topics().get(&asked.topic_name) else { continue };
        let there = asked.partitions.iter().filter(|p| topic.partition(p.partition_index).is_some());
        let there: Vec<_> = there.filter(|p| p.start_offset >= 0).collect();
        if there.is_empty() {
            continue;
        }
        wanted.extend(there.iter().map(|p| ((topic.id, p.partition_index), p.start_offset)));
        let indexes: BTreeSet<_> = there.iter().map(|p| p.partition_index).collect();
        topics.insert(topic.id, (Arc::clone(&topic.name), indexes));
    }
    let epoch = match ask(cx, &group, Command::ShareAlter(Arc::clone(&group), topics)).await {
        Ok(Reply::ShareAlter(epoch)) => epoch?,
        Ok(_) => return Err(ErrorCode::UnknownServerError),
        Err(refused) => return Err(refused.error_code()),
    };
    let partitions = wanted.iter().map(|(&(topic, index), &start_offset)| {
        (topic, index, Initialize { state_epoch: epoch, start_offset })
    });
    let of = Of { group, partitions: partitions.collect() };
    let outcomes = cx.broker.share.states().initialize(of).await;
    let outcomes: BTreeMap<_, _> =
        outcomes.into_iter().map(|(topic, index, outcome)| ((topic, index), outcome)).collect();
    let responses = request.topics.iter().map(|asked| {
        let id = image.topics().get(&asked.topic_name).map_or(TopicId::NIL, |topic| topic.id);
        let partitions = asked.partitions.iter().map(|p| {
            let error = match outcomes.get(&(id, p.partition_index)) {
                Some(outcome) => outcome.err().unwrap_or(ErrorCode::None),
                None if p.start_offset < 0 => ErrorCode::InvalidRequest,
                None => ErrorCode::UnknownTopicOrPartition,
            };
            AlteredPartition::default()
                .with_partition_index(p.partition_index)
                .with_error_code(error.code())
                .with_error_message(described(error))
        });
        AlteredTopic::default()
            .with_topic_name(asked.topic_name.clone())
            .with_topic_id(id.0)
            .with_partitions(partitions.collect())
    });
    Ok(responses.collect())
}

/// Key 92.
pub struct DeleteShareGroupOffsets;

impl Api for DeleteShareGroupOffsets {
    type Request = api::DeleteShareGroupOffsetsRequest;
    type Response = api::DeleteShareGroupOffsetsResponse;
    const KEY: i16 = 92;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: Self::Request) -> Self::Response {
        match delete(cx, &request).await {
            Ok(responses) => Self::Response::default().with_responses(responses),
            Err(error) => Self::Response::default()
                .with_error_code(error.code())
                .with_error_message(Some(refusal(error, &request.group_id))),
        }
    }
}

type DeletedTopic = api::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;

async fn delete(
    cx: &RequestContext,
    request: &api::DeleteShareGroupOffsetsRequest,
) -> Result<Vec<DeletedTopic>, ErrorCode> {
    let group = kept(&request.group_id);
    let known = positions(cx, &group).await?;
    let image = cx.broker.image();
    let id = |name: &str| image.topics().get(name).map(|topic| topic.id);
    let topics = request.topics.iter().filter_map(|topic| id(&topic.topic_name)).collect();
    let outcomes = forget(cx, &group, topics).await?;
    let responses = request.topics.iter().map(|asked| {
        let id = id(&asked.topic_name);
        let error = match id {
            None => ErrorCode::UnknownTopicOrPartition,
            // Kafka's word for a topic that the group has no positions for, too.
            Some(id) if !known.contains_key(&id) => ErrorCode::UnknownTopicOrPartition,
            Some(id) => outcomes.get(&id).copied().unwrap_or(ErrorCode::None),
        };
        let message = match (id, error) {
            (Some(_), ErrorCode::UnknownTopicOrPartition) => {
                Some(text("There is no offset information to delete."))
            }
            (_, error) => described(error),
        };
        DeletedTopic::default()
            .with_topic_name(asked.topic_name.clone())
            .with_topic_id(id.unwrap_or(TopicId::NIL).0)
            .with_error_code(error.code())
            .with_error_message(message)
    });
    Ok(responses.collect())
}
