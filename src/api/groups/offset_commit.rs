//! OffsetCommit: remember how far a group has read.

use std::sync::Arc;

use super::{CommitAnswer, ask, kept, kept_option, mismatched};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::{CommitPartition, CommitTopic, OffsetCommit as Commit, TopicErrors};
use crate::coordinator::group::{Command, Reply};
use crate::metadata::MetadataImage;
use crate::schema::api::offset_commit_request::OffsetCommitRequestTopic;
use crate::schema::api::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use crate::schema::api::{OffsetCommitRequest, OffsetCommitResponse};
use crate::types::{ErrorCode, PartitionIndex, TopicId, TopicName};

/// From this version on members may be of consumer groups, and a group that is not there has an error of its own
/// (KIP-848).
const MEMBER_EPOCHS_FROM: i16 = 9;
/// From this version on topics go by id (KIP-848).
const TOPIC_IDS_FROM: i16 = 10;

/// Key 8.
pub struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;
    type Response = OffsetCommitResponse;
    const KEY: i16 = 8;
    const VERSIONS: std::ops::RangeInclusive<i16> = 2..=10;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: OffsetCommitRequest) -> OffsetCommitResponse {
        // What is not there is answered here; the answer keeps the order of the request.
        let image = cx.broker.image();
        let names: Vec<Result<TopicName, ErrorCode>> = {
            let found = |topic: &OffsetCommitRequestTopic| match cx.version >= TOPIC_IDS_FROM {
                true => {
                    let found = image.topics().get_by_id(TopicId(topic.topic_id));
                    found.map(|found| found.name.clone()).ok_or(ErrorCode::UnknownTopicId)
                }
                false => {
                    let found = image.topics().get(&topic.name);
                    found.map(|found| found.name.clone()).ok_or(ErrorCode::UnknownTopicOrPartition)
                }
            };
            request.topics.iter().map(found).collect()
        };
        let known = request.topics.iter().zip(&names).filter_map(|(t, name)| Some((t, name.as_ref().ok()?)));
        let topics = known.map(|(topic, name)| commit_topic(topic, name.clone(), &image));
        let topics: Vec<CommitTopic> = topics.filter(|topic| !topic.partitions.is_empty()).collect();
        let committed = match topics.is_empty() {
            true => Ok(Vec::new()),
            false => {
                let command = Command::Commit(Commit {
                    producer: None,
                    group: kept(&request.group_id),
                    generation: request.generation_id_or_member_epoch,
                    member: kept(&request.member_id),
                    instance_id: kept_option(request.group_instance_id.as_ref()),
                    retention_ms: request.retention_time_ms,
                    topics,
                    knows_member_epochs: cx.version >= MEMBER_EPOCHS_FROM,
                });
                match ask(cx, &request.group_id, command).await {
                    Ok(Reply::Commit(committed)) => committed,
                    Ok(other) => Err(mismatched(&other)),
                    Err(refused) => Err(refused.error_code()),
                }
            }
        };
        answer(&request, &names, committed, &image)
    }
}

/// What is to be committed for the partitions that are there; perhaps for none.
fn commit_topic(topic: &OffsetCommitRequestTopic, name: TopicName, image: &MetadataImage) -> CommitTopic {
    let there =
        topic.partitions.iter().filter(|p| image.topics().partition(&name, p.partition_index).is_some());
    let partition =
        |p: &crate::schema::api::offset_commit_request::OffsetCommitRequestPartition| CommitPartition {
            index: p.partition_index,
            offset: p.committed_offset,
            leader_epoch: p.committed_leader_epoch,
            metadata: p.committed_metadata.as_ref().map_or_else(|| Arc::from(""), kept),
        };
    let partitions = there.map(partition).collect();
    CommitTopic { name, id: TopicId(topic.topic_id), partitions }
}

fn answer(
    request: &OffsetCommitRequest,
    names: &[Result<TopicName, ErrorCode>],
    committed: Result<Vec<TopicErrors>, ErrorCode>,
    image: &MetadataImage,
) -> OffsetCommitResponse {
    let is_there = |name: &str, index| image.topics().partition(name, index).is_some();
    let mut committed = CommitAnswer::new(committed);
    let mut topics = Vec::with_capacity(request.topics.len());
    for (topic, name) in request.topics.iter().zip(names) {
        let indexes: Vec<PartitionIndex> = topic.partitions.iter().map(|p| p.partition_index).collect();
        let errors = committed.of_topic(name.as_ref(), &indexes, is_there);
        let partition = |(&index, error): (&PartitionIndex, ErrorCode)| {
            OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(error.code())
        };
        let answer = OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(indexes.iter().zip(errors).map(partition).collect());
        topics.push(answer);
    }
    OffsetCommitResponse::default().with_topics(topics)
}
