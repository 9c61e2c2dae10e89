//! Topics: CreateTopics, DeleteTopics, CreatePartitions, ElectLeaders, AlterPartitionReassignments.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::{BrokerId, TopicName as WireTopicName};

use super::{error_of, outcome, text};
use crate::controller::command::{
    ApiError, CreatedTopic, ElectionKind, NewPartitions, NewTopic, Reassignment, Reply, TopicRef,
};
use crate::schema::api::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use crate::schema::api::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use crate::schema::api::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use crate::schema::api::create_topics_response::CreatableTopicResult;
use crate::schema::api::delete_topics_request::DeleteTopicState;
use crate::schema::api::elect_leaders_request::TopicPartitions;
use crate::schema::api::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, CreatePartitionsRequest,
    CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, ElectLeadersRequest, ElectLeadersResponse,
};
use crate::types::{ErrorCode, NodeId, PartitionIndex, TopicId, TopicName};

/// The version that CreateTopics is asked in.
pub const CREATE_VERSION: i16 = 7;
/// The version that DeleteTopics is asked in.
pub const DELETE_VERSION: i16 = 6;
/// The version that CreatePartitions is asked in.
pub const CREATE_PARTITIONS_VERSION: i16 = 3;
/// The version that ElectLeaders is asked in.
pub const ELECT_VERSION: i16 = 2;
/// The version that AlterPartitionReassignments is asked in.
pub const REASSIGN_VERSION: i16 = 1;
/// Kafka's number for a value that is set on the topic itself.
const SET_ON_TOPIC: i8 = 1;

fn wire_name(name: &str) -> WireTopicName {
    text(name).into()
}

fn broker_ids(ids: &[NodeId]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

/// CreateTopics as a broker passes it on.
pub fn create_request(topics: &[NewTopic], validate_only: bool, timeout_ms: i32) -> CreateTopicsRequest {
    let each = topics.iter().map(|topic| {
        let assignments = topic.assignments.iter().map(|(index, replicas)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(*index)
                .with_broker_ids(broker_ids(replicas))
        });
        let configs = topic.configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(value.as_deref().map(text))
        });
        CreatableTopic::default()
            .with_name(wire_name(&topic.name))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(topic.replication_factor)
            .with_assignments(assignments.collect())
            .with_configs(configs.collect())
    });
    CreateTopicsRequest::default()
        .with_topics(each.collect())
        .with_timeout_ms(timeout_ms)
        .with_validate_only(validate_only)
}

/// Back from the answer.
pub fn create_reply(response: CreateTopicsResponse) -> Reply {
    let each = response.topics.into_iter().map(|topic| {
        let name = topic.name.to_string();
        let outcome = match error_of(topic.error_code, topic.error_message.clone()) {
            Some(error) => Err(error),
            None => Ok(created(topic)),
        };
        (name, outcome)
    });
    Reply::CreateTopics(each.collect())
}

fn created(topic: CreatableTopicResult) -> CreatedTopic {
    let own = topic.configs.into_iter().flatten().filter(|config| config.config_source == SET_ON_TOPIC);
    let configs = own.filter_map(|config| Some((Arc::from(&*config.name), Arc::from(&*config.value?))));
    CreatedTopic {
        id: TopicId(topic.topic_id),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        configs: configs.collect(),
    }
}

/// DeleteTopics as a broker passes it on.
pub fn delete_request(topics: &[TopicRef], timeout_ms: i32) -> DeleteTopicsRequest {
    let each = topics.iter().map(|topic| match topic {
        TopicRef::Name(name) => DeleteTopicState::default().with_name(Some(wire_name(name))),
        TopicRef::Id(id) => DeleteTopicState::default().with_name(None).with_topic_id(id.0),
    });
    DeleteTopicsRequest::default().with_topics(each.collect()).with_timeout_ms(timeout_ms)
}

/// Back from the answer, in the order of the topics `asked` for; what it lacks has failed.
pub fn delete_reply(asked: &[TopicRef], response: DeleteTopicsResponse) -> Reply {
    let answers = || response.responses.iter();
    let by_id: BTreeMap<TopicId, _> = answers().map(|one| (TopicId(one.topic_id), one)).collect();
    let by_name: BTreeMap<&str, _> =
        answers().filter_map(|one| Some((&***one.name.as_ref()?, one))).collect();
    let of = |topic: &TopicRef| {
        let one = match topic {
            TopicRef::Name(name) => by_name.get(&**name),
            TopicRef::Id(id) => by_id.get(id),
        };
        let Some(one) = one else { return Err(ApiError::from(ErrorCode::UnknownServerError)) };
        outcome(one.error_code, one.error_message.clone())?;
        let name: TopicName = one.name.as_ref().map_or("", |name| name).into();
        Ok((name, TopicId(one.topic_id)))
    };
    Reply::DeleteTopics(asked.iter().map(|topic| (topic.clone(), of(topic))).collect())
}

