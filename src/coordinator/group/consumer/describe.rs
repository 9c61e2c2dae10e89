//! ConsumerGroupDescribe.

use super::state::ConsumerGroup;
use crate::coordinator::group::command::{DescribedConsumer, DescribedConsumerGroup, Refusal};
use crate::coordinator::group::config::GroupConfigs;
use crate::coordinator::group::state::{GroupId, Hard};
use crate::coordinator::shard::Cx;
use crate::types::ErrorCode;

/// A group in detail, or why there is none.
pub(in super::super) fn describe(
    hard: &Hard,
    cx: &Cx<'_, GroupConfigs>,
    id: &GroupId,
) -> (GroupId, Result<DescribedConsumerGroup, Refusal>) {
    let Some(group) = hard.consumer(id) else {
        let why = match hard.groups.contains_key(id) {
            true => format!("Group {id} is not a consumer group."),
            false => format!("Group {id} not found."),
        };
        return (id.clone(), Err(Refusal::new(ErrorCode::GroupIdNotFound, why)));
    };
    (id.clone(), Ok(describe_group(group, cx)))
}

fn describe_group(group: &ConsumerGroup, cx: &Cx<'_, GroupConfigs>) -> DescribedConsumerGroup {
    let available = &cx.config.consumer.assignors;
    let votes = |name: &str| group.assignor_votes().get(name).copied().unwrap_or(0);
    let assignor = available.iter().rev().max_by_key(|assignor| votes(assignor.name()));
    let members = group.members().map(|(id, member)| DescribedConsumer {
        id: id.clone(),
        subscription: member.subscription.clone(),
        epoch: member.current.epochs.current,
        assigned: member.current.assigned.partitions(),
        target: group.target(id),
    });
    DescribedConsumerGroup {
        state: group.state().name(),
        epoch: group.epochs.group,
        target_epoch: group.epochs.target,
        assignor: assignor.map_or("", |assignor| assignor.name()),
        members: members.collect(),
    }
}
