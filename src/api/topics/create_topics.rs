//! CreateTopics: makes topics, or only says what would become of them.

use std::collections::BTreeMap;

use kafka_protocol::messages::TopicName as WireTopicName;
use kafka_protocol::protocol::StrBytes;

use crate::api::configs::current_layers;
use crate::api::controller_gate::{submit, unexpected, wait_of};
use crate::api::errors::{code_and_message, invalid_request};
use crate::api::{Api, On, RequestContext};
use crate::config::{Entry, Props};
use crate::controller::command::{ApiError, Command, CreatedTopic, NewTopic, Reply};
use crate::schema::api::create_topics_request::CreatableTopic;
use crate::schema::api::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use crate::schema::api::{CreateTopicsRequest, CreateTopicsResponse};

/// The metadata log's own topic, which is no topic of the cluster.
const CLUSTER_METADATA: &str = "__cluster_metadata";
/// From this version on the answer tells what the topic came to be (KIP-525).
const DESCRIBED_FROM: i16 = 5;

/// Key 19.
pub struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;
    type Response = CreateTopicsResponse;
    const KEY: i16 = 19;
    const VERSIONS: std::ops::RangeInclusive<i16> = 2..=7;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let mut asked: BTreeMap<WireTopicName, usize> = BTreeMap::new();
        for topic in &request.topics {
            *asked.entry(topic.name.clone()).or_default() += 1;
        }
        let mut refused = Vec::new();
        for (name, &times) in &asked {
            if times > 1 {
                refused.push(failed(name.clone(), &invalid_request("Duplicate topic name.")));
            } else if **name == *CLUSTER_METADATA {
                let why = format!("Creation of internal topic {CLUSTER_METADATA} is prohibited.");
                refused.push(failed(name.clone(), &invalid_request(why)));
            }
        }
        let once =
            |topic: &CreatableTopic| asked.get(&topic.name) == Some(&1) && **topic.name != *CLUSTER_METADATA;
        let (topics, mut answers): (Vec<NewTopic>, Vec<CreatableTopicResult>) =
            (request.topics.into_iter().filter(once).map(new_topic).collect(), Vec::new());
        if !topics.is_empty() {
            let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
            let command = Command::CreateTopics { topics, validate_only: request.validate_only };
            let reply = submit(cx, command, wait_of(request.timeout_ms)).await;
            let outcomes = match reply {
                Ok(Reply::CreateTopics(outcomes)) => Ok(outcomes),
                Ok(other) => Err(unexpected(&other)),
                Err(error) => Err(error),
            };
            match outcomes {
                Ok(outcomes) => answers.extend(outcomes.into_iter().map(|(name, outcome)| {
                    let name = wire_name(name);
                    match outcome {
                        Ok(created) => succeeded(cx, name, &created),
                        Err(error) => failed(name, &error),
                    }
                })),
                Err(error) => answers.extend(names.into_iter().map(|name| failed(wire_name(name), &error))),
            }
        }
        answers.extend(refused);
        CreateTopicsResponse::default().with_topics(answers)
    }
}

fn wire_name(name: String) -> WireTopicName {
    StrBytes::from_string(name).into()
}

/// -1 asks for the default number of partitions and of replicas (KIP-464). Kafka takes it in every version, and clients
/// that speak older versions than the proposal's rely on that.
fn new_topic(topic: CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.into_iter().map(|assignment| {
        let replicas = assignment.broker_ids.into_iter().map(|id| id.0).collect();
        (assignment.partition_index, replicas)
    });
    let configs = topic.configs.into_iter();
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs.map(|c| (c.name.to_string(), c.value.map(|value| value.to_string()))).collect(),
    }
}

fn failed(name: WireTopicName, error: &ApiError) -> CreatableTopicResult {
    let (code, message) = code_and_message(error);
    CreatableTopicResult::default().with_name(name).with_error_code(code).with_error_message(message)
}

fn succeeded(cx: &RequestContext, name: WireTopicName, created: &CreatedTopic) -> CreatableTopicResult {
    let result = CreatableTopicResult::default()
        .with_name(name)
        .with_error_message(None)
        .with_topic_id(created.id.0)
        .with_num_partitions(created.partitions)
        .with_replication_factor(created.replication_factor);
    if cx.version < DESCRIBED_FROM {
        return result;
    }
    let own: Props =
        created.configs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let entries = current_layers(cx).topic_entries(&own);
    result.with_configs(Some(entries.into_iter().map(wire_config).collect()))
}

fn wire_config(entry: Entry) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(StrBytes::from_string(entry.name))
        .with_value(entry.value.map(StrBytes::from_string))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.code())
        .with_is_sensitive(entry.sensitive)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients that stop at version 3 ask for the defaults too (kafkajs does), so the version makes no difference.
    #[test]
    fn defaults_are_left_to_the_controller() {
        let topic = new_topic(CreatableTopic::default().with_num_partitions(-1).with_replication_factor(-1));
        assert_eq!((topic.partitions, topic.replication_factor), (-1, -1));
    }

    #[test]
    fn what_is_passed_on_and_its_answer_come_over_the_wire_as_they_are() {
        use crate::controller::remote::topics::{CREATE_VERSION, create_reply, create_request};
        use crate::types::{ErrorCode, TopicId};
        let plain =
            NewTopic { name: "a".to_owned(), partitions: -1, replication_factor: 3, ..NewTopic::default() };
        let chosen = NewTopic {
            name: "b".to_owned(),
            partitions: 4,
            replication_factor: -1,
            assignments: vec![(0, vec![1, 2]), (1, vec![])],
            configs: vec![("k".to_owned(), Some("v".to_owned())), ("l".to_owned(), None)],
        };
        let topics = vec![plain, chosen];
        let request = create_request(&topics, true, 11);
        let request = crate::api::test_wire::over_the_wire(CREATE_VERSION, &request);
        assert_eq!((request.validate_only, request.timeout_ms), (true, 11));
        assert_eq!(request.topics.into_iter().map(new_topic).collect::<Vec<_>>(), topics);

        let id = TopicId(uuid::Uuid::from_u128(8));
        let configs = vec![("k".into(), "v".into())];
        let created = CreatedTopic { id, partitions: 4, replication_factor: 2, configs };
        let config = |name, value, source| {
            CreatableTopicConfigs::default()
                .with_name(StrBytes::from_static_str(name))
                .with_value(Some(StrBytes::from_static_str(value)))
                .with_config_source(source)
        };
        let good = CreatableTopicResult::default()
            .with_name(wire_name("a".to_owned()))
            .with_error_message(None)
            .with_topic_id(id.0)
            .with_num_partitions(4)
            .with_replication_factor(2)
            .with_configs(Some(vec![config("k", "v", 1), config("x", "y", 5)]));
        let error = ApiError::new(ErrorCode::TopicAlreadyExists, "Topic 'b' already exists.");
        let response = CreateTopicsResponse::default()
            .with_topics(vec![good, failed(wire_name("b".to_owned()), &error)]);
        let expected = vec![("a".to_owned(), Ok(created)), ("b".to_owned(), Err(error))];
        assert_eq!(create_reply(response), Reply::CreateTopics(expected));
    }
}
