//! Committed offsets: commit, fetch, delete, expire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::classic::{ClassicGroup, State};
use super::command::{
    CommitPartition, FetchTopic, FetchedPartition, FetchedTopic, OffsetCommit, OffsetDelete, OffsetFetch,
    TopicErrors,
};
use super::config::GroupConfigs;
use super::record::GroupRecord;
use super::state::{CommittedOffset, Foreign, Group, GroupId, Hard, TopicOffsets};
use super::{consumer, share};
use crate::coordinator::shard::{Cx, LogRecord};
use crate::metadata::MetadataDelta;
use crate::types::{ErrorCode, Ms, PartitionIndex, TopicId, TopicName};

/// What a record of a commit takes at most besides its texts: envelope, numbers, length fields.
const COMMIT_RECORD_OVERHEAD_BYTES: usize = 96;
/// What a batch takes besides its records.
const BATCH_HEADER_BYTES: usize = 61;

/// Who may commit to a classic group; `group` is `None` if there is none of that name.
pub(super) fn check_commit(group: Option<&ClassicGroup>, commit: &OffsetCommit) -> Result<(), ErrorCode> {
    let Some(group) = group else {
        return match commit.generation < 0 {
            // An administrator, or a consumer that assigns itself: the commit makes the group.
            true => Ok(()),
            false if commit.knows_member_epochs => Err(ErrorCode::GroupIdNotFound),
            false => Err(ErrorCode::IllegalGeneration),
        };
    };
    if commit.generation < 0 && group.is(State::Empty) {
        return Ok(());
    }
    if commit.generation >= 0 || !commit.member.is_empty() || commit.instance_id.is_some() {
        group.check_member(&commit.member, commit.instance_id.as_deref())?;
        if commit.generation != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
    } else if !commit.is_transactional() && !group.is(State::Empty) {
        // Producers of before KIP-447 do not say for which member they commit.
        return Err(ErrorCode::UnknownMemberId);
    }
    if !commit.is_transactional() && group.is(State::CompletingRebalance) {
        // A member that has joined but not synced knows the generation, yet what it commits was read in the last one.
        return Err(ErrorCode::RebalanceInProgress);
    }
    Ok(())
}

/// Who may commit to a group whose protocol is not served: who is not a member, while it has none.
pub(super) fn check_foreign_commit(group: &Foreign, commit: &OffsetCommit) -> Result<(), ErrorCode> {
    match commit.generation < 0 && group.members.is_empty() || commit.is_of_unnamed_member() {
        true => Ok(()),
        false => Err(ErrorCode::UnknownMemberId),
    }
}

/// The records of a commit that is allowed, and its answer.
pub(super) fn commit(
    cx: &Cx<'_, GroupConfigs>,
    commit: &OffsetCommit,
) -> Result<(Vec<GroupRecord>, Vec<TopicErrors>), ErrorCode> {
    let now = cx.now;
    let expire_timestamp = (commit.retention_ms != -1).then(|| now.saturating_add(commit.retention_ms));
    let mut records = Vec::new();
    let mut bytes = BATCH_HEADER_BYTES;
    let mut answer = Vec::with_capacity(commit.topics.len());
    for topic in &commit.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            if !fits(cx.config, &partition.metadata) {
                partitions.push((partition.index, ErrorCode::OffsetMetadataTooLarge));
                continue;
            }
            let texts = commit.group.len() + topic.name.len() + partition.metadata.len();
            bytes += texts + COMMIT_RECORD_OVERHEAD_BYTES;
            let offset = committed(partition, topic.id, now, expire_timestamp);
            records.push(GroupRecord::Offset {
                group: commit.group.clone(),
                topic: topic.name.clone(),
                partition: partition.index,
                offset: Some(offset),
            });
            partitions.push((partition.index, ErrorCode::None));
        }
        answer.push(TopicErrors { name: topic.name.clone(), id: topic.id, partitions });
    }
    // A commit is one batch, for a part of it must not survive a crash that the rest does not.
    if bytes > cx.max_batch_bytes {
        return Err(ErrorCode::InvalidCommitOffsetSize);
    }
    Ok((records, answer))
}

fn fits(config: &GroupConfigs, metadata: &str) -> bool {
    // Kafka counts UTF-16 units against its limit; the record's own length field counts bytes.
    metadata.encode_utf16().count() <= config.offset_metadata_max_bytes && metadata.len() <= i16::MAX as usize
}

fn committed(of: &CommitPartition, id: TopicId, now: Ms, expire_timestamp: Option<Ms>) -> CommittedOffset {
    CommittedOffset {
        offset: of.offset,
        leader_epoch: of.leader_epoch,
        metadata: of.metadata.clone(),
        commit_timestamp: now,
        expire_timestamp,
        topic_id: id,
        at: -1,
    }
}

