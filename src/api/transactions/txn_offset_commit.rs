//! TxnOffsetCommit: remember how far a group has read, once a transaction commits (KIP-98, KIP-447, KIP-890, KIP-1319).

use std::sync::Arc;

use super::verification::is_required;
use super::verify::{ClientSupport, Question};
use crate::api::groups::{CommitAnswer, kept, kept_option, mismatched, partition_of};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::{CommitPartition, CommitTopic, OffsetCommit as Commit, TopicErrors};
use crate::coordinator::group::{Command, Reply};
use crate::coordinator::routing::CONSUMER_OFFSETS;
use crate::coordinator::runtime::Refused;
use crate::coordinator::shard::Producer;
use crate::replica::{TxnBegin, Verification};
use crate::schema::api::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use crate::schema::api::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::schema::api::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use crate::types::{ErrorCode, PartitionIndex, TopicId, TopicName};

/// From this version on topics go by id (KIP-1319).
const TOPIC_IDS_FROM: i16 = 6;
/// From this version on producers know what a coordinator that loads is.
const LOADING_KNOWN_FROM: i16 = 2;

/// Key 28.
pub struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    type Response = TxnOffsetCommitResponse;
    const KEY: i16 = 28;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=6;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
        let image = cx.broker.image();
        let is_there = |name: &str, index: PartitionIndex| image.topics().partition(name, index).is_some();
        let name_of = |topic: &TxnOffsetCommitRequestTopic| match cx.version >= TOPIC_IDS_FROM {
            true => {
                let found = image.topics().get_by_id(TopicId(topic.topic_id));
                found.map(|found| found.name.clone()).ok_or(ErrorCode::UnknownTopicId)
            }
            false => {
                let found = image.topics().get(&topic.name);
                found.map(|found| found.name.clone()).ok_or(ErrorCode::UnknownTopicOrPartition)
            }
        };
        let names: Vec<Result<TopicName, ErrorCode>> = request.topics.iter().map(name_of).collect();
        let known = request.topics.iter().zip(&names).filter_map(|(t, name)| Some((t, name.as_ref().ok()?)));
        let topics = known.map(|(topic, name)| {
            let there = topic.partitions.iter().filter(|p| is_there(name, p.partition_index));
            let partitions = there.map(|p| CommitPartition {
                index: p.partition_index,
                offset: p.committed_offset,
                leader_epoch: p.committed_leader_epoch,
                metadata: p.committed_metadata.as_ref().map_or_else(|| Arc::from(""), kept),
            });
            CommitTopic { name: name.clone(), id: TopicId(topic.topic_id), partitions: partitions.collect() }
        });
        let topics: Vec<CommitTopic> = topics.filter(|topic| !topic.partitions.is_empty()).collect();
        let committed = match topics.is_empty() {
            true => Ok(Vec::new()),
            false => commit(cx, &request, topics).await,
        };
        let committed = committed.map_err(|error| match error {
            ErrorCode::CoordinatorLoadInProgress if cx.version < LOADING_KNOWN_FROM => {
                ErrorCode::CoordinatorNotAvailable
            }
            other => other,
        });
        let mut answer = CommitAnswer::new(committed);
        let mut response = TxnOffsetCommitResponse::default();
        for (topic, name) in request.topics.iter().zip(names) {
            let indexes: Vec<_> = topic.partitions.iter().map(|p| p.partition_index).collect();
            let errors = answer.of_topic(name.as_ref(), &indexes, is_there);
            let partitions = indexes.iter().zip(errors).map(|(&index, error)| {
                TxnOffsetCommitResponsePartition { partition_index: index, error_code: error.code() }
            });
            response.topics.push(TxnOffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions: partitions.collect(),
            });
        }
        response
    }
}

async fn commit(
    cx: &RequestContext,
    request: &TxnOffsetCommitRequest,
    topics: Vec<CommitTopic>,
) -> Result<Vec<TopicErrors>, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let partition = partition_of(cx, &request.group_id).map_err(Refused::error_code)?;
    let verification = verify(cx, request, partition).await?;
    let command = Command::Commit(Commit {
        producer: Some(Producer { id: request.producer_id.0, epoch: request.producer_epoch }),
        group: kept(&request.group_id),
        generation: request.generation_id_or_member_epoch,
        member: kept(&request.member_id),
        instance_id: kept_option(request.group_instance_id.as_ref()),
        retention_ms: -1,
        topics,
        knows_member_epochs: false,
    });
    match cx.broker.groups.request_verified(partition, command, verification).await {
        // What a member of a newer group's epoch is to others, the generation is in transactions.
        Ok(Reply::Commit(Err(ErrorCode::StaleMemberEpoch))) => Err(ErrorCode::IllegalGeneration),
        Ok(Reply::Commit(committed)) => committed,
        Ok(other) => Err(mismatched(&other)),
        Err(refused) => Err(refused.error_code()),
    }
}

/// Has the transaction's coordinator say that the group's partition is part of the transaction, or add it.
async fn verify(
    cx: &RequestContext,
    request: &TxnOffsetCommitRequest,
    index: PartitionIndex,
) -> Result<Verification, ErrorCode> {
    let support = ClientSupport::of_txn_offset_commit(cx.version);
    let is_required = is_required(cx);
    if !is_required && !support.supports_epoch_bump() {
        return Ok(Verification::default());
    }
    let begin = TxnBegin {
        producer_id: request.producer_id.0,
        producer_epoch: request.producer_epoch,
        sequence: -1,
        supports_epoch_bump: support.supports_epoch_bump(),
    };
    let partition = cx.broker.replicas.partition(CONSUMER_OFFSETS, index).map_err(to_committer)?;
    let begun = partition.begin_verification(&begin, cx.broker.clock.now()).map_err(to_committer)?;
    let Some(guard) = begun else { return Ok(Verification { is_required, guard: None }) };
    let question = Question {
        transactional_id: Arc::from(&*request.transactional_id.0),
        producer_id: request.producer_id.0,
        producer_epoch: request.producer_epoch,
        partitions: vec![(TopicName::from(CONSUMER_OFFSETS), index)],
        support,
    };
    match cx.broker.txn_verifier.ask(question).await.into_values().next() {
        Some(error) => Err(to_committer(error)),
        None => Ok(Verification { is_required, guard: Some(guard) }),
    }
}

/// An error of the partition or of the transaction's coordinator, as one of the group's coordinator.
fn to_committer(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        // Retried without a search for another coordinator, also by producers that do not expect the error itself.
        ErrorCode::NetworkException => ErrorCode::CoordinatorLoadInProgress,
        other => other,
    }
}
