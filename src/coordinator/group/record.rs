//! Records of `__consumer_offsets` as the shard sees them, and their form in the log ([`crate::schema::groups`]).
//!
//! What a Kafka broker wrote loads too: classic, consumer and share groups and offsets as ours, groups of other protocols as
//! [`ForeignRecord`]s, types that nobody knows yet not at all.

use std::sync::Arc;

use bytes::Bytes;

use super::classic::MemberId;
use super::consumer::ConsumerRecord;
use super::share::ShareGroupRecord;
use super::state::{ClassicMetadata, CommittedOffset, ForeignKind, GroupId, MemberMetadata};
use crate::coordinator::shard::{LogRecord, Unreadable};
use crate::schema::groups as wire;
use crate::types::{PartitionIndex, TopicId, TopicName};

/// A record; no content is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    /// A classic group's generation.
    Group {
        /// The group.
        group: GroupId,
        /// What it is now.
        metadata: Option<ClassicMetadata>,
    },
    /// A committed offset. Its [`CommittedOffset::at`] is not written; replay fills it in.
    Offset {
        /// The group.
        group: GroupId,
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
        /// What was committed.
        offset: Option<CommittedOffset>,
    },
    /// A record of a consumer group.
    Consumer(ConsumerRecord),
    /// A record of a share group.
    Share(ShareGroupRecord),
    /// A record of a group whose protocol is not served.
    Foreign(ForeignRecord),
}

/// A record of a group whose protocol is not served, as far as it is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignRecord {
    /// The group.
    pub group: GroupId,
    /// Its protocol.
    pub kind: ForeignKind,
    /// Whom it makes a member, if it is a member's main record.
    pub member: Option<MemberId>,
    /// True for the group's main record.
    pub is_group: bool,
    /// The whole key.
    pub key: Vec<u8>,
    /// The whole value. Of a tombstone we write for such a group only this and the key count.
    pub value: Option<Bytes>,
}

impl LogRecord for GroupRecord {
    fn encode(&self) -> Result<(Bytes, Option<Bytes>), Unreadable> {
        let record = match self {
            GroupRecord::Consumer(record) => return Ok(record.encode()?),
            GroupRecord::Share(record) => return Ok(record.encode()?),
            GroupRecord::Foreign(record) => {
                return Ok((Bytes::copy_from_slice(&record.key), record.value.clone()));
            }
            GroupRecord::Group { group, metadata } => wire::GroupRecord::GroupMetadata(
                wire::GroupMetadataKey { group: group.to_string() },
                metadata.as_ref().map(group_value),
            ),
            GroupRecord::Offset { group, topic, partition, offset } => wire::GroupRecord::OffsetCommit(
                wire::OffsetCommitKey {
                    group: group.to_string(),
                    topic: topic.to_string(),
                    partition: *partition,
                },
                offset.as_ref().map(offset_value),
            ),
        };
        Ok(record.encode()?)
    }

