//! Reassignments: partitions moved to other brokers (KIP-455).
//!
//! A reassignment first makes replicas of all brokers that shall hold the partition or hold it now. Once those that shall
//! are in sync, which their leader tells by AlterPartition, [`super::change`] takes the others away. A new one takes the
//! place of one that is under way.

use std::collections::BTreeSet;

use crate::metadata::{Partition, Topic};
use crate::schema::metadata::PartitionChangeRecord;
use crate::types::{ErrorCode, NodeId, PartitionIndex, TopicName};

use super::super::command::{ApiError, Reassignment, Reply};
use super::change::{Election, Electorate};
use super::topics::check_manual;
use super::{Decision, Facts};

pub(super) fn alter(
    facts: &Facts<'_>,
    topics: &[(TopicName, Vec<Reassignment>)],
    may_change_factor: bool,
) -> Decision {
    let electorate = Electorate::of(facts);
    let mut records = Vec::new();
    let mut answers = Vec::with_capacity(topics.len());
    let mut seen: BTreeSet<(&str, PartitionIndex)> = BTreeSet::new();
    for (name, wanted) in topics {
        let mut outcomes = Vec::with_capacity(wanted.len());
        for one in wanted {
            let outcome = if seen.insert((name, one.partition)) {
                alter_one(facts, &electorate, name, one, may_change_factor)
            } else {
                Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate partition."))
            };
            let outcome = outcome.map(|record| records.extend(record.map(Into::into)));
            outcomes.push((one.partition, outcome));
        }
        answers.push((name.clone(), outcomes));
    }
    Decision { records, reply: Reply::AlterPartitionReassignments(answers) }
}

fn alter_one(
    facts: &Facts<'_>,
    electorate: &Electorate<'_>,
    name: &str,
    wanted: &Reassignment,
    may_change_factor: bool,
) -> Result<Option<PartitionChangeRecord>, ApiError> {
    let index = wanted.partition;
    let unknown = |what: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, what);
    let topic = facts.image.topics().get(name);
    let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let partition = topic.partition(index);
    let partition = partition.ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
    match &wanted.replicas {
        None => cancel(electorate, topic, index, partition),
        Some(target) => {
            check_manual(facts, target, None)?;
            if !may_change_factor {
                check_factor(partition, target)?;
            }
            Ok(reassign(electorate, topic, index, partition, target))
        }
    }
}

/// That the partition will have as many replicas as it has, or will have after the reassignment that is under way.
fn check_factor(partition: &Partition, target: &[NodeId]) -> Result<(), ApiError> {
    let now = without(&partition.replicas, &partition.removing).len();
    if now == target.len() {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::InvalidReplicationFactor,
        format!("The replication factor is changed from {now} to {}", target.len()),
    ))
}

fn reassign(
    electorate: &Electorate<'_>,
    topic: &Topic,
    index: PartitionIndex,
    partition: &Partition,
    target: &[NodeId],
) -> Option<PartitionChangeRecord> {
    let mut change = electorate.change(topic, index, partition);
    let mut removing = without(&partition.replicas, target);
    removing.sort_unstable();
    let mut adding = without(target, &partition.replicas);
    adding.sort_unstable();
    change.replicas = target.iter().chain(&removing).copied().collect();
    change.removing = removing;
    // With nobody new, those that were being added before still are, and may still be given up.
    if !adding.is_empty() {
        change.adding = adding;
    }
    change.record()
}

fn cancel(
    electorate: &Electorate<'_>,
    topic: &Topic,
    index: PartitionIndex,
    partition: &Partition,
) -> Result<Option<PartitionChangeRecord>, ApiError> {
    if !partition.is_reassigning() {
        let why = "No partition reassignment is in progress.";
        return Err(ApiError::new(ErrorCode::NoReassignmentInProgress, why));
    }
    let bad = |why: String| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, why));
    let mut change = electorate.change(topic, index, partition);
    change.election = electorate.election(topic);
    change.replicas = without(&partition.replicas, &partition.adding);
    change.isr = without(&partition.isr, &partition.adding);
    change.removing = Vec::new();
    change.adding = Vec::new();
    let is_eligible = |node: &NodeId| change.replicas.contains(node);
    if change.isr.is_empty() && !partition.elr.iter().any(is_eligible) {
        // Only new replicas are in sync: going back loses what the old ones lack.
        let Some(first) = change.replicas.first().copied() else {
            return bad("Invalid replica assignment: addingReplicas contains all replicas.".to_owned());
        };
        if change.election != Election::Unclean {
            return bad(format!(
                "Unable to revert partition assignment for {}:{index} because it would require an unclean leader election.",
                topic.name
            ));
        }
        change.isr = vec![first];
    }
    Ok(change.record())
}

fn without(nodes: &[NodeId], gone: &[NodeId]) -> Vec<NodeId> {
    nodes.iter().copied().filter(|node| !gone.contains(node)).collect()
}

#[cfg(test)]
#[path = "reassign_test.rs"]
mod tests;
