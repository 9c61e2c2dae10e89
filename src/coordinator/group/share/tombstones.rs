//! What makes a share group, or a member of one, be forgotten.

use super::record::{Change, ShareGroupRecord};
use super::state::ShareGroup;
use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::state::GroupId;

/// A record of `group`.
pub(in super::super) fn record(group: &GroupId, change: Change) -> GroupRecord {
    GroupRecord::Share(ShareGroupRecord { group: group.clone(), change })
}

/// Tombstones for a member, in an order in which a part of them leaves nothing that contradicts itself.
pub(super) fn forget_member(group: &GroupId, member: &MemberId, records: &mut Vec<GroupRecord>) {
    records.push(record(group, Change::Current(member.clone(), None)));
    records.push(record(group, Change::Target(member.clone(), None)));
    records.push(record(group, Change::Member(member.clone(), None)));
}

/// Tombstones for a group with all its members; the group's own comes last.
pub(in super::super) fn forget_group(id: &GroupId, group: &ShareGroup, records: &mut Vec<GroupRecord>) {
    group.members.keys().for_each(|member| forget_member(id, member, records));
    records.push(record(id, Change::TargetEpoch(None)));
    records.push(record(id, Change::States(None)));
    records.push(record(id, Change::Epoch(None)));
}
