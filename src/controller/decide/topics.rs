//! Topics: made and deleted.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::config::ConfigError;
use crate::metadata::snapshot::partition_record;
use crate::metadata::{ConfigResource, Partition, ResourceType};
use crate::schema::metadata::{ConfigRecord, MetadataRecord, RemoveTopicRecord, TopicRecord};
use crate::types::{ErrorCode, NodeId, PartitionIndex, Rng, TopicId};

use super::super::command::{ApiError, CreatedTopic, NewTopic, Reply, TopicRef};
use super::super::placement;
use super::{Decision, Facts, configs};

/// Longest name of a topic, so that its directories and files have names that a file system takes.
const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Why `name` cannot be a topic's; `None` if it can.
pub fn invalid_name(name: &str) -> Option<String> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let why = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.encode_utf16().count() > TOPIC_NAME_BYTES_MAX {
        format!("the length of '{name}' is longer than the max allowed length {TOPIC_NAME_BYTES_MAX}")
    } else if !name.bytes().all(legal) {
        format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
    } else {
        return None;
    };
    Some(format!("Topic name is invalid: {why}"))
}

pub(super) fn create(
    facts: &Facts<'_>,
    topics: &[NewTopic],
    validate_only: bool,
    rng: &mut Rng,
) -> Result<Decision, ApiError> {
    // A name asked for twice was refused before; here the second would meet the first.
    let mut records = Vec::new();
    let mut answers = Vec::with_capacity(topics.len());
    let mut taken: BTreeMap<&str, ()> = BTreeMap::new();
    for topic in topics {
        let created = if taken.insert(&topic.name, ()).is_some() {
            Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            create_one(facts, topic, rng).map(|(created, mut new_records)| {
                records.append(&mut new_records);
                created
            })
        };
        answers.push((topic.name.clone(), created));
    }
    if validate_only {
        // Kafka too tells the id that the topic would have had.
        records.clear();
    }
    Ok(Decision { records, reply: Reply::CreateTopics(answers) })
}

fn create_one(
    facts: &Facts<'_>,
    topic: &NewTopic,
    rng: &mut Rng,
) -> Result<(CreatedTopic, Vec<MetadataRecord>), ApiError> {
    let topics = facts.image.topics();
    if topics.get(&topic.name).is_some() {
        let message = format!("Topic '{}' already exists.", topic.name);
        return Err(ApiError::new(ErrorCode::TopicAlreadyExists, message));
    }
    if let Some(why) = invalid_name(&topic.name) {
        return Err(ApiError::new(ErrorCode::InvalidTopicException, why));
    }
    if let Some(other) = topics.colliding(&topic.name) {
        let message = format!("Topic '{}' collides with existing topic: {other}", topic.name);
        return Err(ApiError::new(ErrorCode::InvalidTopicException, message));
    }
    let nulls: Vec<&str> =
        topic.configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    let values: BTreeMap<String, String> =
        topic.configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
    let resource = ConfigResource::new(ResourceType::Topic, topic.name.as_str());
    configs::validate(facts, &resource, &values)?;

    let assignments = assignments(facts, topic, rng)?;
    let id = rng.kafka_uuid();
    let mut records = Vec::with_capacity(1 + values.len() + assignments.len());
    records.push(TopicRecord { name: topic.name.clone(), topic_id: id }.into());
    for (name, value) in &values {
        let value = Some(value.clone());
        let (resource_type, resource_name) = (ResourceType::Topic.code(), topic.name.clone());
        records.push(ConfigRecord { resource_type, resource_name, name: name.clone(), value }.into());
    }
    let created = CreatedTopic {
        id: TopicId(id),
        partitions: assignments.len() as i32,
        replication_factor: assignments.first().map_or(0, |(replicas, _)| replicas.len() as i16),
        configs: values.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
    };
    for (index, (replicas, isr)) in (0..).zip(assignments) {
        records.push(new_partition(facts, id, index, replicas, isr));
    }
    Ok((created, records))
}

/// The record of a partition that begins its life.
pub(super) fn new_partition(
    facts: &Facts<'_>,
    topic: Uuid,
    index: PartitionIndex,
    replicas: Vec<NodeId>,
    isr: Vec<NodeId>,
) -> MetadataRecord {
    let partition = Partition {
        directories: replicas.iter().map(|&broker| facts.default_directory(broker)).collect(),
        leader: isr[0],
        isr: isr.into(),
        replicas: replicas.into(),
        removing: Box::new([]),
        adding: Box::new([]),
        elr: Box::new([]),
        last_known_elr: Box::new([]),
        leader_epoch: 0,
        partition_epoch: 0,
        recovering: false,
    };
    partition_record(topic, index, &partition)
}

type Assignment = (Vec<NodeId>, Vec<NodeId>);

