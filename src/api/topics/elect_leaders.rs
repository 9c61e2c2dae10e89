//! ElectLeaders: back to preferred leaders, or any leader at all (KIP-183, KIP-460).

use kafka_protocol::messages::TopicName as WireTopicName;
use kafka_protocol::protocol::StrBytes;

use crate::api::controller_gate::{submit, unexpected, wait_of};
use crate::api::errors::{code_and_message, invalid_request};
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{ApiError, Command, ElectionKind, Reply};
use crate::schema::api::elect_leaders_request::TopicPartitions;
use crate::schema::api::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use crate::schema::api::{ElectLeadersRequest, ElectLeadersResponse};
use crate::types::PartitionIndex;

/// Before this version there is only one kind of election.
const KINDS_FROM: i16 = 1;

/// Key 43.
pub struct ElectLeaders;

impl Api for ElectLeaders {
    type Request = ElectLeadersRequest;
    type Response = ElectLeadersResponse;
    const KEY: i16 = 43;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=2;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: ElectLeadersRequest) -> ElectLeadersResponse {
        let kind = match request.election_type {
            _ if cx.version < KINDS_FROM => Ok(ElectionKind::Preferred),
            0 => Ok(ElectionKind::Preferred),
            1 => Ok(ElectionKind::Unclean),
            other => Err(invalid_request(format!("Unknown election type {other}"))),
        };
        let outcome = match kind {
            Ok(kind) => elect(cx, kind, &request).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(results) => ElectLeadersResponse::default().with_replica_election_results(results),
            Err(error) => refuse(cx.version, request.topic_partitions, &error),
        }
    }
}

async fn elect(
    cx: &RequestContext,
    kind: ElectionKind,
    request: &ElectLeadersRequest,
) -> Result<Vec<ReplicaElectionResult>, ApiError> {
    let named = |topic: &TopicPartitions| ((&**topic.topic).into(), topic.partitions.clone());
    let partitions = request.topic_partitions.as_ref().map(|topics| topics.iter().map(named).collect());
    let command = Command::ElectLeaders { kind, partitions };
    match submit(cx, command, wait_of(request.timeout_ms)).await? {
        Reply::ElectLeaders(topics) => Ok(topics
            .iter()
            .map(|(topic, partitions)| {
                let name = StrBytes::from_string(topic.to_string()).into();
                let each = partitions.iter();
                topic_result(name, each.map(|(index, outcome)| (*index, outcome.as_ref().err())))
            })
            .collect()),
        other => Err(unexpected(&other)),
    }
}

/// The answer when there was no election at all.
fn refuse(version: i16, wanted: Option<Vec<TopicPartitions>>, error: &ApiError) -> ElectLeadersResponse {
    let each = |topic: TopicPartitions| {
        topic_result(topic.topic, topic.partitions.into_iter().map(|index| (index, Some(error))))
    };
    let results = wanted.unwrap_or_default().into_iter().map(each).collect();
    let response = ElectLeadersResponse::default().with_replica_election_results(results);
    if version >= KINDS_FROM { response.with_error_code(error.code.code()) } else { response }
}

fn topic_result<'a>(
    topic: WireTopicName,
    partitions: impl Iterator<Item = (PartitionIndex, Option<&'a ApiError>)>,
) -> ReplicaElectionResult {
    let results = partitions.map(|(index, error)| {
        let result = PartitionResult::default().with_partition_id(index).with_error_message(None);
        match error {
            None => result,
            Some(error) => {
                let (code, message) = code_and_message(error);
                result.with_error_code(code).with_error_message(message)
            }
        }
    });
    ReplicaElectionResult::default().with_topic(topic).with_partition_result(results.collect())
}