/// CreatePartitions as a broker passes it on.
pub fn create_partitions_request(
    topics: &[NewPartitions],
    validate_only: bool,
    timeout_ms: i32,
) -> CreatePartitionsRequest {
    let each = topics.iter().map(|topic| {
        let assignment =
            |ids: &Vec<NodeId>| CreatePartitionsAssignment::default().with_broker_ids(broker_ids(ids));
        CreatePartitionsTopic::default()
            .with_name(wire_name(&topic.topic))
            .with_count(topic.count)
            .with_assignments(topic.assignments.as_ref().map(|all| all.iter().map(assignment).collect()))
    });
    CreatePartitionsRequest::default()
        .with_topics(each.collect())
        .with_timeout_ms(timeout_ms)
        .with_validate_only(validate_only)
}

/// Back from the answer.
pub fn create_partitions_reply(response: CreatePartitionsResponse) -> Reply {
    let each = response.results.into_iter().map(|one| {
        let name: TopicName = (**one.name).into();
        (name, outcome(one.error_code, one.error_message))
    });
    Reply::CreatePartitions(each.collect())
}

/// ElectLeaders as a broker passes it on.
pub fn elect_request(
    kind: ElectionKind,
    partitions: Option<&[(TopicName, Vec<PartitionIndex>)]>,
    timeout_ms: i32,
) -> ElectLeadersRequest {
    let topic = |(name, partitions): &(TopicName, Vec<PartitionIndex>)| {
        TopicPartitions::default().with_topic(wire_name(name)).with_partitions(partitions.clone())
    };
    let election_type = match kind {
        ElectionKind::Preferred => 0,
        ElectionKind::Unclean => 1,
    };
    ElectLeadersRequest::default()
        .with_election_type(election_type)
        .with_topic_partitions(partitions.map(|topics| topics.iter().map(topic).collect()))
        .with_timeout_ms(timeout_ms)
}

/// Back from the answer.
///
/// # Errors
///
/// If there was no election at all.
pub fn elect_reply(response: ElectLeadersResponse) -> Result<Reply, ApiError> {
    outcome(response.error_code, None)?;
    let each = response.replica_election_results.into_iter().map(|topic| {
        let name: TopicName = (**topic.topic).into();
        let partitions = topic.partition_result.into_iter();
        let outcomes = partitions.map(|p| (p.partition_id, outcome(p.error_code, p.error_message)));
        (name, outcomes.collect())
    });
    Ok(Reply::ElectLeaders(each.collect()))
}

/// AlterPartitionReassignments as a broker passes it on.
pub fn reassign_request(
    topics: &[(TopicName, Vec<Reassignment>)],
    allow_replication_factor_change: bool,
    timeout_ms: i32,
) -> AlterPartitionReassignmentsRequest {
    let partition = |wanted: &Reassignment| {
        let ids = wanted.replicas.as_ref().map(|ids| broker_ids(ids));
        ReassignablePartition::default().with_partition_index(wanted.partition).with_replicas(ids)
    };
    let topics = topics.iter().map(|(name, partitions)| {
        let partitions = partitions.iter().map(partition).collect();
        ReassignableTopic::default().with_name(wire_name(name)).with_partitions(partitions)
    });
    AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(timeout_ms)
        .with_allow_replication_factor_change(allow_replication_factor_change)
        .with_topics(topics.collect())
}

/// Back from the answer.
///
/// # Errors
///
/// If nothing was even looked at.
pub fn reassign_reply(response: AlterPartitionReassignmentsResponse) -> Result<Reply, ApiError> {
    outcome(response.error_code, response.error_message)?;
    let each = response.responses.into_iter().map(|topic| {
        let name: TopicName = (**topic.name).into();
        let partitions = topic.partitions.into_iter();
        let outcomes = partitions.map(|p| (p.partition_index, outcome(p.error_code, p.error_message)));
        (name, outcomes.collect())
    });
    Ok(Reply::AlterPartitionReassignments(each.collect()))
}
