//! What administrators ask of a group's positions. The positions are with share coordinators; the group says which there are,
//! and under which epoch they are begun anew.

use std::collections::BTreeMap;

use super::record::Change;
use super::state::{ShareGroup, Topics};
use super::tombstones::record;
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::state::GroupId;
use crate::types::{ErrorCode, TopicId};

/// The partitions that the group has positions for.
pub(in super::super) fn positions(group: &ShareGroup) -> Topics {
    group.states.initialized.clone()
}

/// Begins positions anew: gives the epoch for them. The group knows all of `topics` afterwards.
///
/// # Errors
///
/// `NON_EMPTY_GROUP` while there are members.
pub(in super::super) fn alter(
    id: &GroupId,
    group: &ShareGroup,
    topics: &Topics,
    records: &mut Vec<GroupRecord>,
) -> Result<i32, ErrorCode> {
    if !group.members.is_empty() {
        return Err(ErrorCode::NonEmptyGroup);
    }
    let mut states = group.states.clone();
    for (&topic, (name, partitions)) in topics {
        states.deleting.remove(&topic);
        if let Some((_, open)) = states.initializing.get_mut(&topic) {
            open.retain(|partition| !partitions.contains(partition));
        }
        let known = states.initialized.entry(topic).or_insert_with(|| (name.clone(), Default::default()));
        known.1.extend(partitions);
    }
    states.initializing.retain(|_, (_, open)| !open.is_empty());
    let epoch = group.epochs.group + 1;
    records.push(record(id, Change::States(Some(states))));
    records.push(record(id, Change::Epoch(Some((epoch, group.epochs.metadata_hash)))));
    Ok(epoch)
}

/// Has positions forgotten: gives those that there are, which the caller has deleted and then says so with
/// [`forgotten`].
///
/// # Errors
///
/// `NON_EMPTY_GROUP` while there are members.
pub(in super::super) fn forget(
    id: &GroupId,
    group: &ShareGroup,
    topics: &[TopicId],
    records: &mut Vec<GroupRecord>,
) -> Result<Topics, ErrorCode> {
    if !group.members.is_empty() {
        return Err(ErrorCode::NonEmptyGroup);
    }
    let mut states = group.states.clone();
    let mut gone: Topics = BTreeMap::new();
    for topic in topics {
        let parts = [states.initialized.remove(topic), states.initializing.remove(topic)];
        for (name, partitions) in parts.into_iter().flatten() {
            states.deleting.insert(*topic, name.clone());
            gone.entry(*topic).or_insert_with(|| (name, Default::default())).1.extend(partitions);
        }
    }
    if !gone.is_empty() {
        records.push(record(id, Change::States(Some(states))));
    }
    Ok(gone)
}

/// Positions are deleted.
pub(in super::super) fn forgotten(
    id: &GroupId,
    group: &ShareGroup,
    topics: &[TopicId],
    records: &mut Vec<GroupRecord>,
) {
    let mut states = group.states.clone();
    states.deleting.retain(|topic, _| !topics.contains(topic));
    if states != group.states {
        records.push(record(id, Change::States(Some(states))));
    }
}

/// Topics are gone from the cluster, and with them their positions.
pub(in super::super) fn topics_deleted(
    id: &GroupId,
    group: &ShareGroup,
    is_deleted: impl Fn(TopicId) -> bool,
    records: &mut Vec<GroupRecord>,
) {
    let mut states = group.states.clone();
    states.initializing.retain(|&topic, _| !is_deleted(topic));
    states.initialized.retain(|&topic, _| !is_deleted(topic));
    states.deleting.retain(|&topic, _| !is_deleted(topic));
    if states != group.states {
        records.push(record(id, Change::States(Some(states))));
    }
}
