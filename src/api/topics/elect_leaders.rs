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
use crate::types::{PartitionIndex, TopicName};

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
        let outcome = match command(cx.version, &request) {
            Ok(command) => elect(cx, command, request.timeout_ms).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(results) => ElectLeadersResponse::default().with_replica_election_results(results),
            Err(error) => refuse(cx.version, request.topic_partitions, &error),
        }
    }
}

fn command(version: i16, request: &ElectLeadersRequest) -> Result<Command, ApiError> {
    let kind = match request.election_type {
        _ if version < KINDS_FROM => ElectionKind::Preferred,
        0 => ElectionKind::Preferred,
        1 => ElectionKind::Unclean,
        other => return Err(invalid_request(format!("Unknown election type {other}"))),
    };
    let named = |topic: &TopicPartitions| ((&**topic.topic).into(), topic.partitions.clone());
    let partitions = request.topic_partitions.as_ref().map(|topics| topics.iter().map(named).collect());
    Ok(Command::ElectLeaders { kind, partitions })
}

async fn elect(
    cx: &RequestContext,
    command: Command,
    timeout_ms: i32,
) -> Result<Vec<ReplicaElectionResult>, ApiError> {
    match submit(cx, command, wait_of(timeout_ms)).await? {
        Reply::ElectLeaders(topics) => Ok(answer(&topics)),
        other => Err(unexpected(&other)),
    }
}

fn answer(topics: &[(TopicName, Vec<(PartitionIndex, Result<(), ApiError>)>)]) -> Vec<ReplicaElectionResult> {
    let topic = |(topic, partitions): &(TopicName, Vec<(PartitionIndex, Result<(), ApiError>)>)| {
        let name = StrBytes::from_string(topic.to_string()).into();
        topic_result(name, partitions.iter().map(|(index, outcome)| (*index, outcome.as_ref().err())))
    };
    topics.iter().map(topic).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_wire::over_the_wire;
    use crate::controller::remote::topics::{ELECT_VERSION, elect_reply, elect_request};
    use crate::types::ErrorCode;

    #[test]
    fn what_is_passed_on_and_its_answer_come_over_the_wire_as_they_are() {
        let named = vec![("a".into(), vec![0, 5]), ("b".into(), vec![])];
        for (kind, partitions) in [
            (ElectionKind::Preferred, None),
            (ElectionKind::Unclean, Some(named)),
            (ElectionKind::Unclean, None),
        ] {
            let request = over_the_wire(ELECT_VERSION, &elect_request(kind, partitions.as_deref(), 5));
            assert_eq!(request.timeout_ms, 5);
            assert_eq!(command(ELECT_VERSION, &request), Ok(Command::ElectLeaders { kind, partitions }));
        }
        let error = ApiError::new(ErrorCode::UnknownTopicOrPartition, "why");
        let outcomes = vec![("a".into(), vec![(0, Ok(())), (1, Err(error))])];
        let response = ElectLeadersResponse::default().with_replica_election_results(answer(&outcomes));
        assert_eq!(elect_reply(response), Ok(Reply::ElectLeaders(outcomes)));
        let failed = ElectLeadersResponse::default().with_error_code(41);
        assert_eq!(elect_reply(failed), Err(ErrorCode::NotController.into()));
    }
}
