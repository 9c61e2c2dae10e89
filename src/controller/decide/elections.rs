//! Elections of partition leaders on request.

use crate::metadata::Partition;
use crate::schema::metadata::PartitionChangeRecord;
use crate::types::{Bug, ErrorCode, NodeId, PartitionIndex, TopicName};

use super::super::command::{ApiError, ElectionKind, Reply};
use super::{Decision, Facts};

pub(super) fn elect(
    facts: &Facts<'_>,
    kind: ElectionKind,
    wanted: Option<&[(TopicName, Vec<PartitionIndex>)]>,
) -> Result<Decision, ApiError> {
    let mut records = Vec::new();
    let mut answers = Vec::new();
    let mut run = |topic: &TopicName, index: PartitionIndex| {
        let record = elect_one(facts, kind, topic, index)?;
        records.push(record.into());
        Ok(())
    };
    match wanted {
        Some(wanted) => {
            for (topic, partitions) in wanted {
                let results = partitions.iter().map(|&index| (index, run(topic, index))).collect();
                answers.push((topic.clone(), results));
            }
        }
        None => {
            for topic in facts.image.topics().iter() {
                let mut results: Vec<(PartitionIndex, Result<(), ApiError>)> = Vec::new();
                for (index, _) in topic.iter() {
                    match run(&topic.name, index) {
                        Err(ApiError { code: ErrorCode::ElectionNotNeeded, .. }) => {}
                        result => results.push((index, result)),
                    }
                }
                answers.push((topic.name.clone(), results));
            }
        }
    }
    Ok(Decision { records, reply: Reply::ElectLeaders(answers) })
}

fn elect_one(
    facts: &Facts<'_>,
    kind: ElectionKind,
    topic_name: &str,
    index: PartitionIndex,
) -> Result<PartitionChangeRecord, ApiError> {
    let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
    let topic = facts
        .image
        .topics()
        .get(topic_name)
        .ok_or_else(|| unknown(format!("No such topic as {topic_name}")))?;
    let partition = topic
        .partition(index)
        .ok_or_else(|| unknown(format!("No such partition as {topic_name}-{index}")))?;
    let alive = |id: NodeId| facts.image.is_active(id);
    let record = match kind {
        ElectionKind::Preferred => {
            if partition.leader == partition.preferred_leader() {
                return Err(ErrorCode::ElectionNotNeeded.into());
            }
            let preferred = partition.preferred_leader();
            let may_lead = partition.isr.contains(&preferred) && alive(preferred);
            may_lead.then(|| change(partition, topic.id.0, index, preferred, false))
        }
        ElectionKind::Unclean => {
            if partition.leader != crate::metadata::NO_LEADER {
                return Err(ErrorCode::ElectionNotNeeded.into());
            }
            let clean = online_leader(partition, alive);
            clean.map(|leader| change(partition, topic.id.0, index, leader, false)).or_else(|| {
                let anybody = partition.replicas.iter().copied().find(|id| alive(*id))?;
                Some(change(partition, topic.id.0, index, anybody, true))
            })
        }
    };
    record.ok_or_else(|| {
        ApiError::from(match kind {
            ElectionKind::Preferred => ErrorCode::PreferredLeaderNotAvailable,
            ElectionKind::Unclean => ErrorCode::EligibleLeadersNotAvailable,
        })
    })
}

/// Who can lead a partition without loss: the first replica that is alive and in sync, or, when nobody is in sync,
/// eligible (KIP-966).
pub(super) fn online_leader(partition: &Partition, alive: impl Fn(NodeId) -> bool) -> Option<NodeId> {
    let eligible: &[NodeId] = if partition.isr.is_empty() { &partition.elr } else { &partition.isr };
    let may_lead = |id: &NodeId| eligible.contains(id) || Bug::ElectsOutOfSync.is_planted();
    partition.replicas.iter().copied().find(|id| may_lead(id) && alive(*id))
}

/// The record that makes `leader` the leader. An unclean one, or one out of the eligible replicas, is the only one in
/// sync then.
pub(super) fn change(
    partition: &Partition,
    topic_id: uuid::Uuid,
    partition_id: PartitionIndex,
    leader: NodeId,
    is_unclean: bool,
) -> PartitionChangeRecord {
    let from_elr = partition.elr.contains(&leader);
    let elr: Option<Vec<NodeId>> = if is_unclean && !partition.elr.is_empty() {
        Some(Vec::new())
    } else {
        from_elr.then(|| partition.elr.iter().copied().filter(|id| *id != leader).collect())
    };
    PartitionChangeRecord {
        partition_id,
        topic_id,
        isr: (is_unclean || from_elr).then(|| vec![leader]),
        leader,
        leader_recovery_state: if is_unclean && !partition.recovering { 1 } else { -1 },
        eligible_leader_replicas: elr,
        ..PartitionChangeRecord::default()
    }
}
