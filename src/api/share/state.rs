//! The states of share groups, as leaders of partitions and group coordinators ask share coordinators for them:
//! InitializeShareGroupState, ReadShareGroupState, WriteShareGroupState, DeleteShareGroupState and
//! ReadShareGroupStateSummary.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{kept, share_groups_enabled, text};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::routing::{SHARE_GROUP_STATE, partition_for};
use crate::coordinator::share::command::{Each, Found, Initialize, Of, Summary, Write};
use crate::coordinator::share::{Command, Reply, ShareKey, StateBatch};
use crate::schema::api;
use crate::types::{ErrorCode, PartitionIndex, TopicId};

/// Asks the shards that keep the states; several, as a rule. A shard that is not here is NOT_COORDINATOR.
async fn ask<T, R>(
    cx: &RequestContext,
    group: &StrBytes,
    partitions: Vec<(TopicId, PartitionIndex, T)>,
    command: fn(Of<T>) -> Command,
    pick: fn(Reply) -> Option<Each<R>>,
) -> Each<R> {
    let group = kept(group);
    if !share_groups_enabled(cx) {
        return refuse_all(partitions.iter().map(|(t, p, _)| (*t, *p)), ErrorCode::UnsupportedVersion);
    }
    let image = cx.broker.image();
    let count = image.topics().get(SHARE_GROUP_STATE).map_or(0, |topic| topic.iter().count());
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    if count == 0 {
        return refuse_all(partitions.iter().map(|(t, p, _)| (*t, *p)), ErrorCode::NotCoordinator);
    }
    let mut by_shard: BTreeMap<PartitionIndex, Of<T>> = BTreeMap::new();
    for (topic, partition, what) in partitions {
        let key = ShareKey { group: Arc::clone(&group), topic, partition };
        let shard = partition_for(&key.to_string(), count);
        let of =
            by_shard.entry(shard).or_insert_with(|| Of { group: Arc::clone(&group), partitions: Vec::new() });
        of.partitions.push((topic, partition, what));
    }
    let mut answers = Vec::new();
    for (shard, of) in by_shard {
        let asked: Vec<_> = of.partitions.iter().map(|(topic, index, _)| (*topic, *index)).collect();
        let answered = match cx.broker.share_states.request(shard, command(of)).await {
            Ok(reply) => pick(reply).ok_or(ErrorCode::UnknownServerError),
            Err(refused) => Err(refused.error_code()),
        };
        match answered {
            Ok(each) => answers.extend(each),
            Err(error) => answers.extend(refuse_all(asked.into_iter(), error)),
        }
    }
    answers
}

fn refuse_all<R>(asked: impl Iterator<Item = (TopicId, PartitionIndex)>, error: ErrorCode) -> Each<R> {
    asked.map(|(topic, index)| (topic, index, Err(error))).collect()
}

/// What is said of an error besides its code.
fn message(error: ErrorCode) -> Option<StrBytes> {
    error.is_err().then(|| text(error.name()))
}

/// Answers by topic, in the order of their ids.
fn by_topic<R, P>(
    each: Each<R>,
    partition: impl Fn(PartitionIndex, Result<R, ErrorCode>) -> P,
) -> impl Iterator<Item = (Uuid, Vec<P>)> {
    let mut topics: BTreeMap<TopicId, Vec<P>> = BTreeMap::new();
    for (topic, index, answer) in each {
        topics.entry(topic).or_default().push(partition(index, answer));
    }
    topics.into_iter().map(|(topic, partitions)| (topic.0, partitions))
}

fn done(reply: Reply) -> Option<Each<()>> {
    if let Reply::Done(each) = reply { Some(each) } else { None }
}

fn error_of<R>(answer: &Result<R, ErrorCode>) -> ErrorCode {
    answer.as_ref().err().copied().unwrap_or(ErrorCode::None)
}

/// Key 83.
pub struct InitializeShareGroupState;

impl Api for InitializeShareGroupState {
    type Request = api::InitializeShareGroupStateRequest;
    type Response = api::InitializeShareGroupStateResponse;
    const KEY: i16 = 83;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: Self::Request) -> Self::Response {
        use api::initialize_share_group_state_response::{InitializeStateResult, PartitionResult};
        let asked = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|p| {
                let what = Initialize { state_epoch: p.state_epoch, start_offset: p.start_offset };
                (TopicId(topic.topic_id), p.partition, what)
            })
        });
        let answers = ask(cx, &request.group_id, asked.collect(), Command::Initialize, done).await;
        let results = by_topic(answers, |index, answer| {
            let error = error_of(&answer);
            PartitionResult::default()
                .with_partition(index)
                .with_error_code(error.code())
                .with_error_message(message(error))
        });
        let results = results.map(|(topic, partitions)| {
            InitializeStateResult::default().with_topic_id(topic).with_partitions(partitions)
        });
        Self::Response::default().with_results(results.collect())
    }
}

/// Key 84.
pub struct ReadShareGroupState;

