//! AddPartitionsToTxn: what a transaction is about to write to (KIP-98), and for other brokers whether it is allowed to
//! (KIP-890).

use std::sync::Arc;

use futures_util::future::join_all;

use super::{answerable, ask, kept, mismatched};
use crate::api::{Api, Broker, On, RequestContext};
use crate::coordinator::shard::Producer;
use crate::coordinator::txn::command::{AddPartitions, Verify};
use crate::coordinator::txn::state::Partitions;
use crate::coordinator::txn::{Command, Reply};
use crate::schema::api::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use crate::schema::api::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use crate::schema::api::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use crate::types::{ErrorCode, PartitionIndex, TopicName, TransactionVersion};

/// From this version on requests come from brokers, and several transactions in one.
const BATCHED_FROM: i16 = 4;
/// From this version on clients know PRODUCER_FENCED (KIP-588).
const FENCED_FROM: i16 = 2;

/// Key 24.
pub struct AddPartitionsToTxn;

impl Api for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    type Response = AddPartitionsToTxnResponse;
    const KEY: i16 = 24;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
    const ON: On = On::Broker;
    const PARKS: bool = true;

    async fn handle(cx: &RequestContext, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
        let response = AddPartitionsToTxnResponse::default();
        if cx.version >= BATCHED_FROM {
            // A transaction may have to wait for its predecessor; the others must not wait with it.
            let one = |transaction| add_partitions(&cx.broker, transaction, TransactionVersion::V2);
            let results = join_all(request.transactions.iter().map(one)).await;
            return response.with_results_by_transaction(results);
        }
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(request.v3_and_below_transactional_id)
            .with_producer_id(request.v3_and_below_producer_id)
            .with_producer_epoch(request.v3_and_below_producer_epoch)
            .with_topics(request.v3_and_below_topics);
        let mut result = add_partitions(&cx.broker, &transaction, TransactionVersion::V0).await;
        for partition in result.topic_results.iter_mut().flat_map(|topic| &mut topic.results_by_partition) {
            if let Some(error) = ErrorCode::from_code(partition.partition_error_code) {
                partition.partition_error_code = answerable(cx, error, FENCED_FROM).code();
            }
        }
        response.with_results_by_topic_v3_and_below(result.topic_results)
    }
}

/// Adds partitions to a transaction that this broker coordinates, or looks whether they were. `version` is that of the
/// transaction. Every partition asked for has its error in the answer.
pub async fn add_partitions(
    broker: &Broker,
    asked: &AddPartitionsToTxnTransaction,
    version: TransactionVersion,
) -> AddPartitionsToTxnResult {
    let errors = match judge(broker, asked, version).await {
        Ok(errors) => errors,
        Err(error) => every(&asked.topics, |_, _| error),
    };
    AddPartitionsToTxnResult::default()
        .with_transactional_id(asked.transactional_id.clone())
        .with_topic_results(errors)
}

async fn judge(
    broker: &Broker,
    asked: &AddPartitionsToTxnTransaction,
    version: TransactionVersion,
) -> Result<Vec<AddPartitionsToTxnTopicResult>, ErrorCode> {
    let id = kept(&asked.transactional_id)?;
    let image = broker.image();
    let is_there = |topic: &str, index| image.topics().partition(topic, index).is_some();
    let of_topic =
        |topic: &AddPartitionsToTxnTopic| topic.partitions.iter().all(|&p| is_there(&topic.name, p));
    if !asked.topics.iter().all(of_topic) {
        // All of them or none; which it was that failed, each one's error says.
        return Ok(every(&asked.topics, |topic, partition| match is_there(topic, partition) {
            true => ErrorCode::OperationNotAttempted,
            false => ErrorCode::UnknownTopicOrPartition,
        }));
    }
    drop(image);
    let producer = Producer { id: asked.producer_id.0, epoch: asked.producer_epoch };
    if asked.verify_only {
        let partitions =
            asked.topics.iter().map(|topic| (Arc::from(&**topic.name), topic.partitions.clone()));
        let verify = Verify { id: id.clone(), producer, partitions: partitions.collect() };
        return match ask(broker, &id, Command::Verify(verify)).await? {
            Reply::Verified(verified) => Ok(verified_answer(asked, verified?)),
            other => Err(mismatched(&other)),
        };
    }
    let mut partitions = Partitions::new();
    for topic in asked.topics.iter().filter(|topic| !topic.partitions.is_empty()) {
        let name: TopicName = Arc::from(&**topic.name);
        partitions.entry(name).or_default().extend(&topic.partitions);
    }
    let add = AddPartitions { id: id.clone(), producer, partitions, version };
    match ask(broker, &id, Command::AddPartitions(add)).await? {
        Reply::Added(added) => added.map(|()| every(&asked.topics, |_, _| ErrorCode::None)),
        other => Err(mismatched(&other)),
    }
}

/// The answer to a verification, which is in the order asked.
fn verified_answer(
    asked: &AddPartitionsToTxnTransaction,
    verified: Vec<(TopicName, Vec<(PartitionIndex, ErrorCode)>)>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let one = |&(index, error): &(PartitionIndex, ErrorCode)| {
        AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(index)
            .with_partition_error_code(error.code())
    };
    let topics = asked.topics.iter().zip(verified).map(|(topic, (_, partitions))| {
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.iter().map(one).collect())
    });
    topics.collect()
}

fn every(
    topics: &[AddPartitionsToTxnTopic],
    error: impl Fn(&str, PartitionIndex) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let of_topic = |topic: &AddPartitionsToTxnTopic| {
        let results = topic.partitions.iter().map(|&index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(index)
                .with_partition_error_code(error(&topic.name, index).code())
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(results.collect())
    };
    topics.iter().map(of_topic).collect()
}
