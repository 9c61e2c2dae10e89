//! Records of share groups as the shard sees them, and their form in the log.

use std::sync::Arc;

use bytes::Bytes;

use super::state::{StatePartitions, Topics};
use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::modern::{MemberEpochs, Partitions};
use crate::coordinator::group::state::GroupId;
use crate::schema::codec::EncodeError;
use crate::schema::groups as wire;
use crate::types::{Ms, TopicId, TopicName};

/// A record of a share group.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareGroupRecord {
    /// The group.
    pub group: GroupId,
    /// What it says.
    pub change: Change,
}

/// What a member wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Where it is, if it says so.
    pub rack_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Its address, as `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// The topics, in order.
    pub names: Arc<[TopicName]>,
}

/// What a record says; no content is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The group's epoch and the hash of its topics. Without it the group is gone.
    Epoch(Option<(i32, i64)>),
    /// What a member wants.
    Member(MemberId, Option<Subscription>),
    /// The epoch of the target, and when it was computed.
    TargetEpoch(Option<(i32, Ms)>),
    /// What a member is to read.
    Target(MemberId, Option<Partitions>),
    /// What a member was told.
    Current(MemberId, Option<(MemberEpochs, Partitions)>),
    /// Where the group's positions are kept.
    States(Option<StatePartitions>),
}

impl Change {
    /// True if it takes something away.
    pub fn is_tombstone(&self) -> bool {
        match self {
            Change::Epoch(value) => value.is_none(),
            Change::Member(_, value) => value.is_none(),
            Change::TargetEpoch(value) => value.is_none(),
            Change::Target(_, value) => value.is_none(),
            Change::Current(_, value) => value.is_none(),
            Change::States(value) => value.is_none(),
        }
    }
}

impl ShareGroupRecord {
    /// Its form in the log.
    pub(in super::super) fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        use wire::GroupRecord as Wire;
        let group_id = self.group.to_string();
        let record = match &self.change {
            Change::Epoch(value) => Wire::ShareGroupMetadata(
                wire::ShareGroupMetadataKey { group_id },
                value.map(|(epoch, metadata_hash)| wire::ShareGroupMetadataValue { epoch, metadata_hash }),
            ),
            Change::Member(member, value) => Wire::ShareGroupMemberMetadata(
                wire::ShareGroupMemberMetadataKey { group_id, member_id: member.to_string() },
                value.as_ref().map(|of| wire::ShareGroupMemberMetadataValue {
                    rack_id: of.rack_id.as_ref().map(|rack| rack.to_string()),
                    client_id: of.client_id.to_string(),
                    client_host: of.client_host.to_string(),
                    subscribed_topic_names: of.names.iter().map(|name| name.to_string()).collect(),
                }),
            ),
            Change::TargetEpoch(value) => Wire::ShareGroupTargetAssignmentMetadata(
                wire::ShareGroupTargetAssignmentMetadataKey { group_id },
                value.map(|(assignment_epoch, assignment_timestamp)| {
                    wire::ShareGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp }
                }),
            ),
            Change::Target(member, value) => Wire::ShareGroupTargetAssignmentMember(
                wire::ShareGroupTargetAssignmentMemberKey { group_id, member_id: member.to_string() },
                value.as_ref().map(|of| {
                    let topics = of.by_topic().map(|(id, partitions)| {
                        wire::ShareGroupTargetAssignmentMemberTopicPartition {
                            topic_id: id.0,
                            partitions: partitions.collect(),
                        }
                    });
                    wire::ShareGroupTargetAssignmentMemberValue { topic_partitions: topics.collect() }
                }),
            ),
            Change::Current(member, value) => Wire::ShareGroupCurrentMemberAssignment(
                wire::ShareGroupCurrentMemberAssignmentKey { group_id, member_id: member.to_string() },
                value.as_ref().map(|(epochs, assigned)| {
                    let topics = assigned.by_topic().map(|(id, partitions)| {
                        wire::ShareGroupCurrentMemberAssignmentTopicPartitions {
                            topic_id: id.0,
                            partitions: partitions.collect(),
                        }
                    });
                    wire::ShareGroupCurrentMemberAssignmentValue {
                        member_epoch: epochs.current,
                        previous_member_epoch: epochs.previous,
                        // Members of share groups are always where they were told to be.
                        state: 0,
                        assigned_partitions: topics.collect(),
                    }
                }),
            ),
            Change::States(value) => Wire::ShareGroupStatePartitionMetadata(
                wire::ShareGroupStatePartitionMetadataKey { group_id },
                value.as_ref().map(|of| wire::ShareGroupStatePartitionMetadataValue {
                    initializing_topics: to_wire(&of.initializing),
                    initialized_topics: to_wire(&of.initialized),
                    deleting_topics: of
                        .deleting
                        .iter()
                        .map(|(id, name)| wire::TopicInfo { topic_id: id.0, topic_name: name.to_string() })
                        .collect(),
                }),
            ),
        };
        record.encode()
    }

    /// The reverse; `None` for records of other groups.
    pub(in super::super) fn decode(record: wire::GroupRecord) -> Option<ShareGroupRecord> {
        use wire::GroupRecord as Wire;
        let (group, change) = match record {
            Wire::ShareGroupMetadata(key, value) => {
                (key.group_id, Change::Epoch(value.map(|v| (v.epoch, v.metadata_hash))))
            }
            Wire::ShareGroupMemberMetadata(key, value) => {
                (key.group_id, Change::Member(key.member_id.into(), value.map(subscription_of)))
            }
            Wire::ShareGroupTargetAssignmentMetadata(key, value) => {
                let value = value.map(|v| (v.assignment_epoch, v.assignment_timestamp));
                (key.group_id, Change::TargetEpoch(value))
            }
            Wire::ShareGroupTargetAssignmentMember(key, value) => {
                let partitions = value.map(|v| {
                    let topics = v.topic_partitions.iter();
                    topics.flat_map(|t| t.partitions.iter().map(|&p| (TopicId(t.topic_id), p))).collect()
                });
                (key.group_id, Change::Target(key.member_id.into(), partitions))
            }
            Wire::ShareGroupCurrentMemberAssignment(key, value) => {
                let current = value.map(|v| {
                    let epochs = MemberEpochs { current: v.member_epoch, previous: v.previous_member_epoch };
                    let topics = v.assigned_partitions.iter();
                    let assigned =
                        topics.flat_map(|t| t.partitions.iter().map(|&p| (TopicId(t.topic_id), p)));
                    (epochs, assigned.collect())
                });
                (key.group_id, Change::Current(key.member_id.into(), current))
            }
            Wire::ShareGroupStatePartitionMetadata(key, value) => {
                let states = value.map(|v| StatePartitions {
                    initializing: from_wire(v.initializing_topics),
                    initialized: from_wire(v.initialized_topics),
                    deleting: v
                        .deleting_topics
                        .into_iter()
                        .map(|t| (TopicId(t.topic_id), t.topic_name.into()))
                        .collect(),
                });
                (key.group_id, Change::States(states))
            }
            _ => return None,
        };
        Some(ShareGroupRecord { group: group.into(), change })
    }
}

fn subscription_of(value: wire::ShareGroupMemberMetadataValue) -> Subscription {
    let mut names: Vec<TopicName> = value.subscribed_topic_names.into_iter().map(TopicName::from).collect();
    names.sort_unstable();
    names.dedup();
    Subscription {
        rack_id: value.rack_id.map(Arc::from),
        client_id: value.client_id.into(),
        client_host: value.client_host.into(),
        names: names.into(),
    }
}

fn to_wire(topics: &Topics) -> Vec<wire::TopicPartitionsInfo> {
    let topic = |(id, (name, partitions)): (&TopicId, &(TopicName, _))| wire::TopicPartitionsInfo {
        topic_id: id.0,
        topic_name: name.to_string(),
        partitions: std::collections::BTreeSet::iter(partitions).copied().collect(),
    };
    topics.iter().map(topic).collect()
}

fn from_wire(topics: Vec<wire::TopicPartitionsInfo>) -> Topics {
    let topic = |t: wire::TopicPartitionsInfo| {
        (TopicId(t.topic_id), (t.topic_name.into(), t.partitions.into_iter().collect()))
    };
    topics.into_iter().map(topic).collect()
}
