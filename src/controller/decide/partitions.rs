//! Partitions: added to topics, and their in-sync replicas changed by leaders.

use crate::metadata::Partition;
use crate::schema::metadata::{MetadataRecord, PartitionChangeRecord};
use crate::types::{BrokerEpoch, Bug, ErrorCode, NodeId, PartitionIndex, Rng, TopicId};

use super::super::command::{ApiError, IsrChange, NewPartitions, PartitionState, Reply};
use super::super::placement;
use super::topics::{active, check_manual, new_partition};
use super::{Decision, Facts, RECORDS_PER_COMMAND_MAX};

pub(super) fn create(
    facts: &Facts<'_>,
    topics: &[NewPartitions],
    validate_only: bool,
    rng: &mut Rng,
) -> Result<Decision, ApiError> {
    let mut records = Vec::new();
    let mut answers = Vec::with_capacity(topics.len());
    for wanted in topics {
        let result = create_for(facts, wanted, rng).map(|mut new_records| records.append(&mut new_records));
        answers.push((wanted.topic.clone(), result));
    }
    if validate_only {
        records.clear();
    }
    Ok(Decision { records, reply: Reply::CreatePartitions(answers) })
}

fn create_for(
    facts: &Facts<'_>,
    wanted: &NewPartitions,
    rng: &mut Rng,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let topic = facts.image.topics().get(&wanted.topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let have = topic.partitions.len() as i32;
    let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    if wanted.count == have {
        return invalid(format!("Topic already has {have} partition(s)."));
    }
    if wanted.count < have {
        return invalid(format!(
            "The topic {} currently has {have} partition(s); {} would not be an increase.",
            wanted.topic, wanted.count
        ));
    }
    let additional = (wanted.count - have) as usize;
    let replication_factor = topic.partition(0).map_or(1, |first| first.replicas.len());
    if additional > RECORDS_PER_COMMAND_MAX {
        return Err(ApiError::new(
            ErrorCode::PolicyViolation,
            "Unable to perform excessively large batch operation.",
        ));
    }
    let bad = |message: String| ApiError::new(ErrorCode::InvalidReplicaAssignment, message);
    let assignments = match &wanted.assignments {
        Some(assignments) => {
            if assignments.len() != additional {
                return Err(bad(format!(
                    "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                    assignments.len()
                )));
            }
            for replicas in assignments {
                check_manual(facts, replicas, Some(replication_factor))?;
            }
            assignments.clone()
        }
        None => placement::place(facts.usable_brokers(), additional, replication_factor as i16, rng)
            .map_err(|why| ApiError::new(ErrorCode::InvalidReplicationFactor, why))?,
    };
    let mut records = Vec::with_capacity(additional);
    for (index, replicas) in (have..).zip(assignments) {
        let isr = active(facts, &replicas);
        if isr.is_empty() && wanted.assignments.is_some() {
            return Err(bad(format!(
                "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
                 controlled shutdown."
            )));
        }
        if isr.is_empty() {
            return Err(ApiError::new(
                ErrorCode::InvalidReplicationFactor,
                format!(
                    "Unable to replicate the partition {replication_factor} time(s): All brokers are currently fenced \
                     or in controlled shutdown."
                ),
            ));
        }
        records.push(new_partition(facts, topic.id.0, index, replicas, isr));
    }
    Ok(records)
}

pub(super) fn alter(
    facts: &Facts<'_>,
    broker: NodeId,
    epoch: BrokerEpoch,
    changes: &[IsrChange],
) -> Result<Decision, ApiError> {
    facts.broker_in_epoch(broker, epoch)?;
    let mut records = Vec::new();
    let mut answers: Vec<(TopicId, PartitionIndex, Result<PartitionState, ErrorCode>)> = Vec::new();
    for change in changes {
        let answer = alter_one(facts, broker, change).map(|(state, record)| {
            records.extend(record.map(MetadataRecord::from));
            state
        });
        answers.push((change.topic, change.partition, answer));
    }
    Ok(Decision { records, reply: Reply::AlterPartition(answers) })
}

/// The partition after the change, and the record that makes it; `None` if it is so already.
fn alter_one(
    facts: &Facts<'_>,
    broker: NodeId,
    change: &IsrChange,
) -> Result<(PartitionState, Option<PartitionChangeRecord>), ErrorCode> {
    let topic = facts.image.topics().get_by_id(change.topic).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partition(change.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    // A leader that knows more than this controller has heard from a newer one.
    if change.leader_epoch > partition.leader_epoch || change.partition_epoch > partition.partition_epoch {
        return Err(ErrorCode::NotController);
    }
    if change.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if broker != partition.leader {
        return Err(ErrorCode::InvalidRequest);
    }
    if change.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    let isr: Vec<NodeId> = change.isr.iter().map(|(id, _)| *id).collect();
    let mut distinct = isr.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let valid = distinct.len() == isr.len() && isr.iter().all(|id| partition.is_on(*id));
    if !valid || !isr.contains(&partition.leader) {
        return Err(ErrorCode::InvalidRequest);
    }
    if change.recovering && (isr.len() > 1 || !partition.recovering) {
        return Err(ErrorCode::InvalidRequest);
    }
    let eligible =
        change.isr.iter().all(|(id, epoch)| {
            facts.image.is_active(*id)
                && facts.image.brokers().get(*id).is_some_and(|b| {
                    *epoch == -1 || b.epoch == *epoch || Bug::IsrWithoutBrokerEpoch.is_planted()
                })
        });
    if !eligible {
        return Err(ErrorCode::IneligibleReplica);
    }
    let record = PartitionChangeRecord {
        partition_id: change.partition,
        topic_id: change.topic.0,
        isr: (*isr != *partition.isr).then(|| isr.clone()),
        leader_recovery_state: if change.recovering == partition.recovering { -1 } else { 0 },
        // Who is in sync again needs no other claim to lead.
        eligible_leader_replicas: (!partition.elr.is_empty()).then(|| without(&partition.elr, &isr)),
        ..PartitionChangeRecord::default()
    };
    let changes_something = record.isr.is_some()
        || record.leader_recovery_state != -1
        || record.eligible_leader_replicas.as_deref().is_some_and(|elr| *elr != *partition.elr);
    let state = PartitionState {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch + i32::from(changes_something),
        isr,
        recovering: change.recovering,
    };
    Ok((state, changes_something.then_some(record)))
}

fn without(nodes: &[NodeId], gone: &[NodeId]) -> Vec<NodeId> {
    nodes.iter().copied().filter(|node| !gone.contains(node)).collect()
}

/// What happens to a partition when `broker` may not lead it any more; `None` if nothing has to.
///
/// The broker leaves the in-sync replicas unless it is the last of them, which then stays as the one that has
/// everything, without leading (or, while it shuts down, goes on leading as long as nobody else can).
pub(super) fn without_broker(
    partition: &Partition,
    topic: TopicId,
    index: PartitionIndex,
    broker: NodeId,
    is_alive: impl Fn(NodeId) -> bool,
) -> Option<PartitionChangeRecord> {
    let mut isr = without(&partition.isr, &[broker]);
    if isr.is_empty() {
        isr = partition.isr.to_vec();
    }
    let leader = if partition.leader != broker {
        partition.leader
    } else {
        let next =
            partition.replicas.iter().copied().find(|id| *id != broker && isr.contains(id) && is_alive(*id));
        next.unwrap_or(crate::metadata::NO_LEADER)
    };
    if *isr == *partition.isr && leader == partition.leader {
        return None;
    }
    Some(PartitionChangeRecord {
        partition_id: index,
        topic_id: topic.0,
        isr: (*isr != *partition.isr).then_some(isr),
        leader: if leader == partition.leader { -2 } else { leader },
        ..PartitionChangeRecord::default()
    })
}
