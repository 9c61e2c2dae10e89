//! Partitions: added to topics, and their in-sync replicas changed by leaders.

use crate::metadata::Partition;
use crate::schema::metadata::{MetadataRecord, PartitionChangeRecord};
use crate::types::{BrokerEpoch, Bug, ErrorCode, NodeId, PartitionIndex, Rng, TopicId};

use super::super::command::{ApiError, IsrChange, NewPartitions, PartitionState, Reply};
use super::super::placement;
use super::change::Electorate;
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
    let electorate = Electorate::of(facts);
    let mut records = Vec::new();
    let mut answers: Vec<(TopicId, PartitionIndex, Result<PartitionState, ErrorCode>)> = Vec::new();
    for change in changes {
        let answer = alter_one(facts, &electorate, broker, change).and_then(|(state, record)| {
            records.extend(record.map(MetadataRecord::from));
            // The end of a reassignment may take the leadership from the one who asks. It is done then, and yet an error,
            // which tells the old leader to wait for the metadata.
            if state.leader == broker { Ok(state) } else { Err(ErrorCode::NewLeaderElected) }
        });
        answers.push((change.topic, change.partition, answer));
    }
    Ok(Decision { records, reply: Reply::AlterPartition(answers) })
}

/// The partition after the change, and the record that makes it; `None` if it is so already.
fn alter_one(
    facts: &Facts<'_>,
    electorate: &Electorate<'_>,
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
    let mut after = electorate.change(topic, change.partition, partition);
    after.isr = isr;
    after.recovering = change.recovering;
    after.election = electorate.election(topic);
    let record = after.record();
    let now = match &record {
        Some(record) => partition.after(record).map_err(|_impossible| ErrorCode::UnknownServerError)?,
        None => Partition::clone(partition),
    };
    let state = PartitionState {
        leader: now.leader,
        leader_epoch: now.leader_epoch,
        partition_epoch: now.partition_epoch,
        isr: now.isr.to_vec(),
        recovering: now.recovering,
    };
    Ok((state, record))
}