/// What a group has committed. A group that is not there has committed nothing, which is no error.
pub(super) fn fetch(hard: &Hard, fetch: &OffsetFetch) -> Result<Vec<FetchedTopic>, ErrorCode> {
    match hard.groups.get(&fetch.group) {
        Some(Group::Consumer(group)) => consumer::offsets::check_fetch(group, fetch)?,
        Some(Group::Foreign(group)) => {
            // Who says it is a member has to be one.
            let member = fetch.member.as_ref().filter(|_| fetch.member_epoch >= 0);
            if member.is_some_and(|member| !group.members.contains(member)) {
                return Err(ErrorCode::UnknownMemberId);
            }
        }
        // A share group commits nothing; what it had before it was one can be looked at.
        Some(Group::Classic(_) | Group::Share(_)) | None => {}
    }
    let offsets = hard.offsets.of(&fetch.group);
    Ok(match &fetch.topics {
        Some(topics) => topics.iter().map(|topic| fetch_topic(hard, fetch, offsets, topic)).collect(),
        None => offsets.map(|offsets| fetch_all(hard, fetch, offsets)).unwrap_or_default(),
    })
}

fn fetch_topic(
    hard: &Hard,
    fetch: &OffsetFetch,
    offsets: Option<&TopicOffsets>,
    topic: &FetchTopic,
) -> FetchedTopic {
    let committed = offsets.and_then(|offsets| offsets.get(&topic.name));
    let one = |&index: &PartitionIndex| {
        let found = committed.and_then(|partitions| partitions.get(&index));
        // What was committed for a topic of that name that is gone does not count for its successor.
        let found = found.filter(|o| o.topic_id.is_nil() || topic.id.is_nil() || o.topic_id == topic.id);
        fetched(hard, fetch, &topic.name, index, found)
    };
    FetchedTopic {
        name: topic.name.clone(),
        id: topic.id,
        partitions: topic.partitions.iter().map(one).collect(),
    }
}

fn fetch_all(hard: &Hard, fetch: &OffsetFetch, offsets: &TopicOffsets) -> Vec<FetchedTopic> {
    let topic = |(name, partitions): (&TopicName, &BTreeMap<PartitionIndex, CommittedOffset>)| {
        let one = |(&index, offset): (&PartitionIndex, &CommittedOffset)| {
            fetched(hard, fetch, name, index, Some(offset))
        };
        let id = partitions.values().map(|o| o.topic_id).find(|id| !id.is_nil()).unwrap_or(TopicId::NIL);
        FetchedTopic { name: name.clone(), id, partitions: partitions.iter().map(one).collect() }
    };
    offsets.iter().map(topic).collect()
}

fn fetched(
    hard: &Hard,
    fetch: &OffsetFetch,
    topic: &str,
    index: PartitionIndex,
    found: Option<&CommittedOffset>,
) -> FetchedPartition {
    let none =
        |error| FetchedPartition { index, offset: -1, leader_epoch: -1, metadata: Arc::from(""), error };
    if fetch.require_stable && hard.has_pending(&fetch.group, topic, index) {
        return none(ErrorCode::UnstableOffsetCommit);
    }
    match found {
        None => none(ErrorCode::None),
        Some(offset) => FetchedPartition {
            index,
            offset: offset.offset,
            leader_epoch: offset.leader_epoch,
            metadata: offset.metadata.clone(),
            error: ErrorCode::None,
        },
    }
}

/// The tombstones of an OffsetDelete, and its answer. `group` is the live group if it is a classic one.
pub(super) fn delete(
    hard: &Hard,
    group: Option<&ClassicGroup>,
    delete: &OffsetDelete,
) -> Result<(Vec<GroupRecord>, Vec<TopicErrors>), ErrorCode> {
    match (hard.groups.get(&delete.group), group) {
        (None, _) => return Err(ErrorCode::GroupIdNotFound),
        (Some(Group::Foreign(group)), _) if !group.members.is_empty() => {
            return Err(ErrorCode::NonEmptyGroup);
        }
        (_, Some(group)) if !group.is(State::Empty) && !group.is_of_consumers() => {
            return Err(ErrorCode::NonEmptyGroup);
        }
        (Some(_), _) => {}
    }
    let mut records = Vec::new();
    let mut answer = Vec::with_capacity(delete.topics.len());
    for (topic, partitions) in &delete.topics {
        let subscribed = is_subscribed(hard, &delete.group, group, topic);
        let error = if subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
        let errors = partitions.iter().map(|&index| (index, error)).collect();
        answer.push(TopicErrors { name: topic.clone(), id: TopicId::NIL, partitions: errors });
        if subscribed {
            continue;
        }
        for &index in partitions {
            let committed = hard.offsets.get(&delete.group, topic, index).is_some();
            if committed || hard.has_pending(&delete.group, topic, index) {
                records.push(tombstone(&delete.group, topic, index));
            }
        }
    }
    Ok((records, answer))
}

