//! CreatePartitions: more partitions for topics that are there (KIP-195).

use std::collections::BTreeMap;

use kafka_protocol::messages::TopicName as WireTopicName;
use kafka_protocol::protocol::StrBytes;

use crate::api::controller_gate::{submit, unexpected, wait_of};
use crate::api::errors::{code_and_message, invalid_request};
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{ApiError, Command, NewPartitions, Reply};
use crate::schema::api::create_partitions_request::CreatePartitionsTopic;
use crate::schema::api::create_partitions_response::CreatePartitionsTopicResult;
use crate::schema::api::{CreatePartitionsRequest, CreatePartitionsResponse};

/// Key 37.
pub struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;
    type Response = CreatePartitionsResponse;
    const KEY: i16 = 37;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=3;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let mut asked: BTreeMap<WireTopicName, usize> = BTreeMap::new();
        for topic in &request.topics {
            *asked.entry(topic.name.clone()).or_default() += 1;
        }
        let duplicate = invalid_request("Duplicate topic name.");
        let twice = asked.iter().filter(|&(_, &times)| times > 1);
        let mut results: Vec<_> = twice.map(|(name, _)| result(name.clone(), Err(&duplicate))).collect();
        let once = request.topics.into_iter().filter(|topic| asked.get(&topic.name) == Some(&1));
        let topics: Vec<NewPartitions> = once.map(new_partitions).collect();
        if !topics.is_empty() {
            let names: Vec<_> = topics.iter().map(|wanted| wanted.topic.clone()).collect();
            let command = Command::CreatePartitions { topics, validate_only: request.validate_only };
            let outcomes = match submit(cx, command, wait_of(request.timeout_ms)).await {
                Ok(Reply::CreatePartitions(outcomes)) => Ok(outcomes),
                Ok(other) => Err(unexpected(&other)),
                Err(error) => Err(error),
            };
            match outcomes {
                Ok(outcomes) => results.extend(
                    outcomes.iter().map(|(name, outcome)| result(wire_name(name), outcome.as_ref().copied())),
                ),
                Err(error) => {
                    results.extend(names.iter().map(|name| result(wire_name(name), Err(&error))));
                }
            }
        }
        CreatePartitionsResponse::default().with_results(results)
    }
}

fn wire_name(name: &str) -> WireTopicName {
    StrBytes::from_string(name.to_owned()).into()
}

fn new_partitions(topic: CreatePartitionsTopic) -> NewPartitions {
    let ids = |ids: Vec<kafka_protocol::messages::BrokerId>| ids.into_iter().map(|id| id.0).collect();
    let assignments = topic.assignments.map(|all| all.into_iter().map(|one| ids(one.broker_ids)).collect());
    NewPartitions { topic: (&**topic.name).into(), count: topic.count, assignments }
}

fn result(name: WireTopicName, outcome: Result<(), &ApiError>) -> CreatePartitionsTopicResult {
    let result = CreatePartitionsTopicResult::default().with_name(name).with_error_message(None);
    match outcome {
        Ok(()) => result,
        Err(error) => {
            let (code, message) = code_and_message(error);
            result.with_error_code(code).with_error_message(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_wire::over_the_wire;
    use crate::controller::remote::topics::{
        CREATE_PARTITIONS_VERSION, create_partitions_reply, create_partitions_request,
    };
    use crate::types::ErrorCode;

    #[test]
    fn what_is_passed_on_and_its_answer_come_over_the_wire_as_they_are() {
        let topics = vec![
            NewPartitions { topic: "a".into(), count: 5, assignments: None },
            NewPartitions { topic: "b".into(), count: 3, assignments: Some(vec![vec![1, 2], vec![]]) },
        ];
        let request = create_partitions_request(&topics, true, 9);
        let request = over_the_wire(CREATE_PARTITIONS_VERSION, &request);
        assert_eq!((request.validate_only, request.timeout_ms), (true, 9));
        assert_eq!(request.topics.into_iter().map(new_partitions).collect::<Vec<_>>(), topics);

        let error = ApiError::new(ErrorCode::InvalidPartitions, "why");
        let outcomes = vec![("a".into(), Ok(())), ("b".into(), Err(error))];
        let results = outcomes.iter().map(|(name, outcome): &(crate::types::TopicName, _)| {
            result(wire_name(name), outcome.as_ref().copied())
        });
        let response = CreatePartitionsResponse::default().with_results(results.collect());
        assert_eq!(create_partitions_reply(response), Reply::CreatePartitions(outcomes));
    }
}
