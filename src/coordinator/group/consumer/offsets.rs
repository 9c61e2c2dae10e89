//! Who may commit and fetch offsets of a consumer group.

use super::state::ConsumerGroup;
use crate::coordinator::group::command::{OffsetCommit, OffsetFetch};
use crate::metadata::MetadataImage;
use crate::types::{ErrorCode, TopicId};

/// Who may commit: a member in its epoch, or in an older one as far as it has held the partitions since (KIP-1251); and
/// who is not a member, while nobody is.
pub(in super::super) fn check_commit(
    group: &ConsumerGroup,
    commit: &OffsetCommit,
    image: &MetadataImage,
) -> Result<(), ErrorCode> {
    let received = commit.generation;
    if received < 0 && group.members().len() == 0 {
        return Ok(());
    }
    if commit.is_of_unnamed_member() {
        return Ok(());
    }
    let member = group.member(&commit.member).ok_or(ErrorCode::UnknownMemberId)?;
    let current = member.current.epochs.current;
    if member.is_classic() {
        return if received == current { Ok(()) } else { Err(ErrorCode::IllegalGeneration) };
    }
    if !commit.knows_member_epochs && !commit.is_transactional() {
        return Err(ErrorCode::UnsupportedVersion);
    }
    if received == current {
        return Ok(());
    }
    let has_held = |name: &str, id: TopicId, index| {
        let id = if id.is_nil() { image.topics().get(name).map(|topic| topic.id) } else { Some(id) };
        let since = id.and_then(|id| member.assignment_epoch((id, index)));
        since.is_some_and(|since| since <= received)
    };
    let mut partitions = commit.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p.index)));
    match received < current && partitions.all(|(topic, index)| has_held(&topic.name, topic.id, index)) {
        true => Ok(()),
        false => Err(ErrorCode::StaleMemberEpoch),
    }
}

/// Who may fetch: anybody who does not claim to be a member, and members in their epoch.
pub(in super::super) fn check_fetch(group: &ConsumerGroup, fetch: &OffsetFetch) -> Result<(), ErrorCode> {
    if fetch.member.is_none() && fetch.member_epoch < 0 {
        return Ok(());
    }
    let member = fetch.member.as_ref().and_then(|id| group.member(id)).ok_or(ErrorCode::UnknownMemberId)?;
    match fetch.member_epoch == member.current.epochs.current {
        true => Ok(()),
        false if member.is_classic() => Err(ErrorCode::IllegalGeneration),
        false => Err(ErrorCode::StaleMemberEpoch),
    }
}
