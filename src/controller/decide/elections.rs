//! Elections of partition leaders: on request, and by themselves from time to time.

use crate::metadata::{NO_LEADER, Partition};
use crate::schema::metadata::{MetadataRecord, PartitionChangeRecord};
use crate::types::{ErrorCode, PartitionIndex, TopicName};

use super::super::command::{ApiError, ElectionKind, Reply};
use super::change::{Election, Electorate};
use super::{Decision, Facts};

/// Elections that are held by themselves in one entry of the log at most, as in Kafka.
const ELECTIONS_PER_ROUND_MAX: usize = 1000;

pub(super) fn elect(
    facts: &Facts<'_>,
    kind: ElectionKind,
    wanted: Option<&[(TopicName, Vec<PartitionIndex>)]>,
) -> Result<Decision, ApiError> {
    let electorate = Electorate::of(facts);
    let mut records = Vec::new();
    let mut answers = Vec::new();
    let mut run = |topic: &TopicName, index: PartitionIndex| {
        let record = elect_one(facts, &electorate, kind, topic, index)?;
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
    electorate: &Electorate<'_>,
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
    let election = match kind {
        ElectionKind::Preferred if partition.leader == partition.preferred_leader() => None,
        ElectionKind::Preferred => Some(Election::Preferred),
        ElectionKind::Unclean if partition.leader != NO_LEADER => None,
        ElectionKind::Unclean => Some(Election::Unclean),
    };
    let Some(election) = election else { return Err(ErrorCode::ElectionNotNeeded.into()) };
    let mut change = electorate.change(topic, index, partition);
    change.election = election;
    change.record().ok_or_else(|| {
        ApiError::from(match kind {
            ElectionKind::Preferred => ErrorCode::PreferredLeaderNotAvailable,
            ElectionKind::Unclean => ErrorCode::EligibleLeadersNotAvailable,
        })
    })
}

/// Gives leadership back to preferred replicas that may lead: `auto.leader.rebalance.enable`.
pub(super) fn balance(facts: &Facts<'_>) -> Decision {
    run_where(facts, Election::Preferred, |_, partition| {
        let preferred = partition.preferred_leader();
        partition.leader != preferred && (partition.isr.contains(&preferred) || partition.isr.is_empty())
    })
}

/// Finds leaders for partitions without one, in topics that would rather lose records than wait:
/// `unclean.leader.election.enable`. Such an election is held too when the last leader goes; here it is for topics that
/// allow it later.
pub(super) fn elect_unclean(facts: &Facts<'_>) -> Decision {
    run_where(facts, Election::Unclean, |election, partition| {
        partition.leader == NO_LEADER && election() == Election::Unclean
    })
}

/// Holds an election for as many partitions as one round may have. `wanted` is given the election that the topic allows
/// when a leader is lost.
fn run_where(
    facts: &Facts<'_>,
    election: Election,
    wanted: impl Fn(&dyn Fn() -> Election, &Partition) -> bool,
) -> Decision {
    let electorate = Electorate::of(facts);
    let mut records: Vec<MetadataRecord> = Vec::new();
    let mut more = false;
    'all: for topic in facts.image.topics().iter() {
        for (index, partition) in topic.iter() {
            if !wanted(&|| electorate.election(topic), partition) {
                continue;
            }
            let mut change = electorate.change(topic, index, partition);
            change.election = election;
            let Some(record) = change.record() else { continue };
            if records.len() == ELECTIONS_PER_ROUND_MAX {
                more = true;
                break 'all;
            }
            records.push(record.into());
        }
    }
    Decision { records, reply: Reply::Elections { more } }
}