    fn decode(key: Option<&Bytes>, value: Option<&Bytes>) -> Result<Option<GroupRecord>, Unreadable> {
        use wire::GroupRecord as Wire;
        let key_bytes = key.ok_or(Unreadable::NoKey)?;
        let foreign = |kind, group: String, member: Option<String>, is_group| {
            Some(GroupRecord::Foreign(ForeignRecord {
                group: group.into(),
                kind,
                member: member.map(Arc::from),
                is_group,
                key: key_bytes.to_vec(),
                value: value.cloned(),
            }))
        };
        use ForeignKind::Streams;
        // Of foreign groups only the keys are looked at, so that nothing in their values can keep a partition from
        // loading whole.
        let is_served = matches!(key_bytes.first_chunk(), Some([0, 0..=8 | 10..=16]));
        let record = wire::GroupRecord::decode(key_bytes, value.filter(|_| is_served))?;
        Ok(match record {
            Wire::OffsetCommit(key, value) => Some(GroupRecord::Offset {
                group: key.group.into(),
                topic: key.topic.into(),
                partition: key.partition,
                offset: value.map(offset_of),
            }),
            Wire::GroupMetadata(key, value) => {
                Some(GroupRecord::Group { group: key.group.into(), metadata: value.map(group_of) })
            }
            Wire::StreamsGroupMetadata(k, _) => foreign(Streams, k.group_id, None, true),
            Wire::StreamsGroupMemberMetadata(k, _) => foreign(Streams, k.group_id, Some(k.member_id), false),
            Wire::StreamsGroupTargetAssignmentMetadata(k, _) => foreign(Streams, k.group_id, None, false),
            Wire::StreamsGroupTargetAssignmentMember(k, _) => foreign(Streams, k.group_id, None, false),
            Wire::StreamsGroupCurrentMemberAssignment(k, _) => foreign(Streams, k.group_id, None, false),
            Wire::StreamsGroupTopology(k, _) => foreign(Streams, k.group_id, None, false),
            Wire::Unknown { .. } => None,
            of_shares @ (Wire::ShareGroupMetadata(..)
            | Wire::ShareGroupMemberMetadata(..)
            | Wire::ShareGroupTargetAssignmentMetadata(..)
            | Wire::ShareGroupTargetAssignmentMember(..)
            | Wire::ShareGroupCurrentMemberAssignment(..)
            | Wire::ShareGroupStatePartitionMetadata(..)) => {
                ShareGroupRecord::decode(of_shares).map(GroupRecord::Share)
            }
            of_consumers => ConsumerRecord::decode(of_consumers, value).map(GroupRecord::Consumer),
        })
    }
}

fn offset_value(offset: &CommittedOffset) -> wire::OffsetCommitValue {
    wire::OffsetCommitValue {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: offset.metadata.to_string(),
        commit_timestamp: offset.commit_timestamp,
        expire_timestamp: offset.expire_timestamp.unwrap_or(-1),
        topic_id: offset.topic_id.0,
    }
}

fn offset_of(value: wire::OffsetCommitValue) -> CommittedOffset {
    CommittedOffset {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.into(),
        commit_timestamp: value.commit_timestamp,
        expire_timestamp: (value.expire_timestamp != -1).then_some(value.expire_timestamp),
        topic_id: TopicId(value.topic_id),
        at: -1,
    }
}

fn group_value(group: &ClassicMetadata) -> wire::GroupMetadataValue {
    wire::GroupMetadataValue {
        protocol_type: group.protocol_type.as_deref().unwrap_or("").to_owned(),
        generation: group.generation,
        protocol: group.protocol.as_deref().map(str::to_owned),
        leader: group.leader.as_deref().map(str::to_owned),
        current_state_timestamp: group.state_timestamp.unwrap_or(-1),
        members: group.members.iter().map(member_value).collect(),
    }
}

fn member_value(member: &MemberMetadata) -> wire::MemberMetadata {
    wire::MemberMetadata {
        member_id: member.id.to_string(),
        group_instance_id: member.instance_id.as_deref().map(str::to_owned),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: member.subscription.clone(),
        assignment: member.assignment.clone(),
    }
}

fn group_of(value: wire::GroupMetadataValue) -> ClassicMetadata {
    ClassicMetadata {
        protocol_type: Some(value.protocol_type).filter(|t| !t.is_empty()).map(Arc::from),
        generation: value.generation,
        protocol: value.protocol.map(Arc::from),
        leader: value.leader.map(Arc::from),
        state_timestamp: (value.current_state_timestamp != -1).then_some(value.current_state_timestamp),
        members: value.members.into_iter().map(member_of).collect(),
    }
}

fn member_of(value: wire::MemberMetadata) -> MemberMetadata {
    // Version 0 has no rebalance timeout; the session timeout was used for both then.
    let rebalance_timeout_ms = match value.rebalance_timeout {
        -1 => value.session_timeout,
        timeout => timeout,
    };
    MemberMetadata {
        id: value.member_id.into(),
        instance_id: value.group_instance_id.map(Arc::from),
        client_id: value.client_id.into(),
        client_host: value.client_host.into(),
        rebalance_timeout_ms,
        session_timeout_ms: value.session_timeout,
        // Copies, for a slice of the log would keep the whole chunk it came in.
        subscription: Bytes::copy_from_slice(&value.subscription),
        assignment: Bytes::copy_from_slice(&value.assignment),
    }
}
