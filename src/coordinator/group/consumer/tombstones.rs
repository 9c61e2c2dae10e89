//! What makes a consumer group, or a member of one, be forgotten.

use super::record::{Change, ConsumerRecord};
use super::state::ConsumerGroup;
use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::state::GroupId;

/// A record of `group`.
pub(in super::super) fn record(group: &GroupId, change: Change) -> GroupRecord {
    GroupRecord::Consumer(ConsumerRecord { group: group.clone(), change })
}

/// Tombstones for a member, in an order in which a part of them leaves nothing that contradicts itself.
pub(super) fn forget_member(group: &GroupId, member: &MemberId, records: &mut Vec<GroupRecord>) {
    records.push(record(group, Change::Current(member.clone(), None)));
    records.push(record(group, Change::Target(member.clone(), None)));
    records.push(record(group, Change::Member(member.clone(), None)));
}

/// Tombstones for a group with all its members, in Kafka's order: the group's own comes last.
pub(in super::super) fn forget_group(id: &GroupId, group: &ConsumerGroup, records: &mut Vec<GroupRecord>) {
    let members = || group.members().map(|(member, _)| member.clone());
    records.extend(members().map(|member| record(id, Change::Current(member, None))));
    let targets = group.targets().keys().cloned();
    records.extend(targets.map(|member| record(id, Change::Target(member, None))));
    records.push(record(id, Change::TargetEpoch(None)));
    records.extend(members().map(|member| record(id, Change::Member(member, None))));
    let regexes = group.resolved().keys().cloned();
    records.extend(regexes.map(|regex| record(id, Change::Regex(regex, None))));
    if group.has_partition_metadata {
        records.push(record(id, Change::PartitionMetadata(None)));
    }
    records.push(record(id, Change::Epoch(None)));
}