/// Replicas and in-sync replicas of each partition; the latter are never empty.
fn assignments(facts: &Facts<'_>, topic: &NewTopic, rng: &mut Rng) -> Result<Vec<Assignment>, ApiError> {
    if !topic.assignments.is_empty() {
        return manual_assignments(facts, topic);
    }
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        return Err(ApiError::new(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    if topic.partitions < -1 || topic.partitions == 0 {
        return Err(ApiError::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    let rules = facts.rules;
    let partitions = if topic.partitions == -1 { rules.default_partitions } else { topic.partitions };
    let replication_factor = match topic.replication_factor {
        -1 => rules.default_replication_factor,
        factor => factor,
    };
    // Before any memory is spent on it.
    if partitions as usize >= super::RECORDS_PER_COMMAND_MAX {
        return Err(ApiError::new(
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.",
        ));
    }
    let unable = |why: &str| {
        let message = format!("Unable to replicate the partition {replication_factor} time(s): {why}");
        ApiError::new(ErrorCode::InvalidReplicationFactor, message)
    };
    let placed = placement::place(facts.usable_brokers(), partitions as usize, replication_factor, rng)
        .map_err(|why| unable(&why))?;
    placed
        .into_iter()
        .map(|replicas| {
            let isr = active(facts, &replicas);
            if isr.is_empty() {
                return Err(unable("All brokers are currently fenced or in controlled shutdown."));
            }
            Ok((replicas, isr))
        })
        .collect()
}

fn manual_assignments(facts: &Facts<'_>, topic: &NewTopic) -> Result<Vec<Assignment>, ApiError> {
    let not_minus_one = |what: &str| {
        let message = format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(ApiError::new(ErrorCode::InvalidRequest, message))
    };
    if topic.replication_factor != -1 {
        return not_minus_one("replication factor");
    }
    if topic.partitions != -1 {
        return not_minus_one("numPartitions");
    }
    let bad = |message: String| ApiError::new(ErrorCode::InvalidReplicaAssignment, message);
    let mut by_index: BTreeMap<PartitionIndex, Assignment> = BTreeMap::new();
    let mut replication_factor = None;
    for (index, replicas) in &topic.assignments {
        if by_index.contains_key(index) {
            return Err(bad(format!("Found multiple manual partition assignments for partition {index}")));
        }
        check_manual(facts, replicas, replication_factor)?;
        replication_factor = Some(replicas.len());
        let isr = active(facts, replicas);
        if isr.is_empty() {
            return Err(bad(format!(
                "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
                 controlled shutdown."
            )));
        }
        by_index.insert(*index, (replicas.clone(), isr));
    }
    if !(0..).zip(by_index.keys()).all(|(expected, index)| expected == *index) {
        return Err(bad("partitions should be a consecutive 0-based integer sequence".to_owned()));
    }
    Ok(by_index.into_values().collect())
}

/// Checks one partition's replicas as somebody wrote them by hand.
pub(super) fn check_manual(
    facts: &Facts<'_>,
    replicas: &[NodeId],
    replication_factor: Option<usize>,
) -> Result<(), ApiError> {
    let bad = |what: String| {
        let message = format!("The manual partition assignment includes {what}");
        Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message))
    };
    if replicas.is_empty() {
        return bad("an empty replica list.".to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut before = None;
    for broker in &sorted {
        if facts.image.brokers().get(*broker).is_none() {
            return bad(format!("broker {broker}, but no such broker is registered."));
        }
        if before == Some(broker) {
            return bad(format!("the broker {broker} more than once."));
        }
        before = Some(broker);
    }
    match replication_factor {
        Some(factor) if factor != replicas.len() => bad(format!(
            "a partition with {} replica(s), but this is not consistent with previous partitions, which have {factor} \
             replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

/// Those of `replicas` that may be in sync from the start.
pub(super) fn active(facts: &Facts<'_>, replicas: &[NodeId]) -> Vec<NodeId> {
    replicas.iter().copied().filter(|&broker| facts.image.is_active(broker)).collect()
}

pub(super) fn delete(facts: &Facts<'_>, topics: &[TopicRef]) -> Result<Decision, ApiError> {
    let mut records = Vec::new();
    let mut answers = Vec::with_capacity(topics.len());
    let mut deleted: BTreeMap<TopicId, ()> = BTreeMap::new();
    for wanted in topics {
        let found = match wanted {
            TopicRef::Name(name) => facts.image.topics().get(name).ok_or(ErrorCode::UnknownTopicOrPartition),
            TopicRef::Id(id) => facts.image.topics().get_by_id(*id).ok_or(ErrorCode::UnknownTopicId),
        };
        let answer = found.map(|topic| (topic.name.clone(), topic.id)).map_err(ApiError::from);
        if let Ok((_, id)) = &answer
            && deleted.insert(*id, ()).is_none()
        {
            records.push(RemoveTopicRecord { topic_id: id.0 }.into());
        }
        answers.push((wanted.clone(), answer));
    }
    Ok(Decision { records, reply: Reply::DeleteTopics(answers) })
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> ApiError {
        ApiError::new(error.code(), error.to_string())
    }
}
