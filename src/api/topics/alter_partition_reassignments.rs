//! AlterPartitionReassignments: partitions moved to other brokers, or no longer (KIP-455, KIP-860).

use kafka_protocol::messages::TopicName as WireTopicName;
use kafka_protocol::protocol::StrBytes;

use crate::api::controller_gate::{submit, unexpected, wait_of};
use crate::api::errors::code_and_message;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{ApiError, Command, Reassignment, Reply};
use crate::schema::api::alter_partition_reassignments_request::ReassignableTopic;
use crate::schema::api::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::schema::api::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use crate::types::{PartitionIndex, TopicName};

/// Before this version the number of replicas may always change.
const FACTOR_FROM: i16 = 1;

/// Key 45.
pub struct AlterPartitionReassignments;

impl Api for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    type Response = AlterPartitionReassignmentsResponse;
    const KEY: i16 = 45;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Both;

    async fn handle(
        cx: &RequestContext,
        request: AlterPartitionReassignmentsRequest,
    ) -> AlterPartitionReassignmentsResponse {
        let wait = wait_of(request.timeout_ms);
        let allow = cx.version < FACTOR_FROM || request.allow_replication_factor_change;
        let topics: Vec<(TopicName, Vec<Reassignment>)> = request.topics.iter().map(wanted).collect();
        let command = Command::AlterPartitionReassignments { topics, allow_replication_factor_change: allow };
        let outcome = match submit(cx, command, wait).await {
            Ok(Reply::AlterPartitionReassignments(topics)) => Ok(topics),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => Err(error),
        };
        let response = match outcome {
            Ok(topics) => done(&topics),
            Err(error) => refused(&request.topics, &error),
        };
        response.with_allow_replication_factor_change(allow)
    }
}

fn wanted(topic: &ReassignableTopic) -> (TopicName, Vec<Reassignment>) {
    let partitions = topic.partitions.iter().map(|one| Reassignment {
        partition: one.partition_index,
        replicas: one.replicas.as_ref().map(|ids| ids.iter().map(|id| id.0).collect()),
    });
    ((&**topic.name).into(), partitions.collect())
}

type Outcomes = Vec<(PartitionIndex, Result<(), ApiError>)>;

fn done(topics: &[(TopicName, Outcomes)]) -> AlterPartitionReassignmentsResponse {
    let topics = topics.iter().map(|(name, outcomes)| {
        let each = outcomes.iter().map(|(index, outcome)| (*index, outcome.as_ref().err()));
        topic_response(StrBytes::from_string(name.to_string()).into(), each)
    });
    AlterPartitionReassignmentsResponse::default().with_error_message(None).with_responses(topics.collect())
}

/// The answer when nothing was even looked at: the error of the whole is the error of each part.
fn refused(topics: &[ReassignableTopic], error: &ApiError) -> AlterPartitionReassignmentsResponse {
    let topics = topics.iter().map(|topic| {
        let each = topic.partitions.iter().map(|one| (one.partition_index, Some(error)));
        topic_response(topic.name.clone(), each)
    });
    let (code, message) = code_and_message(error);
    AlterPartitionReassignmentsResponse::default()
        .with_error_code(code)
        .with_error_message(message)
        .with_responses(topics.collect())
}

fn topic_response<'a>(
    name: WireTopicName,
    partitions: impl Iterator<Item = (PartitionIndex, Option<&'a ApiError>)>,
) -> ReassignableTopicResponse {
    let partitions = partitions.map(|(index, error)| {
        let response =
            ReassignablePartitionResponse::default().with_partition_index(index).with_error_message(None);
        match error {
            None => response,
            Some(error) => {
                let (code, message) = code_and_message(error);
                response.with_error_code(code).with_error_message(message)
            }
        }
    });
    ReassignableTopicResponse::default().with_name(name).with_partitions(partitions.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_wire::over_the_wire;
    use crate::controller::remote::topics::{REASSIGN_VERSION, reassign_reply, reassign_request};
    use crate::schema::api::alter_partition_reassignments_request::ReassignablePartition;
    use crate::types::ErrorCode;
    use kafka_protocol::messages::BrokerId;

    #[test]
    fn what_is_asked_and_what_is_answered_is_said_for_each_partition() {
        let name = || StrBytes::from_static_str("t").into();
        let partition = |index, ids: Option<Vec<BrokerId>>| {
            ReassignablePartition::default().with_partition_index(index).with_replicas(ids)
        };
        let moves = vec![partition(0, Some(vec![BrokerId(2), BrokerId(1)])), partition(3, None)];
        let topic = ReassignableTopic::default().with_name(name()).with_partitions(moves);
        let expected = vec![
            Reassignment { partition: 0, replicas: Some(vec![2, 1]) },
            Reassignment { partition: 3, replicas: None },
        ];
        assert_eq!(wanted(&topic), ("t".into(), expected));

        let passed_on = reassign_request(&[wanted(&topic)], false, 9);
        let passed_on = over_the_wire(REASSIGN_VERSION, &passed_on);
        assert_eq!((passed_on.timeout_ms, passed_on.allow_replication_factor_change), (9, false));
        assert_eq!(wanted(&passed_on.topics[0]), wanted(&topic));

        let error = ApiError::new(ErrorCode::NoReassignmentInProgress, "none");
        let outcomes = vec![("t".into(), vec![(0, Ok(())), (3, Err(error.clone()))])];
        let reply = reassign_reply(done(&outcomes));
        assert_eq!(reply, Ok(Reply::AlterPartitionReassignments(outcomes)));
        let answer = done(&[("t".into(), vec![(0, Ok(())), (3, Err(error.clone()))])]);
        let codes = |answer: &AlterPartitionReassignmentsResponse| {
            let partitions = answer.responses[0].partitions.iter();
            partitions.map(|p| (p.partition_index, p.error_code)).collect::<Vec<_>>()
        };
        assert_eq!((answer.error_code, codes(&answer)), (0, vec![(0, 0), (3, 85)]));
        let answer = refused(&[topic], &error);
        assert_eq!((answer.error_code, codes(&answer)), (85, vec![(0, 85), (3, 85)]));
    }
}
