//! From the classic protocol to this one and back, with everybody staying in (KIP-848's online migration).

use std::sync::Arc;

use super::member::{Assigned, ClassicMember, Current, Member, MemberState, Subscription};
use super::protocol;
use super::record::Change;
use super::state::ConsumerGroup;
use super::tombstones::forget_group;
use crate::coordinator::group::classic::{self, ClassicGroup, MemberId};
use crate::coordinator::group::config::GroupConfigs;
use crate::coordinator::group::modern::MemberEpochs;
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::state::GroupId;
use crate::coordinator::shard::Cx;
use crate::types::TopicName;

/// What makes a classic group a consumer group: its generation becomes the epoch of the group, of the target and of the
/// members, and what they were assigned is what they have. `Err` says why that cannot be.
pub(super) fn upgraded(group: &ClassicGroup, cx: &Cx<'_, GroupConfigs>) -> Result<Vec<Change>, String> {
    let config = &cx.config.consumer;
    let fits =
        config.migration.upgrades() && group.is_of_consumers() && group.members().len() <= config.max_size;
    if !fits {
        return Err(format!("Group {} is not a consumer group.", group.id));
    }
    let epoch = group.generation;
    let malformed =
        |why: &str| format!("Cannot upgrade the classic group {} to consumer group because {why}.", group.id);
    let mut members = Vec::with_capacity(group.members().len());
    for member in group.members() {
        let by_protocol = group.protocol.as_ref().map(|protocol| member.metadata_for(protocol));
        let first = || member.protocols.first().map(|protocol| protocol.metadata.clone());
        let metadata = by_protocol.filter(|metadata| !metadata.is_empty()).or_else(first);
        let said = metadata.as_ref().and_then(protocol::subscription);
        let said = said.ok_or_else(|| malformed("the embedded consumer protocol is malformed"))?;
        let has = protocol::assignment(&member.assignment, cx.cluster).map_err(|why| malformed(&why))?;
        let mut names: Vec<TopicName> = said.topics.into_iter().map(TopicName::from).collect();
        names.sort_unstable();
        names.dedup();
        let subscription = Subscription {
            instance_id: member.instance_id.clone(),
            rack_id: said.rack_id.map(Arc::from),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            names: names.into(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            classic: Some(Arc::new(ClassicMember {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
            })),
            ..Subscription::default()
        };
        let assigned: Assigned = has.into_iter().map(|of| (of, epoch)).collect();
        members.push((member.id.clone(), subscription, assigned));
    }
    let mut changes = Vec::with_capacity(3 * members.len() + 2);
    let wants =
        members.iter().map(|(id, subscription, _)| Change::Member(id.clone(), Some(subscription.clone())));
    changes.extend(wants);
    changes.push(Change::Epoch(Some((epoch, 0))));
    let targets = members.iter().map(|(id, _, has)| Change::Target(id.clone(), Some(has.partitions())));
    changes.extend(targets);
    changes.push(Change::TargetEpoch(Some((epoch, 0))));
    changes.extend(members.into_iter().map(|(id, _, assigned)| {
        let epochs = MemberEpochs { current: epoch, previous: epoch };
        let state = MemberState::Stable;
        Change::Current(id, Some(Current { epochs, state, assigned, revoking: Assigned::default() }))
    }));
    Ok(changes)
}

/// The classic group that is left without `gone`, if all others speak the classic protocol and it may be.
pub(super) fn downgraded_without(
    id: &GroupId,
    group: &ConsumerGroup,
    gone: &[MemberId],
    cx: &Cx<'_, GroupConfigs>,
) -> Option<ClassicGroup> {
    let gone_classic = gone.iter().filter_map(|id| group.member(id)).filter(|m| m.is_classic()).count();
    let stay = group.members().len().saturating_sub(gone.len());
    if stay == 0 || group.classic_members() - gone_classic != stay || !may_downgrade(stay, cx) {
        return None;
    }
    let stay = group.members().filter(|(id, _)| !gone.contains(id));
    classic_group(id, group, stay.map(|(id, member)| (id, &**member, id)), cx)
}

/// The classic group that comes of it when `member`, which speaks the classic protocol, takes the place of the last one
/// that does not.
pub(super) fn downgraded_with(
    id: &GroupId,
    group: &ConsumerGroup,
    replaced: &MemberId,
    (member_id, member): (&MemberId, &Member),
    cx: &Cx<'_, GroupConfigs>,
) -> Option<ClassicGroup> {
    let is_last = group.member(replaced).is_some_and(|old| !old.is_classic())
        && group.classic_members() + 1 == group.members().len();
    if !is_last || !may_downgrade(group.members().len(), cx) {
        return None;
    }
    let others = group.members().filter(|(id, _)| *id != replaced).map(|(id, member)| (id, &**member, id));
    classic_group(id, group, others.chain([(member_id, member, replaced)]), cx)
}

fn may_downgrade(members: usize, cx: &Cx<'_, GroupConfigs>) -> bool {
    cx.config.consumer.migration.downgrades() && members <= cx.config.max_size
}

/// Members come with the id under which their target is kept.
fn classic_group<'a>(
    id: &GroupId,
    group: &'a ConsumerGroup,
    members: impl Iterator<Item = (&'a MemberId, &'a Member, &'a MemberId)>,
    cx: &Cx<'_, GroupConfigs>,
) -> Option<ClassicGroup> {
    let mut converted = Vec::new();
    for (id, member, had_by) in members {
        let classic = member.subscription.classic.as_ref()?;
        let subscription = classic.protocols.first()?.metadata.clone();
        let target = group.target(had_by);
        converted.push(classic::Member::converted(
            id.clone(),
            &member.subscription,
            classic,
            protocol::assigned(target.iter(), &subscription, cx.cluster),
        ));
    }
    ClassicGroup::converted(id.clone(), group.epochs.group, converted, cx.now)
}

/// What makes a consumer group the classic group `to`.
pub(super) fn downgrade_records(
    id: &GroupId,
    from: &ConsumerGroup,
    to: &ClassicGroup,
    records: &mut Vec<GroupRecord>,
) {
    forget_group(id, from, records);
    records.push(GroupRecord::Group { group: id.clone(), metadata: Some(to.to_metadata_as_is()) });
}