/// True if the group may be reading `topic`. `live` is the live group if it is a classic one.
fn is_subscribed(hard: &Hard, id: &str, live: Option<&ClassicGroup>, topic: &str) -> bool {
    match (live, hard.consumer(id)) {
        (Some(group), _) => group.is_subscribed_to(topic),
        (None, Some(group)) => group.is_subscribed_to(topic),
        (None, None) => false,
    }
}

/// Tombstones for all that a group has committed, in transactions that run too.
pub(super) fn delete_all(hard: &Hard, group: &GroupId, records: &mut Vec<GroupRecord>) {
    let pending = hard.pending.values().filter_map(|offsets| offsets.of(group));
    let mut all: Vec<(&TopicName, PartitionIndex)> = Vec::new();
    for topics in hard.offsets.of(group).into_iter().chain(pending) {
        for (topic, partitions) in topics {
            all.extend(partitions.keys().map(|&index| (topic, index)));
        }
    }
    all.sort_unstable();
    all.dedup();
    records.extend(all.into_iter().map(|(topic, index)| tombstone(group, topic, index)));
}

/// Tombstones that make a group itself be forgotten.
pub(super) fn forget(hard: &Hard, id: &GroupId, records: &mut Vec<GroupRecord>) {
    match hard.groups.get(id) {
        None => {}
        Some(Group::Classic(_)) => records.push(GroupRecord::Group { group: id.clone(), metadata: None }),
        Some(Group::Consumer(group)) => consumer::tombstones::forget_group(id, group, records),
        Some(Group::Share(group)) => share::tombstones::forget_group(id, group, records),
        Some(Group::Foreign(group)) => {
            for key in &group.keys {
                let key = Bytes::copy_from_slice(key);
                // The key was read once already.
                records.extend(GroupRecord::decode(Some(&key), None).ok().flatten());
            }
        }
    }
}

/// Tombstones for what groups committed for topics that are gone.
pub(super) fn topics_deleted(hard: &Hard, delta: &MetadataDelta, records: &mut Vec<GroupRecord>) {
    let is_gone = |name: &TopicName, id: TopicId| {
        let same = |(gone, of): (&TopicId, &TopicName)| *of == *name && (id.is_nil() || id == *gone);
        delta.topics_deleted.iter().any(same)
    };
    let mut found = BTreeSet::new();
    for offsets in std::iter::once(&hard.offsets).chain(hard.pending.values()) {
        for (group, topics) in offsets.iter() {
            for (topic, partitions) in topics {
                let gone = partitions.iter().filter(|(_, offset)| is_gone(topic, offset.topic_id));
                found.extend(gone.map(|(&index, _)| (group, topic, index)));
            }
        }
    }
    records.extend(found.into_iter().map(|(group, topic, index)| tombstone(group, topic, index)));
}

fn tombstone(group: &GroupId, topic: &TopicName, partition: PartitionIndex) -> GroupRecord {
    GroupRecord::Offset { group: group.clone(), topic: topic.clone(), partition, offset: None }
}

/// From when on the retention of a group's offsets counts.
enum Since {
    /// From the commit of each.
    Commit,
    /// From when the group became empty.
    At(Ms),
}

/// Tombstones for what has expired of one group. True if nothing is left of its offsets.
///
/// KIP-211: offsets of an empty group count from when it became empty; those of a stable group of consumers from their
/// commit, as far as nobody subscribes to their topic, and so do those of the newer protocol in any state; those of who
/// was never a member from their commit. Other groups in any other state keep theirs.
pub(super) fn expire(
    hard: &Hard,
    id: &GroupId,
    group: Option<&ClassicGroup>,
    config: &GroupConfigs,
    now: Ms,
    records: &mut Vec<GroupRecord>,
) -> bool {
    let Some(offsets) = hard.offsets.of(id) else { return !hard.has_open_transaction(id) };
    let since = match (group, hard.groups.get(id)) {
        (Some(group), _) => match group.state() {
            _ if group.protocol_type.is_none() => Since::Commit,
            State::Empty => group.state_timestamp().map_or(Since::Commit, Since::At),
            State::Stable if group.is_of_consumers() && group.knows_subscriptions() => Since::Commit,
            State::Stable | State::PreparingRebalance | State::CompletingRebalance => return false,
        },
        (None, Some(Group::Foreign(group))) if !group.members.is_empty() => return false,
        (None, _) => Since::Commit,
    };
    let mut all_gone = true;
    for (topic, partitions) in offsets {
        let subscribed = is_subscribed(hard, id, group, topic);
        for (&index, offset) in partitions {
            let expired = match (offset.expire_timestamp, &since) {
                (Some(at), _) => now >= at,
                (None, Since::Commit) => now - offset.commit_timestamp >= config.offsets_retention_ms,
                (None, Since::At(at)) => now - at >= config.offsets_retention_ms,
            };
            if expired && !subscribed && !hard.has_pending(id, topic, index) {
                records.push(tombstone(id, topic, index));
            } else {
                all_gone = false;
            }
        }
    }
    all_gone && !hard.has_open_transaction(id)
}