impl Api for ReadShareGroupState {
    type Request = api::ReadShareGroupStateRequest;
    type Response = api::ReadShareGroupStateResponse;
    const KEY: i16 = 84;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: Self::Request) -> Self::Response {
        use api::read_share_group_state_response::{PartitionResult, ReadStateResult, StateBatch};
        let asked = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|p| (TopicId(topic.topic_id), p.partition, p.leader_epoch))
        });
        let found = |reply| if let Reply::Found(each) = reply { Some(each) } else { None };
        let answers: Each<Found> = ask(cx, &request.group_id, asked.collect(), Command::Read, found).await;
        let results = by_topic(answers, |index, answer| {
            let result = PartitionResult::default().with_partition(index);
            match answer {
                Err(error) => result.with_error_code(error.code()).with_error_message(message(error)),
                Ok(found) => {
                    let batches = found.batches.iter().map(|batch| {
                        StateBatch::default()
                            .with_first_offset(batch.first)
                            .with_last_offset(batch.last)
                            .with_delivery_state(batch.state)
                            .with_delivery_count(batch.count)
                    });
                    result
                        .with_state_epoch(found.state_epoch)
                        .with_start_offset(found.start_offset)
                        .with_state_batches(batches.collect())
                }
            }
        });
        let results = results.map(|(topic, partitions)| {
            ReadStateResult::default().with_topic_id(topic).with_partitions(partitions)
        });
        Self::Response::default().with_results(results.collect())
    }
}

/// Key 85.
pub struct WriteShareGroupState;

impl Api for WriteShareGroupState {
    type Request = api::WriteShareGroupStateRequest;
    type Response = api::WriteShareGroupStateResponse;
    const KEY: i16 = 85;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: Self::Request) -> Self::Response {
        use api::write_share_group_state_response::{PartitionResult, WriteStateResult};
        let asked = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|p| {
                let batches = p.state_batches.iter().map(|batch| StateBatch {
                    first: batch.first_offset,
                    last: batch.last_offset,
                    state: batch.delivery_state,
                    count: batch.delivery_count,
                });
                let what = Write {
                    state_epoch: p.state_epoch,
                    leader_epoch: p.leader_epoch,
                    start_offset: p.start_offset,
                    delivery_complete_count: p.delivery_complete_count,
                    batches: batches.collect(),
                };
                (TopicId(topic.topic_id), p.partition, what)
            })
        });
        let answers = ask(cx, &request.group_id, asked.collect(), Command::Write, done).await;
        let results = by_topic(answers, |partition, answer| {
            let error = error_of(&answer);
            PartitionResult { partition, error_code: error.code(), error_message: message(error) }
        });
        let results = results.map(|(topic_id, partitions)| WriteStateResult { topic_id, partitions });
        Self::Response { results: results.collect() }
    }
}

/// Key 86.
pub struct DeleteShareGroupState;

impl Api for DeleteShareGroupState {
    type Request = api::DeleteShareGroupStateRequest;
    type Response = api::DeleteShareGroupStateResponse;
    const KEY: i16 = 86;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: Self::Request) -> Self::Response {
        use api::delete_share_group_state_response::{DeleteStateResult, PartitionResult};
        let asked = request
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|p| (TopicId(topic.topic_id), p.partition, ())));
        let answers = ask(cx, &request.group_id, asked.collect(), Command::Delete, done).await;
        let results = by_topic(answers, |index, answer| {
            let error = error_of(&answer);
            PartitionResult::default()
                .with_partition(index)
                .with_error_code(error.code())
                .with_error_message(message(error))
        });
        let results = results.map(|(topic, partitions)| {
            DeleteStateResult::default().with_topic_id(topic).with_partitions(partitions)
        });
        Self::Response::default().with_results(results.collect())
    }
}

/// Key 87.
pub struct ReadShareGroupStateSummary;

impl Api for ReadShareGroupStateSummary {
    type Request = api::ReadShareGroupStateSummaryRequest;
    type Response = api::ReadShareGroupStateSummaryResponse;
    const KEY: i16 = 87;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: Self::Request) -> Self::Response {
        use api::read_share_group_state_summary_response::{PartitionResult, ReadStateSummaryResult};
        let asked = request
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|p| (TopicId(topic.topic_id), p.partition, ())));
        let summaries = |reply| if let Reply::Summaries(each) = reply { Some(each) } else { None };
        let answers: Each<Summary> =
            ask(cx, &request.group_id, asked.collect(), Command::Summarize, summaries).await;
        let results = by_topic(answers, |partition, answer| match answer {
            Err(error) => PartitionResult {
                partition,
                error_code: error.code(),
                error_message: message(error),
                ..PartitionResult::default()
            },
            Ok(summary) => PartitionResult {
                partition,
                state_epoch: summary.state_epoch,
                leader_epoch: summary.leader_epoch,
                start_offset: summary.start_offset,
                delivery_complete_count: summary.delivery_complete_count,
                ..PartitionResult::default()
            },
        });
        let results = results.map(|(topic_id, partitions)| ReadStateSummaryResult { topic_id, partitions });
        Self::Response { results: results.collect() }
    }
}
